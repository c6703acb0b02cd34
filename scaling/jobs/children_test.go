package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	kubetesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"
)

// TestCount: what is unfinished, and what of that has not started.
func TestCount(t *testing.T) {
	seed := newWorld(t, nil, suspended("consumer"), suspended("other"))
	template, other := seed.template("consumer"), seed.template("other")
	var objects []runtime.Object
	add := func(job *batchv1.Job, pods ...*corev1.Pod) {
		objects = append(objects, job)
		for _, p := range pods {
			objects = append(objects, p)
		}
	}
	now := time.Unix(1e9, 0)
	noPod, waits, runs, ready := template.child("no-pod", nil), template.child("waits", nil), template.child("runs", nil), template.child("ready", nil)
	add(noPod)
	add(waits, pod(waits, corev1.PodPending, nil))
	add(runs, pod(runs, corev1.PodRunning, nil))
	add(ready, pod(ready, corev1.PodRunning, func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: "Ready", Status: corev1.ConditionTrue}, {Type: "Warm", Status: corev1.ConditionTrue}}
	}))
	add(template.child("half", func(job *batchv1.Job) { job.Status.Succeeded = 1 })) // its second pod is about to come
	add(template.child("complete", ended(batchv1.JobComplete, now)))
	add(template.child("failed", ended(batchv1.JobFailed, now)))
	add(template.child("fails", func(job *batchv1.Job) {
		job.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobFailureTarget, Status: corev1.ConditionTrue}}
	}))
	add(other.child("another", nil))
	w := newWorld(t, nil, objects...)
	w.awaitCount(template.UID, 6, 3)
	w.awaitCount(other.UID, 1, 1)
	w.awaitCount("nobody", 0, 0)
	for conditions, pending := range map[string]int32{"Ready": 4, "Ready Warm": 4, "Ready Cold": 5} {
		got, err := w.Count(template.UID, strings.Fields(conditions))
		if err != nil || got != (Count{6, pending}) {
			t.Errorf("%s: got %+v (%v), want %d pending", conditions, got, err, pending)
		}
	}
}

// late makes the watch of Jobs show nothing until it is let go.
func late(w *world) (letGo func()) {
	gate := make(chan struct{})
	w.kube.PrependWatchReactor("jobs", func(action kubetesting.Action) (bool, apiwatch.Interface, error) {
		events, err := w.kube.Tracker().Watch(action.GetResource(), action.GetNamespace())
		if err != nil {
			return true, nil, err
		}
		return true, apiwatch.Filter(events, func(e apiwatch.Event) (apiwatch.Event, bool) { <-gate; return e, true }), nil
	})
	return sync.OnceFunc(func() { close(gate) })
}

// TestCreatedJobsCountAtOnce is JB-06: what was created counts before the watch shows it, and once after.
func TestCreatedJobsCountAtOnce(t *testing.T) {
	var letGo func()
	w := newWorld(t, func(w *world) { letGo = late(w) }, suspended("consumer"))
	t.Cleanup(func() { letGo() })
	template := w.template("consumer")
	w.awaitCount(template.UID, 0, 0)
	created, err := w.Create(t.Context(), template, 42)
	if created != 42 || err != nil {
		t.Fatalf("created %d: %v", created, err)
	}
	if got, err := w.Count(template.UID, nil); err != nil || got != (Count{42, 42}) {
		t.Errorf("got %+v (%v), want all that were created", got, err)
	}
	letGo()
	w.await("the watch shows them all", func() bool { return len(w.jobs.GetIndexer().List()) == 42 })
	w.awaitCount(template.UID, 42, 42)
	w.await("somebody is told", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.changed[Owner{"Job", "shop", "consumer"}] > 0
	})
	w.Children.mu.Lock()
	defer w.Children.mu.Unlock()
	if len(w.expected[template.UID]) != 0 {
		t.Errorf("%d are still expected", len(w.expected[template.UID]))
	}
}

// TestComeAndGone: a Job that was deleted before the watch could show it does not count for ever.
func TestComeAndGone(t *testing.T) {
	w := newWorld(t, nil, suspended("consumer"))
	template := w.template("consumer")
	w.awaitCount(template.UID, 0, 0)
	w.expect(template.UID, template.child("ghost", func(job *batchv1.Job) { job.ResourceVersion = "7" }))
	if got, _ := w.Count(template.UID, nil); got != (Count{1, 1}) {
		t.Errorf("got %+v, want the one that is expected", got)
	}
	w.jobs.GetIndexer().Bookmark("6")
	if got, _ := w.Count(template.UID, nil); got != (Count{1, 1}) {
		t.Errorf("got %+v, want the one that may still be shown", got)
	}
	w.jobs.GetIndexer().Bookmark("7")
	if got, _ := w.Count(template.UID, nil); got != (Count{}) {
		t.Errorf("got %+v, want none", got)
	}
}

// TestLostAnswer: a create whose answer is lost is tried again under the same name, and what was created after all is found.
func TestLostAnswer(t *testing.T) {
	var names sync.Map
	w := newWorld(t, func(w *world) {
		w.kube.PrependReactor("create", "jobs", func(action kubetesting.Action) (bool, runtime.Object, error) {
			job := action.(kubetesting.CreateAction).GetObject().(*batchv1.Job)
			if _, again := names.LoadOrStore(job.Name, true); again {
				return false, nil, nil
			}
			if err := w.kube.Tracker().Create(action.GetResource(), numbered(job), job.Namespace); err != nil {
				return true, nil, err
			}
			return true, nil, apierrors.NewTimeoutError("the answer is lost", 1)
		})
	}, suspended("consumer"))
	template := w.template("consumer")
	w.awaitCount(template.UID, 0, 0)
	created, err := w.Create(t.Context(), template, 5)
	if created != 5 || err != nil {
		t.Errorf("created %d: %v", created, err)
	}
	w.awaitCount(template.UID, 5, 5)
	list, err := w.kube.BatchV1().Jobs("shop").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 6 {
		t.Errorf("there are %d Jobs (%v), want five and the template", len(list.Items), err)
	}
}

func numbered(job *batchv1.Job) *batchv1.Job {
	job = job.DeepCopy()
	job.UID, job.ResourceVersion = types.UID("uid-"+job.Name), "1"
	return job
}

// TestDoubtCounts: a Job that may have been created counts until somebody knows.
func TestDoubtCounts(t *testing.T) {
	for name, kept := range map[string]bool{"created after all": true, "not created": false} {
		t.Run(name, func(t *testing.T) {
			var down atomic.Bool
			down.Store(true)
			w := newWorld(t, func(w *world) {
				w.kube.PrependReactor("create", "jobs", func(kubetesting.Action) (bool, runtime.Object, error) {
					return true, nil, apierrors.NewInternalError(errors.New("no answer"))
				})
				w.kube.PrependReactor("get", "jobs", func(action kubetesting.Action) (bool, runtime.Object, error) {
					get := action.(kubetesting.GetAction)
					if get.GetName() == "consumer" {
						return false, nil, nil
					}
					if down.Load() {
						return true, nil, apierrors.NewInternalError(errors.New("no answer"))
					}
					if kept {
						return true, (&Template{UID: "uid-of-consumer", Owner: Owner{"Job", "shop", "consumer"}}).child(get.GetName(), nil), nil
					}
					return true, nil, apierrors.NewNotFound(schema.GroupResource{Group: "batch", Resource: "jobs"}, get.GetName())
				})
			}, suspended("consumer"))
			template := w.template("consumer")
			created, err := w.Create(t.Context(), template, 1)
			if created != 0 || err == nil || !strings.Contains(err.Error(), ": no answer: ") {
				t.Errorf("created %d: %v", created, err)
			}
			w.awaitCount(template.UID, 1, 1)
			if err := w.Resolve(t.Context(), template.Owner, template.UID); err == nil {
				t.Error("there is no error where nobody knows")
			}
			w.awaitCount(template.UID, 1, 1)
			down.Store(false)
			if err := w.Resolve(t.Context(), template.Owner, template.UID); err != nil {
				t.Error(err)
			}
			want := int32(0)
			if kept {
				want = 1
			}
			w.Children.mu.Lock()
			doubtful, expected := len(w.doubtful[template.UID]), len(w.expected[template.UID])
			w.Children.mu.Unlock()
			if doubtful != 0 || int32(expected) != want {
				t.Errorf("%d are doubtful and %d expected, want 0 and %d", doubtful, expected, want)
			}
		})
	}
}

// TestPrune: the latest stay, each kind by its own limit, and nobody else's.
func TestPrune(t *testing.T) {
	seed := newWorld(t, nil, suspended("consumer"), suspended("other"))
	template, other := seed.template("consumer"), seed.template("other")
	objects := []runtime.Object{template.child("runs", nil), other.child("another", ended(batchv1.JobComplete, time.Unix(0, 0)))}
	for i := range 5 {
		at := time.Unix(int64(1000+i), 0)
		objects = append(objects, template.child(fmt.Sprint("good-", i), ended(batchv1.JobComplete, at)), template.child(fmt.Sprint("bad-", i), ended(batchv1.JobFailed, at)))
	}
	w := newWorld(t, nil, objects...)
	w.awaitCount(template.UID, 1, 1)
	removed, more, err := w.Prune(t.Context(), template.UID, Limits{Succeeded: 2, Failed: 0})
	if removed != 8 || more || err != nil {
		t.Errorf("removed %d, more %v: %v; want 8", removed, more, err)
	}
	w.await("the watch shows it", func() bool { return len(w.jobs.GetIndexer().List()) == 4 })
	names := w.jobs.GetIndexer().ListKeys()
	slices.Sort(names)
	if want := []string{"shop/another", "shop/good-3", "shop/good-4", "shop/runs"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	if removed, _, err := w.Prune(t.Context(), template.UID, Limits{Succeeded: 2, Failed: 0}); removed != 0 || err != nil {
		t.Errorf("removed %d more: %v", removed, err)
	}
}

// TestPruneInParts: a call deletes so many, and never the same twice, however late the watch is.
func TestPruneInParts(t *testing.T) {
	seed := newWorld(t, nil, suspended("consumer"))
	template := seed.template("consumer")
	const many = 2*mostRemovals + 1
	var objects []runtime.Object
	for i := range many {
		objects = append(objects, template.child(fmt.Sprint("good-", i), ended(batchv1.JobComplete, time.Unix(int64(i), 0))))
	}
	var letGo func()
	w := newWorld(t, func(w *world) { letGo = late(w) }, objects...)
	t.Cleanup(func() { letGo() })
	w.await("the list is there", func() bool { return len(w.jobs.GetIndexer().List()) == many })
	for i, want := range []int{mostRemovals, mostRemovals, 1, 0} {
		removed, more, err := w.Prune(t.Context(), template.UID, Limits{})
		if removed != want || more != (i < 2) || err != nil {
			t.Errorf("call %d: removed %d, more %v: %v; want %d", i, removed, more, err, want)
		}
	}
}

// TestReplace: what was made of an older template and has not started goes, and nothing else.
func TestReplace(t *testing.T) {
	seed := newWorld(t, nil, suspended("consumer"))
	old := seed.template("consumer")
	newer := suspended("consumer")
	newer.Spec.Template.Spec.Containers[0].Image = "worker:2"
	noPod, waits, runs, inits := old.child("no-pod", nil), old.child("waits", nil), old.child("runs", nil), old.child("inits", nil)
	late := old.child("late", nil)
	objects := []runtime.Object{
		newer, noPod, waits, pod(waits, corev1.PodPending, nil), runs, pod(runs, corev1.PodRunning, nil),
		inits, pod(inits, corev1.PodPending, func(p *corev1.Pod) {
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
		}),
		old.child("ready", func(job *batchv1.Job) { job.Status.Ready = ptr.To[int32](1) }),
		old.child("retries", func(job *batchv1.Job) { job.Status.Failed = 1 }),
		old.child("done", ended(batchv1.JobComplete, time.Unix(0, 0))),
		// The watch shows no pod of this one, since the pod has just been made and runs at once.
		late, pod(late, corev1.PodRunning, func(p *corev1.Pod) { delete(p.Labels, "autoscale.io/template-bucket") }),
	}
	var removed []string
	w := newWorld(t, func(w *world) {
		w.kube.PrependReactor("delete", "jobs", func(action kubetesting.Action) (bool, runtime.Object, error) {
			d := action.(kubetesting.DeleteActionImpl)
			removed = append(removed, d.Name)
			if p := d.DeleteOptions.Preconditions; p == nil || p.UID == nil || p.ResourceVersion == nil || *p.ResourceVersion != "1" {
				t.Errorf("%s is deleted whatever it is by now: %+v", d.Name, p)
			}
			return false, nil, nil
		})
	}, objects...)
	current := w.template("consumer")
	fresh := current.child("fresh", nil)
	if err := w.kube.Tracker().Add(fresh); err != nil {
		t.Fatal(err)
	}
	w.await("the watch shows them", func() bool { return len(w.jobs.GetIndexer().List()) >= 8 && len(w.pods.GetIndexer().List()) >= 3 })
	n, err := w.Replace(t.Context(), current)
	slices.Sort(removed)
	if want := []string{"no-pod", "waits"}; n != 2 || err != nil || !slices.Equal(removed, want) {
		t.Errorf("replaced %d, %v (%v), want %v", n, removed, err, want)
	}
}

// TestUnknownIsNeverZero is JB-09: without a list there is an error and no number, from the start and after patience with a watch that worked.
func TestUnknownIsNeverZero(t *testing.T) {
	w := &watchOf{version: "5"}
	c := &Children{jobs: w.watch("jobs"), pods: (&watchOf{synced: true, version: "5"}).watch("pods")}
	if _, err := c.Count("x", nil); !errors.Is(err, ErrIncomplete) {
		t.Errorf("got %v, want that the first list is under way", err)
	}
	forbidden := apierrors.NewForbidden(schema.GroupResource{Group: "batch", Resource: "jobs"}, "", errors.New("no"))
	if !c.jobs.fail(forbidden) {
		t.Error("nobody is told that the first list fails")
	}
	wantError(t, c.state(), "cannot list jobs, which needs the ClusterRole autoscaler-jobs: jobs.batch is forbidden: no")
	c.jobs.fail(errors.New("500"))
	wantError(t, c.state(), "cannot list jobs: 500")
	w.synced, w.version = true, "6"
	wantError(t, c.state(), "")

	if c.jobs.fail(errors.New("blip")) {
		t.Error("a blip is told")
	}
	wantError(t, c.state(), "")
	w.clock = w.clock.Add(patience)
	wantError(t, c.state(), "")
	w.clock = w.clock.Add(time.Second)
	wantError(t, c.state(), "cannot list jobs: blip")
	if !c.jobs.fail(errors.New("still")) {
		t.Error("nobody is told that it goes on")
	}
	wantError(t, c.state(), "cannot list jobs: still")
	w.version = "7"
	wantError(t, c.state(), "")
	if c.jobs.fail(errors.New("anew")) {
		t.Error("a failure that begins anew is told at once")
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestLeaseEndsCreation: with the lease the creation ends.
func TestLeaseEndsCreation(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var asked atomic.Int32
	w := newWorld(t, func(w *world) {
		w.kube.PrependReactor("create", "jobs", func(kubetesting.Action) (bool, runtime.Object, error) {
			if asked.Add(1) == 3 {
				stop()
			}
			if ctx.Err() != nil {
				return true, nil, ctx.Err()
			}
			return false, nil, nil
		})
	}, suspended("consumer"))
	created, err := w.Create(ctx, w.template("consumer"), 100)
	if !errors.Is(err, context.Canceled) || created > 3 || asked.Load() > 3 {
		t.Errorf("created %d of %d that were asked for: %v", created, asked.Load(), err)
	}
}
