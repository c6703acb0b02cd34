package app

import (
	"errors"
	"fmt"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"autoscale.io/scaling/controller"
)

func TestTheWebhookSaysWhyAKindIsNotManaged(t *testing.T) {
	w := wiring{
		loop:    controller.New(controller.Options{Kinds: []controller.Kind{kindOf("apps", "Deployment", "deployments")}}),
		refused: []controller.Kind{kindOf("batch", "Job", "jobs")},
	}
	for _, c := range []struct{ group, kind, want string }{
		{"apps", "Deployment", ""},
		{"batch", "Job", "this install may not change Jobs; manifests/cluster-role-jobs.yaml grants it"},
		{"example.com", "Job", "this install does not manage the kind Job; its flag --kinds names those that it does"},
		{"example.com", "Deployment", "this install does not manage the kind Deployment; its flag --kinds names those that it does"},
	} {
		if got := w.unmanaged(c.group, c.kind); got != c.want || w.manages(c.group, c.kind) != (c.want == "") {
			t.Errorf("%s in %q:\n got %s\nwant %s", c.kind, c.group, got, c.want)
		}
	}
	w.loop.AddKind(kindOf("example.com", "Deployment", "deployments"))
	if got := w.unmanaged("example.com", "Deployment"); got != "" {
		t.Errorf("a kind that came later is not managed: %s", got)
	}
}

func TestTheUserIsAskedFor(t *testing.T) {
	for _, failure := range []error{nil, errors.New("no answer")} {
		kube := fake.NewClientset()
		kube.PrependReactor("create", "selfsubjectreviews", func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, &authenticationv1.SelfSubjectReview{Status: authenticationv1.SelfSubjectReviewStatus{UserInfo: authenticationv1.UserInfo{Username: ownUser}}}, failure
		})
		want := ownUser + " <nil>"
		if failure != nil {
			want = " ask the API server for the own user name: no answer"
		}
		user, err := whoAmI(t.Context(), kube)
		if got := fmt.Sprint(user, " ", err); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
