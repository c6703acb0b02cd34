package jobs

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/fake"
	kubetesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
)

// world is an API server that exists only here, which numbers its objects as a real one does, and Children over it.
type world struct {
	*Children
	t    *testing.T
	kube *fake.Clientset

	mu      sync.Mutex
	version int
	changed map[Owner]int
}

const bucket = "07"

// newWorld runs Children over objects until the end of the test. It returns when they watch: what happens between the list and the watch is shown by a real
// API server and not by this one.
func newWorld(t *testing.T, edit func(*world), objects ...runtime.Object) *world {
	t.Helper()
	w := &world{t: t, kube: fake.NewClientset(objects...), changed: map[Owner]int{}, version: 1000}
	w.kube.PrependReactor("create", "jobs", w.create)
	if edit != nil {
		edit(w)
	}
	var err error
	w.Children, err = New(Options{
		Kube: w.kube, Log: logr.Discard(), Bucket: bucket, Now: time.Now, Failing: func() {},
		Changed: func(o Owner) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.changed[o]++
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	running.Go(func() { w.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	for _, resource := range []string{"jobs", "pods"} {
		w.await("the watch of "+resource, func() bool {
			return slices.ContainsFunc(w.kube.Actions(), func(a kubetesting.Action) bool { return a.Matches("watch", resource) })
		})
	}
	return w
}

// create keeps a Job as a real API server would: nobody sees a version before the lower ones.
func (w *world) create(action kubetesting.Action) (bool, runtime.Object, error) {
	create, ok := action.(kubetesting.CreateAction)
	if !ok {
		return false, nil, nil
	}
	job, ok := create.GetObject().(*batchv1.Job)
	if !ok {
		return false, nil, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.version++
	job.UID, job.ResourceVersion = types.UID("uid-"+job.Name), strconv.Itoa(w.version)
	return true, job, w.kube.Tracker().Create(create.GetResource(), job, create.GetNamespace())
}

// await polls until the condition holds.
func (w *world) await(what string, condition func() bool) {
	w.t.Helper()
	err := wait.PollUntilContextTimeout(w.t.Context(), time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) { return condition(), nil })
	if err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
}

func (w *world) awaitCount(template types.UID, unfinished, pending int32) {
	w.t.Helper()
	var (
		last Count
		err  error
	)
	ok := wait.PollUntilContextTimeout(w.t.Context(), time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
		last, err = w.Count(template, nil)
		return err == nil && last == Count{unfinished, pending}, nil
	})
	if ok != nil {
		w.t.Fatalf("got %+v (%v), want %d unfinished and %d pending", last, err, unfinished, pending)
	}
}

// suspended is a template as the API server would keep it, with what it has generated for the template's own pods.
func suspended(name string) *batchv1.Job {
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: "shop", UID: types.UID("uid-of-" + name),
			Labels:      map[string]string{"team": "blue", "autoscale.io/bucket": bucket},
			Annotations: map[string]string{"autoscale.io/job-mode": "spawn", "note": "kept", corev1.LastAppliedConfigAnnotation: "{}", "batch.kubernetes.io/x": "y"},
		},
		Spec: batchv1.JobSpec{
			Suspend: ptr.To(true), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{batchv1.ControllerUidLabel: "u"}}, TTLSecondsAfterFinished: ptr.To[int32](60),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{
					Labels:      map[string]string{"app": "consumer", "controller-uid": "u", "job-name": name, batchv1.ControllerUidLabel: "u", batchv1.JobNameLabel: name},
					Annotations: map[string]string{"sidecar": "yes"},
				},
				Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "worker", Image: "worker:1"}}},
			},
		},
	}
}

// template reads the template of that name.
func (w *world) template(name string) *Template {
	w.t.Helper()
	t, err := Read(w.t.Context(), w.kube.BatchV1(), Owner{"Job", "shop", name}, bucket)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

// child is a Job of a template, changed by edit.
func (t *Template) child(name string, edit func(*batchv1.Job)) *batchv1.Job {
	job := t.job(name)
	job.UID, job.ResourceVersion = types.UID("uid-"+name), "1"
	if edit != nil {
		edit(job)
	}
	return job
}

func ended(kind batchv1.JobConditionType, at time.Time) func(*batchv1.Job) {
	return func(job *batchv1.Job) {
		job.Status.Conditions = []batchv1.JobCondition{{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(at)}}
	}
}

// pod is one of a Job.
func pod(job *batchv1.Job, phase corev1.PodPhase, edit func(*corev1.Pod)) *corev1.Pod {
	labels := map[string]string{batchv1.ControllerUidLabel: string(job.UID)}
	for key, value := range job.Spec.Template.Labels {
		labels[key] = value
	}
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: job.Name + "-pod", Namespace: job.Namespace, Labels: labels,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: job.Name, UID: job.UID, Controller: ptr.To(true)}},
		},
		Status: corev1.PodStatus{Phase: phase},
	}
	if edit != nil {
		edit(p)
	}
	return p
}

// watchOf is an informer of which only the progress is looked at.
type watchOf struct {
	cache.SharedIndexInformer
	synced  bool
	version string
	clock   time.Time
}

func (w *watchOf) HasSynced() bool                 { return w.synced }
func (w *watchOf) LastSyncResourceVersion() string { return w.version }
func (w *watchOf) watch(what string) *watch {
	return &watch{SharedIndexInformer: w, what: what, now: func() time.Time { return w.clock }}
}
