package controller_test

import (
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/apiserver"
	"autoscale.io/scaling/shards"
)

// failLeases lets nobody renew or take a Lease, until that is removed.
func failLeases(w *scalingtest.World) (remove func()) {
	return w.API.Inject(apiserver.Fault{
		Match: func(c apiserver.Call) bool { return c.Resource.Resource == "leases" }, Err: apierrors.NewInternalError(errors.New("no leases")),
	})
}

// TestALeaseThatEndsDuringAWrite has a write that takes effect only if nothing ends it before.
func TestALeaseThatEndsDuringAWrite(t *testing.T) {
	scalingtest.RunWith(t, scalingtest.Options{Lease: shards.DefaultTimes()}, func(w *scalingtest.World) {
		w.Create(scalingtest.Deployment("worker", 1, onOrders(settings{"min-replicas": "1"})))
		w.Advance(5 * time.Second)
		remove := failLeases(w)
		w.Advance(4 * time.Second)
		w.API.Inject(apiserver.Fault{Match: patchesScale, Before: 9500 * time.Millisecond, Times: 1})
		w.Set("orders", 12)
		w.Advance(time.Minute)
		w.WantCounts("worker", 1)
		wantEvents(w, "worker")
		remove()
		w.AwaitReplicas("worker", 3, time.Minute)
		w.Advance(time.Second)
		w.WantCounts("worker", 1, 3)
		wantEvents(w, "worker", "ScaledUp: 1 → 3 replicas: trigger orders: 12 at a target of 5 each asks for 3 replicas")
	})
}

// TestAHandover has a replica that ends in good order and one that takes over what it had.
func TestAHandover(t *testing.T) {
	scalingtest.RunWith(t, scalingtest.Options{Replicas: 2}, func(w *scalingtest.World) {
		w.Advance(time.Minute)
		names := []string{"a", "b", "c", "d", "e", "f"}
		for _, name := range names {
			w.Create(scalingtest.Deployment(name, 1, onOrders(nil)))
		}
		w.Set("orders", 12)
		w.Advance(5 * time.Second)
		w.Leader().Stop()
		w.Set("orders", 24)
		for _, name := range names {
			w.AwaitReplicas(name, 5, 10*time.Second)
			w.WantCounts(name, 1, 3, 5)
		}
		w.Start("autoscaler-3")
		w.Advance(time.Minute)
		w.Set("orders", 0)
		w.Advance(time.Minute)
		for _, name := range names {
			w.WantCounts(name, 1, 3, 5, 1, 0)
			if open := w.Source("orders").Open(); open != len(names) {
				t.Errorf("%d scalers are open, want one for each workload", open)
			}
		}
	})
}
