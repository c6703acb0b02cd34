package app

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"autoscale.io/scaling/controller"
)

func kindOf(group, kind, resource string) controller.Kind {
	return controller.Kind{GroupVersionKind: schema.GroupVersionKind{Group: group, Version: "v1", Kind: kind}, Resource: schema.GroupVersionResource{Group: group, Version: "v1", Resource: resource}}
}

func names(kinds []controller.Kind) []string {
	result := []string{}
	for _, kind := range kinds {
		result = append(result, kind.Kind)
	}
	return result
}

func TestJobsAreManagedWherePermitted(t *testing.T) {
	deployments, jobs, cronJobs := kindOf("apps", "Deployment", "deployments"), kindOf("batch", "Job", "jobs"), kindOf("batch", "CronJob", "cronjobs")
	all := []controller.Kind{jobs, deployments, cronJobs}
	const notManaged = info + `"msg"="Jobs and CronJobs are not managed, since this account may not list and patch Jobs; ` +
		`apply manifests/cluster-role-jobs.yaml and restart to have them managed"`
	for _, c := range []struct {
		name           string
		kinds          []controller.Kind
		denied, failed string
		want           string
		logged         []string
	}{
		{"permitted", all, "", "", "managed [Job Deployment CronJob] refused [] <nil>; asked for [list patch]", nil},
		{"list denied", all, "list", "", "managed [Deployment] refused [Job CronJob] <nil>; asked for [list]", []string{notManaged}},
		{"patch denied", all, "patch", "", "managed [Deployment] refused [Job CronJob] <nil>; asked for [list patch]", []string{notManaged}},
		{"CronJobs alone", []controller.Kind{cronJobs}, "patch", "", "managed [] refused [CronJob] <nil>; asked for [list patch]", []string{notManaged}},
		{"no Jobs among the kinds", []controller.Kind{deployments}, "list", "", "managed [Deployment] refused [] <nil>; asked for []", nil},
		{"no answer", all, "", "patch", "managed [] refused [] ask the API server whether this account may patch Jobs: no answer; asked for [list patch]", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked := []string{}
			kube := fake.NewClientset()
			kube.PrependReactor("create", "selfsubjectaccessreviews", func(action clienttesting.Action) (bool, runtime.Object, error) {
				review := action.(clienttesting.CreateAction).GetObject().(*authorizationv1.SelfSubjectAccessReview)
				attributes := review.Spec.ResourceAttributes
				if attributes.Group != "batch" || attributes.Resource != "jobs" {
					t.Errorf("asked about %+v", attributes)
				}
				asked = append(asked, attributes.Verb)
				review.Status.Allowed = attributes.Verb != c.denied
				if attributes.Verb == c.failed {
					return true, nil, errors.New("no answer")
				}
				return true, review, nil
			})
			var logged lines
			given := slices.Clone(c.kinds)
			managed, refused, err := leaveJobs(t.Context(), kube, c.kinds, logged.log())
			if got := fmt.Sprint("managed ", names(managed), " refused ", names(refused), " ", err, "; asked for ", asked); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
			if got := logged.take(); !slices.Equal(got, c.logged) {
				t.Errorf("logged\n%q, want\n%q", got, c.logged)
			}
			if !slices.Equal(c.kinds, given) {
				t.Errorf("the given kinds were changed: %v", names(c.kinds))
			}
		})
	}
}
