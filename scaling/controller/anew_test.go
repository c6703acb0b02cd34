package controller_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"autoscale.io/annotations"
	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/apiserver"
)

// makeAnew deletes a workload and creates another of its name while the autoscaler sees nothing of its kind, so that
// both come to it as one change.
func makeAnew(w *scalingtest.World, object runtime.Object) {
	w.Helper()
	resource := deployments()
	if _, ok := object.(*batchv1.Job); ok {
		resource = jobs()
	}
	blind := w.API.Inject(apiserver.Fault{
		Match: func(c apiserver.Call) bool {
			return calls("watch", resource.Resource)(c) || calls("list", resource.Resource)(c)
		},
		Err: errors.New("connection refused"),
	})
	w.API.CutWatches(resource)
	w.Advance(3 * time.Second)
	w.Delete(object.(metav1.Object).GetName())
	w.Create(object)
	blind()
}

// anew is an object that is made anew between two events.
type anew struct {
	options scalingtest.Options
	before  func(*scalingtest.World)
	anew    runtime.Object
	after   func(*scalingtest.World)
	// events are those after it was made anew.
	events []string
}

// TestAnObjectThatIsMadeAnewBetweenTwoEvents is another workload: nothing that the loop remembers of the one before is
// true of it.
func TestAnObjectThatIsMadeAnewBetweenTwoEvents(t *testing.T) {
	for name, test := range map[string]anew{
		"a Deployment whose count another writer took back": {
			before: duelLost,
			anew:   scalingtest.Deployment("worker", 1, onOrders(settings{"min-replicas": "1"})),
			after:  func(w *scalingtest.World) { w.AwaitReplicas("worker", 3, 15*time.Second) },
			events: []string{"ScaledUp: 1 → 3 replicas: trigger orders: 12 at a target of 5 each asks for 3 replicas"},
		},
		"a Deployment that was released": {
			options: scalingtest.Options{NoWebhook: true},
			before:  releasedUnseen,
			anew:    labelledAlone("worker"),
			after:   func(w *scalingtest.World) { w.Advance(30 * time.Second); wantReleased(w, "worker") },
			events:  []string{"Released: the annotations are gone; left at 4 replicas"},
		},
		"a Deployment with the same fault in its annotations": {
			options: scalingtest.Options{NoWebhook: true, SweepInterval: 3 * time.Second},
			before: func(w *scalingtest.World) {
				w.Create(scalingtest.Deployment("worker", 1, onOrders(settings{"max-replicas": "many"})))
				w.AwaitEvent("worker", "InvalidAnnotations", "many", 10*time.Second)
			},
			anew:  labelledWith(scalingtest.Deployment("worker", 1, onOrders(settings{"max-replicas": "many"}))),
			after: func(w *scalingtest.World) { w.Advance(30 * time.Second) },
			events: []string{
				"InvalidAnnotations: replicas stay as they are until this is mended: " +
					"autoscale.io/max-replicas: got \"many\", want a whole number ≥ 1",
			},
		},
	} {
		t.Run(name, test.run)
	}
}

// TestAJobThatIsMadeAnewBetweenTwoEvents is about what the loop remembers of Jobs alone.
func TestAJobThatIsMadeAnewBetweenTwoEvents(t *testing.T) {
	for name, test := range map[string]anew{
		"a Job on its way down": {
			before: func(w *scalingtest.World) {
				jobAt(w, 3, nil)
				w.Set("orders", 5)
				w.AwaitEvent("worker", "ScaleDownWaits", "holding 3 until a pod ends", 10*time.Second)
			},
			anew: scalingtest.Job("worker", 3, onOrders(settings{"min-replicas": "1"})),
			after: func(w *scalingtest.World) {
				w.Advance(30 * time.Second)
				w.WantCounts("worker", 3)
				wantNoneCutShort(w)
			},
			events: []string{"ScaleDownWaits: holding 3 until a pod ends: trigger orders: 5 at a target of 5 each asks for 1 replica"},
		},
		"a Job whose pods are still to come": {
			before: func(w *scalingtest.World) {
				w.Set("orders", 5)
				w.Create(scalingtest.Job("worker", 4, onOrders(settings{"min-replicas": "4"})))
				w.Advance(20 * time.Second)
			},
			anew:   scalingtest.Job("worker", 4, onOrders(settings{"min-replicas": "1"})),
			after:  wantPodsAwaited,
			events: []string{"ScaledDown: 4 → 1 replicas: trigger orders: 5 at a target of 5 each asks for 1 replica"},
		},
		"a template whose Jobs were refused": {
			before: func(w *scalingtest.World) {
				w.API.Inject(apiserver.Fault{Match: createsJobs, Err: forbidden("jobs", "exceeded quota")})
				w.Create(template("mail", settings{"polling-interval": "20s"}))
				w.Set("orders", 1)
				w.AwaitCondition("mail", "Ready", "JobsFailed", "exceeded quota", 40*time.Second)
				w.Set("orders", 0)
				w.Advance(15 * time.Second)
			},
			anew:  template("mail", settings{"polling-interval": "20s"}),
			after: func(w *scalingtest.World) { w.AwaitCondition("mail", "Ready", "Reading", "", 20*time.Second) },
		},
	} {
		t.Run(name, test.run)
	}
}

func (test anew) run(t *testing.T) {
	scalingtest.RunWith(t, test.options, func(w *scalingtest.World) {
		test.before(w)
		name := test.anew.(metav1.Object).GetName()
		told := len(w.Events(name))
		makeAnew(w, test.anew.DeepCopyObject())
		test.after(w)
		if got := texts(w, name)[told:]; !slices.Equal(got, test.events) {
			w.Errorf("its events are\n%s\nwant\n%s", lines(got), lines(test.events))
		}
	})
}

// duelLost has another writer that takes each count back, so that the loop stands back.
func duelLost(w *scalingtest.World) {
	w.Helper()
	w.Create(scalingtest.Deployment("worker", 1, onOrders(settings{"min-replicas": "1"})))
	w.Set("orders", 12)
	for range 4 {
		w.AwaitReplicas("worker", 3, time.Minute)
		w.Advance(500 * time.Millisecond)
		w.Scale("worker", 1)
	}
}

// releasedUnseen has a release whose own event is still to come.
func releasedUnseen(w *scalingtest.World) {
	w.Helper()
	w.Create(scalingtest.Deployment("worker", 2, onOrders(nil)))
	w.Set("orders", 12)
	w.AwaitReplicas("worker", 3, 4*time.Minute)
	w.Advance(30 * time.Second)
	w.API.DelayWatches(deployments(), 10*time.Second)
	remove(w, "worker")
	w.AwaitEvent("worker", "Released", "left at 3 replicas", 11*time.Second)
	wantReleased(w, "worker")
}

// labelledAlone is what a backup brings back of a workload that was managed once.
func labelledAlone(name string) runtime.Object {
	return labelledWith(scalingtest.Deployment(name, 4, nil))
}

// labelledWith is an object with the label of its bucket.
func labelledWith(object runtime.Object) runtime.Object {
	m := object.(metav1.Object)
	bucket := annotations.BucketOf("apps", "Deployment", scalingtest.Namespace, m.GetName())
	m.SetLabels(map[string]string{annotations.Bucket: annotations.BucketLabel("", bucket)})
	return object
}

// wantPodsAwaited fails the test unless the parallelism falls so late that pods which come after a rise have come.
func wantPodsAwaited(w *scalingtest.World) {
	w.Helper()
	var seen time.Time
	w.API.Inject(apiserver.Fault{Match: func(c apiserver.Call) bool {
		if seen.IsZero() && calls("get", "jobs")(c) {
			seen = time.Now()
		}
		return false
	}})
	w.AwaitReplicas("worker", 1, 30*time.Second)
	const settles = 2 * time.Second
	if took := w.ChangedAt("worker").Sub(seen); took < settles {
		w.Errorf("the parallelism fell %s after its rise was seen, want %s at least", took, settles)
	}
}

// scaledLate has a Deployment whose events come late from then on.
func scaledLate(w *scalingtest.World) {
	w.Helper()
	w.Create(scalingtest.Deployment("worker", 2, onOrders(settings{"min-replicas": "1", "on-removal": "restore"})))
	w.Set("orders", 15)
	w.AwaitReplicas("worker", 3, 4*time.Minute)
	w.Advance(30 * time.Second)
	w.API.DelayWatches(deployments(), 10*time.Second)
}

// TestAnObjectThatIsMadeAnewBeforeItsEvent leaves the new one alone while the one before is all that the loop has seen:
// nobody has asked for its management.
func TestAnObjectThatIsMadeAnewBeforeItsEvent(t *testing.T) {
	for name, test := range map[string]struct {
		before func(*scalingtest.World)
		anew   runtime.Object
	}{
		"a Deployment that decisions are made for": {scaledLate, scalingtest.Deployment("worker", 9, nil)},
		"a Deployment that has changed": {
			func(w *scalingtest.World) {
				scaledLate(w)
				if err := w.Annotate("worker", settings{"cooldown": "4s"}); err != nil {
					w.Fatal(err)
				}
			},
			scalingtest.Deployment("worker", 9, nil),
		},
		"a Deployment that is about to be released": {
			func(w *scalingtest.World) { scaledLate(w); remove(w, "worker") }, scalingtest.Deployment("worker", 9, nil),
		},
		"a Job that decisions are made for": {
			func(w *scalingtest.World) {
				w.Create(scalingtest.Job("worker", 3, onOrders(settings{"min-replicas": "1"})))
				w.Set("orders", 15)
				w.Advance(4 * time.Minute)
				w.API.DelayWatches(jobs(), 10*time.Second)
			},
			scalingtest.Job("worker", 9, nil),
		},
		"a template that has changed": {
			func(w *scalingtest.World) {
				w.Create(template("worker", settings{"max-replicas": "100"}))
				w.Advance(4 * time.Minute)
				w.API.DelayWatches(jobs(), 10*time.Second)
				if err := w.Patch("worker", `{"spec":{"backoffLimit":1}}`); err != nil {
					w.Fatal(err)
				}
			},
			template("worker", settings{"class": "other"}),
		},
	} {
		t.Run(name, func(t *testing.T) {
			scalingtest.RunWith(t, scalingtest.Options{NoWebhook: true}, func(w *scalingtest.World) {
				test.before(w)
				w.Advance(5 * time.Second)
				w.Delete("worker")
				w.Create(test.anew.DeepCopyObject())
				want := w.Replicas("worker")
				for i := range 12 {
					w.Set("orders", float64(20+3*i))
					w.Advance(1500 * time.Millisecond)
				}
				w.WantCounts("worker", want)
				wantUntouched(w)
			})
		})
	}
}

// wantUntouched fails the test if the autoscaler has written to the new worker, made Jobs of it or taken its count for
// one that somebody set.
func wantUntouched(w *scalingtest.World) {
	w.Helper()
	uid := w.Get("worker").GetUID()
	for _, write := range w.API.Writes(func(write apiserver.Write) bool {
		return write.User == scalingtest.Autoscaler && write.Err == nil && write.After != nil
	}) {
		owners := write.After.GetOwnerReferences()
		if write.After.GetUID() == uid || len(owners) > 0 && owners[0].UID == uid {
			w.Errorf("the autoscaler did this to the new one: %s", write)
		}
	}
	for _, e := range w.Events("worker") {
		if e.Reason == "ScaledByOther" {
			w.Errorf("it has the event %s", e)
		}
	}
}
