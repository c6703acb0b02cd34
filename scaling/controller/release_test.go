package controller_test

import (
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"autoscale.io/annotations"
	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/apiserver"
)

// remove takes all settings off a workload.
func remove(w *scalingtest.World, name string) {
	w.Helper()
	gone := settings{}
	for key := range onOrders(settings{"on-removal": "restore", "dry-run": "true", "job-mode": "spawn", "job-rollout": "keep"}) {
		gone[key] = ""
	}
	if err := w.Annotate(name, gone); err != nil {
		w.Fatal(err)
	}
}

// wantReleased fails the test if anything of the autoscaler's is left on a workload.
func wantReleased(w *scalingtest.World, name string) {
	w.Helper()
	object := w.Get(name)
	if label, ok := object.GetLabels()[annotations.Bucket]; ok {
		w.Errorf("the label %s stayed", label)
	}
	if left := object.GetAnnotations(); len(left) > 0 {
		w.Errorf("the annotations %v stayed", left)
	}
}

// TestReleaseWithoutTheWebhook removes the annotations while nobody admits.
func TestReleaseWithoutTheWebhook(t *testing.T) {
	for name, test := range map[string]struct {
		settings settings
		// demand is at the removal.
		demand float64
		// before is the count to wait for before the removal.
		before int32
		counts []int32
		note   string
	}{
		"a count is kept":                      {nil, 12, 3, []int32{2, 3}, "Released: the annotations are gone; left at 3 replicas"},
		"a count is restored":                  {settings{"on-removal": "restore"}, 12, 3, []int32{2, 3, 2}, "Released: the annotations are gone; 3 → 2 replicas"},
		"a zero of the autoscaler is no end":   {nil, 0, 0, []int32{2, 1, 0, 2}, "Released: the annotations are gone; 0 → 2 replicas"},
		"a dry run leaves the count alone":     {settings{"on-removal": "restore", "dry-run": "true"}, 12, 2, []int32{2}, "Released: the annotations are gone; left at 2 replicas"},
		"a count that is right is not written": {settings{"on-removal": "restore"}, 10, 2, []int32{2}, "Released: the annotations are gone; left at 2 replicas"},
	} {
		t.Run(name, func(t *testing.T) {
			scalingtest.RunWith(t, scalingtest.Options{NoWebhook: true}, func(w *scalingtest.World) {
				w.Create(scalingtest.Deployment("worker", 2, onOrders(test.settings)))
				w.Set("orders", test.demand)
				w.AwaitReplicas("worker", test.before, 4*time.Minute)
				w.Advance(30 * time.Second)
				remove(w, "worker")
				w.Advance(time.Second)
				wantReleased(w, "worker")
				w.Set("orders", 50)
				w.Advance(10 * time.Minute)
				w.WantCounts("worker", test.counts...)
				all := texts(w, "worker")
				if got := all[len(all)-1]; got != test.note {
					t.Errorf("the last event is %q, want %q", got, test.note)
				}
			})
		})
	}
}

// TestReleaseOfADryRun restores nothing: the count of now is somebody else's.
func TestReleaseOfADryRun(t *testing.T) {
	scalingtest.RunWith(t, scalingtest.Options{NoWebhook: true}, func(w *scalingtest.World) {
		w.Create(scalingtest.Deployment("worker", 2, onOrders(settings{"on-removal": "restore"})))
		w.Set("orders", 12)
		w.AwaitReplicas("worker", 3, 4*time.Minute)
		if err := w.Annotate("worker", settings{"dry-run": "true"}); err != nil {
			t.Fatal(err)
		}
		w.Advance(30 * time.Second)
		remove(w, "worker")
		w.Advance(time.Second)
		wantReleased(w, "worker")
		w.WantCounts("worker", 2, 3)
	})
}

// TestAReleaseIsTriedAgain fails each of its calls once.
func TestAReleaseIsTriedAgain(t *testing.T) {
	scalingtest.RunWith(t, scalingtest.Options{NoWebhook: true}, func(w *scalingtest.World) {
		w.Create(scalingtest.Deployment("worker", 2, onOrders(nil)))
		w.AwaitReplicas("worker", 0, 4*time.Minute)
		w.Advance(30 * time.Second)
		failure := apierrors.NewInternalError(errors.New("etcd is away"))
		w.API.Inject(apiserver.Fault{Match: func(c apiserver.Call) bool { return calls("get", "deployments")(c) && c.Subresource == "scale" }, Err: failure, Times: 1})
		w.API.Inject(apiserver.Fault{Match: patchesScale, Err: failure, Times: 1})
		w.API.Inject(apiserver.Fault{Match: patchesMetadata, Err: failure, Times: 1})
		remove(w, "worker")
		w.Advance(time.Minute)
		wantReleased(w, "worker")
		w.WantCounts("worker", 2, 1, 0, 2)
		wantEvents(w, "worker",
			"Adopted: found with annotations and without the managed label; managed from 2 replicas on",
			"ScaledDown: 2 → 1 replicas: trigger orders: 0 at a target of 5 each is not above its activation of 0",
			"ScaledDown: 1 → 0 replicas: no work seen since 00:00:00Z; the cooldown is over; scaling from 1 to zero",
			"Released: the annotations are gone; 0 → 2 replicas",
		)
	})
}

// TestReleaseOfATemplate leaves its Jobs alone.
func TestReleaseOfATemplate(t *testing.T) {
	scalingtest.RunWith(t, scalingtest.Options{NoWebhook: true}, func(w *scalingtest.World) {
		w.Create(template("mail", nil))
		w.Advance(4 * time.Minute)
		w.Set("orders", 1)
		w.Advance(30 * time.Second)
		remove(w, "mail")
		w.Advance(time.Second)
		wantReleased(w, "mail")
		w.Set("orders", 50)
		w.Advance(10 * time.Minute)
		if got := len(w.Children("mail")); got != 1 {
			t.Errorf("%d Jobs were started, want 1", got)
		}
		wantEvents(w, "mail",
			"Adopted: found with annotations and without the managed label; managed from 1 replicas on",
			"JobsStarted: started 1 Job: trigger orders: 1 at a target of 1 each asks for 1 Job; none runs; starting 1",
			"Released: the annotations are gone; left at 1 replicas",
		)
	})
}

// TestAnObjectThatIsBeingDeleted is left alone from then on.
func TestAnObjectThatIsBeingDeleted(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Create(scalingtest.Deployment("worker", 1, onOrders(settings{"min-replicas": "1"})))
		w.Advance(5 * time.Second)
		if err := w.Patch("worker", `{"metadata":{"finalizers":["example.com/wait"],"deletionTimestamp":"2000-01-01T00:00:05Z"}}`); err != nil {
			t.Fatal(err)
		}
		w.Set("orders", 50)
		w.Advance(time.Minute)
		w.WantCounts("worker", 1)
		if open := w.Source("orders").Open(); open != 0 {
			t.Errorf("%d scalers are open, want none", open)
		}
	})
}
