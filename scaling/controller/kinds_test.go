package controller_test

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"autoscale.io/scaling/controller"
	"autoscale.io/scaling/scalingtest"
)

func TestParseKind(t *testing.T) {
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, gvk := range []schema.GroupVersionKind{
		{Group: "apps", Version: "v1", Kind: "Deployment"}, {Group: "argoproj.io", Version: "v1alpha1", Kind: "Rollout"}, {Group: "batch", Version: "v1", Kind: "CronJob"},
	} {
		mapper.Add(gvk, meta.RESTScopeNamespace)
	}
	for text, want := range map[string]string{
		"deployments.apps":              "apps/v1, Kind=Deployment",
		"rollouts.argoproj.io":          "argoproj.io/v1alpha1, Kind=Rollout",
		"rollouts.v1alpha1.argoproj.io": "argoproj.io/v1alpha1, Kind=Rollout",
		"cronjobs.batch":                "batch/v1, Kind=CronJob",
	} {
		kind, err := controller.ParseKind(text, mapper)
		if err != nil || kind.GroupVersionKind.String() != want {
			t.Errorf("%s: got %s and %v, want %s", text, kind.GroupVersionKind, err, want)
		}
	}
	_, err := controller.ParseKind("pets.example.com", mapper)
	const want = `kind "pets.example.com": the API server does not serve it; want RESOURCE.GROUP such as deployments.apps: no matches for example.com/, Resource=pets`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if got, want := controller.DefaultKinds(), []string{"deployments.apps", "statefulsets.apps", "jobs.batch", "cronjobs.batch"}; !slices.Equal(got, want) {
		t.Errorf("the default kinds are %q, want %q", got, want)
	}
}

// TestAKindThatIsServedLate is managed from then on; what was there before is found by a sweep.
func TestAKindThatIsServedLate(t *testing.T) {
	kinds := scalingtest.DefaultKinds()
	scalingtest.RunWith(t, scalingtest.Options{Kinds: kinds[:1]}, func(w *scalingtest.World) {
		w.Create(scalingtest.StatefulSet("db", 1, onOrders(nil)), scalingtest.Deployment("worker", 1, onOrders(nil)))
		w.Set("orders", 12)
		w.Advance(10 * time.Minute)
		w.WantCounts("db", 1)
		w.WantCounts("worker", 1, 3)
		w.Leader().AddKind(kinds[1])
		w.AwaitReplicas("db", 3, 10*time.Second)
	})
}
