package controller_test

import (
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"autoscale.io/annotations"
	"autoscale.io/scaling/decide"
	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/apiserver"
)

// TestNoZeroWithoutItsMark fails the write of the mark, and no zero is written before it succeeds.
func TestNoZeroWithoutItsMark(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Create(scalingtest.Deployment("worker", 1, onOrders(nil)))
		w.Advance(2 * time.Second)
		remove := w.API.Inject(apiserver.Fault{Match: patchesMetadata, Err: apierrors.NewInternalError(errors.New("no patches"))})
		w.Advance(time.Minute)
		w.WantCounts("worker", 1)
		if w.State("worker").Zero {
			t.Error("the mark was written")
		}
		remove()
		w.AwaitReplicas("worker", 0, 10*time.Minute)
		if !w.State("worker").Zero {
			t.Error("the zero has no mark")
		}
		wantScales(w, "worker", "patch deployments.apps/scale replicas=0")
	})
}

// TestTheMarkOfAZeroIsClearedLate has a rise whose mark cannot be cleared at first. A zero by a person is then a
// person's as soon as it is.
func TestTheMarkOfAZeroIsClearedLate(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Create(scalingtest.Deployment("worker", 1, onOrders(nil)))
		w.AwaitReplicas("worker", 0, time.Minute)
		w.Advance(15 * time.Second)
		remove := w.API.Inject(apiserver.Fault{Match: patchesMetadata, Err: apierrors.NewInternalError(errors.New("no patches"))})
		w.Set("orders", 12)
		w.AwaitReplicas("worker", 3, 5*time.Second)
		if !w.State("worker").Zero {
			t.Error("the mark was cleared")
		}
		remove()
		w.Await("the mark to be cleared", 10*time.Minute, func() error {
			if w.State("worker").Zero {
				return errors.New("it stands")
			}
			return nil
		})
		w.Scale("worker", 0)
		w.Advance(time.Minute)
		w.WantCounts("worker", 1, 0, 3, 0)
		if got := w.Decision("worker").Reason; got != decide.ZeroByUser {
			t.Errorf("the reason of the decision is %s", got)
		}
		w.Scale("worker", 1)
		w.AwaitReplicas("worker", 3, 10*time.Second)
	})
}

// TestTheMarkOfAZeroThatWasNotWritten is one of a writer that ended between the two writes.
func TestTheMarkOfAZeroThatWasNotWritten(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Create(scalingtest.Deployment("worker", 1, onOrders(nil)))
		w.Advance(2 * time.Second)
		w.API.Inject(apiserver.Fault{Match: patchesScale, Err: errors.New("connection refused")})
		w.Await("the mark", time.Minute, func() error {
			if !w.State("worker").Zero {
				return errors.New("none")
			}
			return nil
		})
		w.Set("orders", 5)
		w.Advance(time.Minute)
		if w.State("worker").Zero {
			t.Error("the mark stayed on a workload that runs")
		}
		w.WantCounts("worker", 1)
	})
}

// TestAStateOfAnotherObject is one that a backup has brought back: it counts for nothing, so the count of now is the
// one from before adoption.
func TestAStateOfAnotherObject(t *testing.T) {
	scalingtest.RunWith(t, scalingtest.Options{NoWebhook: true}, func(w *scalingtest.World) {
		d := scalingtest.Deployment("worker", 4, onOrders(settings{"min-replicas": "1"}))
		d.Annotations[annotations.StateKey] = `{"uid":"other","replicas":9,"zero":true}`
		d.Labels = map[string]string{annotations.Bucket: annotations.BucketLabel("", annotations.BucketOf("apps", "Deployment", scalingtest.Namespace, "worker"))}
		w.Create(d)
		w.AwaitReplicas("worker", 1, time.Minute)
		state := w.State("worker")
		if state.Replicas == nil || *state.Replicas != 4 || state.Zero || state.UID != w.Get("worker").GetUID() {
			t.Errorf("the state is %s", state)
		}
		wantEvents(w, "worker",
			"ScaledDown: 4 → 1 replicas: trigger orders: 0 at a target of 5 each asks for 0 replicas; raised to min-replicas 1",
		)
	})
}
