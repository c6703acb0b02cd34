package controller_test

import (
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/apiserver"
)

func TestAScaleDownWaitsForARollout(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Set("orders", 20)
		w.Create(scalingtest.Deployment("worker", 4, onOrders(settings{"min-replicas": "1"})))
		w.Advance(20 * time.Second)
		w.SetStatus("worker", `{"replicas":5,"updatedReplicas":1}`)
		w.Set("orders", 0)
		w.Advance(20 * time.Second)
		w.SetStatus("worker", `{"replicas":5,"updatedReplicas":3}`)
		w.Advance(20 * time.Second)
		w.WantCounts("worker", 4)
		w.Set("orders", 30) // nothing holds back a rise
		w.AwaitReplicas("worker", 6, 2*time.Second)
		w.Set("orders", 0)
		w.Advance(20 * time.Second)
		w.WantCounts("worker", 4, 6)
		w.SetStatus("worker", `{"replicas":6,"updatedReplicas":6}`)
		w.AwaitReplicas("worker", 1, 2*time.Second)
		wantEvents(w, "worker",
			"ScaledUp: 4 → 6 replicas: trigger orders: 30 at a target of 5 each asks for 6 replicas",
			"ScaledDown: 6 → 1 replicas: trigger orders: 0 at a target of 5 each asks for 0 replicas; raised to min-replicas 1",
		)
	})
}

// TestARolloutIsReadOnceAtEachOfItsSteps has decisions in between, which need no other read.
func TestARolloutIsReadOnceAtEachOfItsSteps(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Set("orders", 20)
		w.Create(scalingtest.Deployment("worker", 4, onOrders(settings{"min-replicas": "1"})))
		w.Advance(20 * time.Second)
		w.SetStatus("worker", `{"replicas":5,"updatedReplicas":1}`)
		w.Set("orders", 5)
		w.Advance(20 * time.Second) // the status is written, too
		reads := 0
		w.API.Inject(apiserver.Fault{Match: func(c apiserver.Call) bool {
			if calls("get", "deployments")(c) && c.Subresource == "" {
				reads++
			}
			return false
		}})
		for i := range 20 {
			w.Set("orders", float64(5*(i%3)))
			w.Advance(time.Second)
		}
		w.WantCounts("worker", 4)
		if reads != 0 {
			t.Errorf("there were %d reads while nothing happened to the rollout, want none", reads)
		}
		w.SetStatus("worker", `{"replicas":5,"updatedReplicas":3}`)
		w.Advance(10 * time.Second)
		if reads != 1 {
			t.Errorf("there were %d reads for one step of the rollout, want 1", reads)
		}
	})
}

// TestARolloutThatCannotBeRead holds the count until it can.
func TestARolloutThatCannotBeRead(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Set("orders", 20)
		w.Create(scalingtest.Deployment("worker", 4, onOrders(settings{"min-replicas": "1"})))
		w.Advance(20 * time.Second)
		remove := w.API.Inject(apiserver.Fault{
			Match: func(c apiserver.Call) bool { return calls("get", "deployments")(c) && c.Subresource == "" }, Err: apierrors.NewInternalError(errors.New("no reads")),
		})
		w.Set("orders", 0)
		w.Advance(20 * time.Second)
		w.WantCounts("worker", 4)
		remove()
		w.AwaitReplicas("worker", 1, time.Minute)
		wantScales(w, "worker", "patch deployments.apps/scale replicas=1")
	})
}

// TestAPauseAtACountWaitsForNoRollout has a person who wants that count now.
func TestAPauseAtACountWaitsForNoRollout(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Set("orders", 20)
		w.Create(scalingtest.Deployment("worker", 4, onOrders(settings{"min-replicas": "1"})))
		w.SetStatus("worker", `{"replicas":5,"updatedReplicas":1}`)
		w.Advance(5 * time.Second)
		if err := w.Annotate("worker", settings{"pause": "2"}); err != nil {
			t.Fatal(err)
		}
		w.AwaitReplicas("worker", 2, 5*time.Second)
		wantEvents(w, "worker",
			"ScaledDown: 4 → 2 replicas: paused at 2 replicas",
		)
	})
}
