package controller_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/apiserver"
)

// TestTheOrderOfWrites has the fence in it, too: every write of a count is refused unless the object is as it was seen.
func TestTheOrderOfWrites(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Create(scalingtest.Deployment("worker", 0, onOrders(nil)))
		w.Set("orders", 12)
		w.AwaitReplicas("worker", 3, 5*time.Second)
		w.Set("orders", 0)
		w.Advance(time.Minute)
		w.Set("orders", 7)
		w.AwaitReplicas("worker", 2, 5*time.Second)
		w.Advance(time.Minute)
		w.WantWrites("worker",
			"patch deployments.apps/scale replicas=3",
			"patch deployments.apps annotations=autoscale.io/state",
			"patch deployments.apps annotations=autoscale.io/status",
			"patch deployments.apps/scale replicas=1",
			"patch deployments.apps annotations=autoscale.io/state",
			"patch deployments.apps/scale replicas=0",
			"patch deployments.apps annotations=autoscale.io/status",
			"patch deployments.apps/scale replicas=2",
			"patch deployments.apps annotations=autoscale.io/state",
			"patch deployments.apps annotations=autoscale.io/status",
		)
		wantEvents(w, "worker",
			"ScaledUp: 0 → 3 replicas: trigger orders: 12 at a target of 5 each asks for 3 replicas; waking from 0 to 3 replicas",
			"ScaledDown: 3 → 1 replicas: trigger orders: 0 at a target of 5 each is not above its activation of 0",
			"ScaledDown: 1 → 0 replicas: no work seen since 00:00:00Z; the cooldown is over; scaling from 1 to zero",
			"ScaledUp: 0 → 2 replicas: trigger orders: 7 at a target of 5 each asks for 2 replicas; waking from 0 to 2 replicas",
		)
	})
}

func TestFaultsOfTheWriteOfACount(t *testing.T) {
	const (
		scaled = "ScaledUp: 1 → 3 replicas: trigger orders: 12 at a target of 5 each asks for 3 replicas"
		failed = "ScaleFailed: scale deployments.apps shop/worker from 1 to 3: "
	)
	for name, test := range map[string]struct {
		fault  apiserver.Fault
		scales []string
		events []string
	}{
		"a conflict is tried again at once": {
			apiserver.Fault{Err: conflict(), Times: 1},
			[]string{"patch deployments.apps/scale: Conflict", "patch deployments.apps/scale replicas=3"}, []string{scaled},
		},
		"conflicts without end": {
			apiserver.Fault{Err: conflict(), Times: 9},
			append(slices.Repeat([]string{"patch deployments.apps/scale: Conflict"}, 9), "patch deployments.apps/scale replicas=3"),
			[]string{failed + conflict().Error(), failed + conflict().Error(), scaled},
		},
		"the answer is lost": {
			apiserver.Fault{Err: errors.New("EOF"), TakesEffect: true, Times: 1},
			[]string{"patch deployments.apps/scale replicas=3"},
			[]string{
				failed + `Patch "https://api.test/apis/apps/v1/namespaces/shop/deployments/worker/scale?fieldManager=autoscale.io": EOF`,
				"ScaledByOther: autoscale.io (scale) changed replicas from 1 to 3",
			},
		},
		"the API server fails": {
			apiserver.Fault{Err: apierrors.NewInternalError(errors.New("etcd is away")), Times: 2},
			[]string{"patch deployments.apps/scale: InternalError", "patch deployments.apps/scale: InternalError", "patch deployments.apps/scale replicas=3"},
			[]string{failed + "Internal error occurred: etcd is away", failed + "Internal error occurred: etcd is away", scaled},
		},
		"the call takes longer than its reconcile may": {
			apiserver.Fault{Before: 11 * time.Second, Times: 1},
			[]string{"patch deployments.apps/scale replicas=3"}, []string{scaled},
		},
	} {
		t.Run(name, func(t *testing.T) {
			scalingtest.Run(t, func(w *scalingtest.World) {
				w.Create(scalingtest.Deployment("worker", 1, onOrders(settings{"min-replicas": "1"})))
				w.Advance(5 * time.Second)
				test.fault.Match = patchesScale
				w.API.Inject(test.fault)
				w.Set("orders", 12)
				w.AwaitReplicas("worker", 3, time.Minute)
				w.Advance(time.Minute)
				w.WantCounts("worker", 1, 3)
				wantScales(w, "worker", test.scales...)
				wantEvents(w, "worker", test.events...)
			})
		})
	}
}

// TestACountThatAnotherWriterSetMeanwhile has a decision for a count that is not live any more.
func TestACountThatAnotherWriterSetMeanwhile(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.API.DelayWatches(deployments(), 10*time.Second)
		w.Create(scalingtest.Deployment("worker", 1, onOrders(settings{"min-replicas": "1"})))
		w.Advance(30 * time.Second)
		w.Scale("worker", 7)
		w.Set("orders", 12)
		w.Advance(5 * time.Second)
		wantScales(w, "worker",
			"patch deployments.apps/scale: Conflict",
			"patch deployments.apps/scale replicas=3",
		)
		wantEvents(w, "worker",
			"ScaledByOther: kubectl (scale) changed replicas from 1 to 7",
			"ScaledDown: 7 → 3 replicas: trigger orders: 12 at a target of 5 each asks for 3 replicas",
		)
		wantCounted(w, w.Leader().Metrics.Scales, `
			# HELP autoscale_scales_total Writes of replicas, by direction (up, down) and outcome (ok, conflict, error).
			# TYPE autoscale_scales_total counter
			autoscale_scales_total{direction="down",outcome="ok"} 1
			autoscale_scales_total{direction="up",outcome="conflict"} 1
		`)
	})
}

// TestTheEventOfAnOwnWriteBeforeItsAnswer has a watch that is faster than the answers.
func TestTheEventOfAnOwnWriteBeforeItsAnswer(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.API.DelayWatches(deployments(), 0)
		w.API.Inject(apiserver.Fault{Match: patchesMetadata, After: 5 * time.Millisecond})
		w.Create(scalingtest.Deployment("worker", 0, onOrders(nil)))
		w.Set("orders", 12)
		w.AwaitReplicas("worker", 3, 5*time.Second)
		w.Set("orders", 0)
		w.Advance(time.Minute)
		w.WantCounts("worker", 0, 3, 1, 0)
		w.WantWrites("worker",
			"patch deployments.apps/scale replicas=3",
			"patch deployments.apps annotations=autoscale.io/state",
			"patch deployments.apps annotations=autoscale.io/status",
			"patch deployments.apps/scale replicas=1",
			"patch deployments.apps annotations=autoscale.io/state",
			"patch deployments.apps/scale replicas=0",
			"patch deployments.apps annotations=autoscale.io/status",
		)
	})
}

// TestACountThatIsSetDuringAWriteOfMetadata has the answer of the status tell of a generation that a person has moved.
// The event about that comes later.
func TestACountThatIsSetDuringAWriteOfMetadata(t *testing.T) {
	for name, object := range map[string]runtime.Object{
		"Deployment":  scalingtest.Deployment("worker", 1, onOrders(settings{"min-replicas": "1"})),
		"StatefulSet": scalingtest.StatefulSet("worker", 1, onOrders(settings{"min-replicas": "1"})),
	} {
		t.Run(name, func(t *testing.T) {
			scalingtest.Run(t, func(w *scalingtest.World) {
				w.Create(object)
				w.Advance(20 * time.Second)
				isStatus := func(c apiserver.Call) bool {
					return c.User == scalingtest.Autoscaler && c.Verb == "patch" && c.Subresource == ""
				}
				w.API.Inject(apiserver.Fault{Match: isStatus, Before: 500 * time.Millisecond, Times: 1})
				w.API.DelayWatches(deployments(), time.Second)
				w.API.DelayWatches(schema.GroupResource{Group: "apps", Resource: "statefulsets"}, time.Second)
				w.Break("orders", "connection refused")
				w.AwaitEvent("worker", "TriggerUnknown", "connection refused", 5*time.Second)
				w.Scale("worker", 5)
				w.Advance(5 * time.Second)
				w.Set("orders", 1)
				w.AwaitReplicas("worker", 1, 10*time.Second)
				w.WantCounts("worker", 1, 5, 1)
			})
		})
	}
}

// TestAWatchThatIsCut loses no wake-up: what happens while there is no watch is seen by the next one.
func TestAWatchThatIsCut(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Create(scalingtest.Deployment("worker", 2, onOrders(settings{"min-replicas": "2"})))
		w.Advance(5 * time.Second)
		remove := w.API.Inject(apiserver.Fault{Match: calls("watch", "deployments"), Err: apierrors.NewInternalError(errors.New("no watches"))})
		removeList := w.API.Inject(apiserver.Fault{Match: calls("list", "deployments"), Err: apierrors.NewInternalError(errors.New("no lists"))})
		w.API.CutWatches(deployments())
		w.Scale("worker", 5)
		w.Advance(5 * time.Second)
		if got := w.Replicas("worker"); got != 5 {
			t.Errorf("%d replicas while the autoscaler cannot see, want 5", got)
		}
		remove()
		removeList()
		w.AwaitReplicas("worker", 2, time.Minute)
		wantEvents(w, "worker",
			"ScaledByOther: kubectl (scale) changed replicas from 2 to 5",
			"ScaledDown: 5 → 2 replicas: trigger orders: 0 at a target of 5 each asks for 0 replicas; raised to min-replicas 2",
		)
	})
}

// TestManyWriteAtATime has more workloads than workers.
func TestManyWriteAtATime(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		var names []string
		for i := range 80 {
			names = append(names, "worker-"+string(rune('a'+i/26))+string(rune('a'+i%26)))
		}
		for _, name := range names {
			w.Create(scalingtest.Deployment(name, 1, onOrders(nil)))
		}
		w.Set("orders", 12)
		for _, name := range names {
			w.AwaitReplicas(name, 3, 5*time.Second)
			w.WantCounts(name, 1, 3)
		}
		if got := len(slices.Compact(names)); got != 80 {
			t.Errorf("%d names", got)
		}
	})
}
