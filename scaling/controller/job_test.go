package controller_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/apiserver"
)

// jobAt is a Job with that many pods that run, and a source that asks for as many.
func jobAt(w *scalingtest.World, n int32, more settings) {
	w.Helper()
	w.RunPods()
	w.Set("orders", float64(5*n))
	s := settings{"min-replicas": "1"}
	for key, value := range more {
		s[key] = value
	}
	w.Create(scalingtest.Job("worker", n, onOrders(s)))
	w.Await("all pods", time.Minute, func() error {
		if got := len(w.Pods("worker")); got != int(n) {
			return fmt.Errorf("there are %d", got)
		}
		return nil
	})
	w.Advance(15 * time.Second)
}

func wantNoneCutShort(w *scalingtest.World) {
	w.Helper()
	if cut := w.CutShort(); len(cut) > 0 {
		w.Errorf("these pods were deleted while they ran: %v", cut)
	}
}

// TestALoweredJobWaitsForItsPods ends no pod that runs, and says once what it waits for.
func TestALoweredJobWaitsForItsPods(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		jobAt(w, 4, nil)
		w.Set("orders", 5)
		w.Advance(30 * time.Second)
		w.WantCounts("worker", 4)
		w.EndPods("worker", 2, corev1.PodSucceeded)
		w.AwaitReplicas("worker", 2, 5*time.Second)
		w.Advance(30 * time.Second)
		w.EndPods("worker", 1, corev1.PodFailed)
		w.AwaitReplicas("worker", 1, 5*time.Second)
		w.Advance(30 * time.Second)
		w.WantCounts("worker", 4, 2, 1)
		wantScales(w, "worker", "patch jobs.batch parallelism=2", "patch jobs.batch parallelism=1")
		wantEvents(w, "worker",
			"ScaleDownWaits: holding 4 until a pod ends: trigger orders: 5 at a target of 5 each asks for 1 replica",
			"ScaledDown: 4 → 2 replicas: trigger orders: 5 at a target of 5 each asks for 1 replica; holding 2 until a pod ends",
			"ScaledDown: 2 → 1 replicas: trigger orders: 5 at a target of 5 each asks for 1 replica",
		)
		wantNoneCutShort(w)
	})
}

// TestALoweredJobThatIsWantedAgain ends its way down.
func TestALoweredJobThatIsWantedAgain(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		jobAt(w, 3, nil)
		w.Set("orders", 5)
		w.Advance(10 * time.Second)
		w.Set("orders", 15)
		w.Advance(5 * time.Second)
		w.EndPods("worker", 1, corev1.PodSucceeded)
		w.Advance(10 * time.Second)
		w.WantCounts("worker", 3)
		w.Set("orders", 25)
		w.AwaitReplicas("worker", 5, 5*time.Second)
		wantNoneCutShort(w)
	})
}

// TestALoweredJobThatAPersonRaises begins its way down anew from there.
func TestALoweredJobThatAPersonRaises(t *testing.T) {
	scalingtest.RunWith(t, scalingtest.Options{NoWebhook: true, SweepInterval: 3 * time.Second}, func(w *scalingtest.World) {
		jobAt(w, 2, nil)
		w.Set("orders", 5)
		w.Advance(10 * time.Second)
		w.Scale("worker", 4)
		w.Advance(20 * time.Second)
		w.WantCounts("worker", 2, 4)
		w.EndPods("worker", 3, corev1.PodSucceeded)
		w.AwaitReplicas("worker", 1, 5*time.Second)
		wantEvents(w, "worker",
			"Adopted: found with annotations and without the managed label; managed from 2 replicas on",
			"ScaleDownWaits: holding 2 until a pod ends: trigger orders: 5 at a target of 5 each asks for 1 replica",
			"ScaledByOther: kubectl changed replicas from 2 to 4",
			"ScaleDownWaits: holding 4 until a pod ends: trigger orders: 5 at a target of 5 each asks for 1 replica",
			"ScaledDown: 4 → 1 replicas: trigger orders: 5 at a target of 5 each asks for 1 replica",
		)
		wantNoneCutShort(w)
	})
}

// TestAJobToZero marks the zero before it is written.
func TestAJobToZero(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		jobAt(w, 1, settings{"min-replicas": "0"})
		w.Set("orders", 0)
		w.Advance(20 * time.Second)
		w.EndPods("worker", 1, corev1.PodFailed)
		w.Advance(20 * time.Second)
		w.Await("a zero", time.Minute, func() error {
			if w.Replicas("worker") == 0 {
				return nil
			}
			if len(w.Pods("worker")) > 0 {
				w.EndPods("worker", 1, corev1.PodFailed)
			}
			return errors.New("not yet")
		})
		if !w.State("worker").Zero {
			t.Error("the zero has no mark")
		}
		w.Set("orders", 10)
		w.AwaitReplicas("worker", 2, 5*time.Second)
		w.Advance(time.Second)
		if w.State("worker").Zero {
			t.Error("the mark stayed")
		}
		wantNoneCutShort(w)
	})
}

// TestPodsThatCannotBeListed holds the parallelism and says why.
func TestPodsThatCannotBeListed(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		jobAt(w, 2, nil)
		remove := w.API.Inject(apiserver.Fault{Match: calls("list", "pods"), Err: forbidden("pods", "no rights")})
		removeWatch := w.API.Inject(apiserver.Fault{Match: calls("watch", "pods"), Err: forbidden("pods", "no rights")})
		w.Set("orders", 5)
		w.AwaitEvent("worker", "ScaleFailed", `hold the parallelism of jobs.batch shop/worker at 2: watch the pods that still run: failed to list`, 10*time.Second)
		w.EndPods("worker", 1, corev1.PodSucceeded)
		w.Advance(5 * time.Second)
		w.WantCounts("worker", 2)
		remove()
		removeWatch()
		w.Await("pods", time.Minute, func() error {
			if len(w.Pods("worker")) > 0 {
				return nil
			}
			return errors.New("none")
		})
		w.Advance(2 * time.Minute)
		w.EndPods("worker", 1, corev1.PodSucceeded)
		w.AwaitReplicas("worker", 1, 10*time.Second)
		wantNoneCutShort(w)
	})
}

// TestAWriteOfAJobThatComesTooLate is given up: a pod that is created meanwhile would be one too many.
func TestAWriteOfAJobThatComesTooLate(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		jobAt(w, 2, nil)
		w.Set("orders", 5)
		w.Advance(20 * time.Second)
		w.API.Inject(apiserver.Fault{Match: calls("patch", "jobs"), Before: 3 * time.Second, Times: 1})
		w.EndPods("worker", 1, corev1.PodSucceeded)
		w.Advance(20 * time.Second)
		w.WantCounts("worker", 2)
		w.EndPods("worker", 1, corev1.PodSucceeded)
		w.AwaitReplicas("worker", 1, 10*time.Second)
		wantEvents(w, "worker",
			"ScaleDownWaits: holding 2 until a pod ends: trigger orders: 5 at a target of 5 each asks for 1 replica",
			"ScaledDown: 2 → 1 replicas: trigger orders: 5 at a target of 5 each asks for 1 replica",
		)
		wantNoneCutShort(w)
	})
}

// TestAWriteOfAJobDuringALook is given up, too: the Job is the same version still, but the Job controller has begun to
// replace the pod that ended.
func TestAWriteOfAJobDuringALook(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		jobAt(w, 2, nil)
		w.Set("orders", 5)
		w.Advance(20 * time.Second)
		w.API.Inject(apiserver.Fault{
			Match:  func(c apiserver.Call) bool { return c.Resource.Resource == "jobs" && c.Subresource == "status" },
			Before: 150 * time.Millisecond, Times: 1,
		})
		w.API.Inject(apiserver.Fault{Match: calls("patch", "jobs"), Before: 650 * time.Millisecond, Times: 1})
		w.EndPods("worker", 1, corev1.PodSucceeded)
		w.Advance(20 * time.Second)
		wantNoneCutShort(w)
		w.WantCounts("worker", 2)
	})
}

// TestARateHoldsOnTheWayDown counts what the pods' ends have made of one decision as one change, and as the autoscaler's.
func TestARateHoldsOnTheWayDown(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		jobAt(w, 10, settings{"behavior": "{scaleDown: {stabilizationWindowSeconds: 0, policies: [{type: Pods, value: 4, periodSeconds: 60}]}}"})
		w.Set("orders", 5)
		w.Advance(5 * time.Second)
		w.EndPods("worker", 3, corev1.PodFailed)
		w.AwaitReplicas("worker", 7, 5*time.Second)
		w.Advance(5 * time.Second)
		w.EndPods("worker", 3, corev1.PodFailed)
		w.Advance(20 * time.Second)
		w.WantCounts("worker", 10, 7, 6)
		w.Advance(time.Minute)
		w.EndPods("worker", 2, corev1.PodFailed)
		w.AwaitReplicas("worker", 4, 5*time.Second)
		wantNoneCutShort(w)
	})
}

func TestAJobIsLeftAlone(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Set("orders", 15)
		job := scalingtest.Job("worker", 1, onOrders(settings{"min-replicas": "1"}))
		job.Labels = map[string]string{"kueue.x-k8s.io/queue-name": "main"}
		w.Create(job)
		w.Advance(20 * time.Second)
		w.WantCounts("worker", 1)
		w.AwaitCondition("worker", "Active", "LeftAlone", "Kueue admits this Job (label kueue.x-k8s.io/queue-name: main)", 20*time.Second)
		if err := w.Patch("worker", `{"metadata":{"labels":{"kueue.x-k8s.io/queue-name":null}}}`); err != nil {
			t.Fatal(err)
		}
		w.AwaitReplicas("worker", 3, 5*time.Second)
	})
}

// TestAJobWhoseLeaseEndsOnTheWayDown is lowered by the next leader.
func TestAJobWhoseLeaseEndsOnTheWayDown(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		jobAt(w, 2, nil)
		w.Set("orders", 5)
		w.AwaitEvent("worker", "ScaleDownWaits", "holding 2 until a pod ends", 10*time.Second)
		w.Restart()
		w.Advance(10 * time.Second)
		w.EndPods("worker", 1, corev1.PodSucceeded)
		w.AwaitReplicas("worker", 1, 10*time.Second)
		w.WantCounts("worker", 2, 1)
		wantNoneCutShort(w)
	})
}

// TestAJobThatIsDeletedOnTheWayDown and made anew is counted anew.
func TestAJobThatIsDeletedOnTheWayDown(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		jobAt(w, 3, nil)
		w.Set("orders", 5)
		w.AwaitEvent("worker", "ScaleDownWaits", "holding 3 until a pod ends", 10*time.Second)
		w.Delete("worker")
		w.Create(scalingtest.Job("worker", 2, onOrders(settings{"min-replicas": "1"})))
		w.Advance(30 * time.Second)
		w.WantCounts("worker", 2)
		w.EndPods("worker", 1, corev1.PodSucceeded)
		w.AwaitReplicas("worker", 1, 5*time.Second)
		w.WantCounts("worker", 2, 1)
	})
}

// TestAJobThatIsDeletedOnTheWayDownIsNotWatchedAnyMore ends the watch of its pods.
func TestAJobThatIsDeletedOnTheWayDownIsNotWatchedAnyMore(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		jobAt(w, 3, nil)
		w.Set("orders", 5)
		w.AwaitEvent("worker", "ScaleDownWaits", "holding 3 until a pod ends", 10*time.Second)
		again := 0
		w.API.Inject(apiserver.Fault{Match: func(c apiserver.Call) bool {
			if calls("watch", "pods")(c) {
				again++
			}
			return false
		}})
		for _, want := range []int{1, 0} { // of the Job that is there, and of the one that is not
			again = 0
			w.API.CutWatches(schema.GroupResource{Resource: "pods"})
			w.Advance(10 * time.Second)
			if again != want {
				w.Errorf("the pods were watched again %d times after the watches were cut, want %d", again, want)
			}
			if want == 1 {
				w.Delete("worker")
				w.Advance(5 * time.Second)
			}
		}
	})
}

// TestThePatchOfAJobFails says so and tries again.
func TestThePatchOfAJobFails(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		jobAt(w, 2, nil)
		w.API.Inject(apiserver.Fault{Match: calls("patch", "jobs"), Err: apierrors.NewInternalError(errors.New("etcd is away")), Times: 1})
		w.Set("orders", 20)
		w.AwaitReplicas("worker", 4, 10*time.Second)
		wantEvents(w, "worker",
			"ScaleFailed: scale jobs.batch shop/worker from 2 to 4: Internal error occurred: etcd is away",
			"ScaledUp: 2 → 4 replicas: trigger orders: 20 at a target of 5 each asks for 4 replicas",
		)
	})
}
