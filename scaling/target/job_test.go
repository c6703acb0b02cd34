package target

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"autoscale.io/scaling/decisions"
)

func TestLeftAlone(t *testing.T) {
	condition := func(kind batchv1.JobConditionType, status corev1.ConditionStatus, reason string) func(*batchv1.Job) {
		return func(j *batchv1.Job) {
			j.Status.Conditions = append(j.Status.Conditions, batchv1.JobCondition{Type: kind, Status: status, Reason: reason})
		}
	}
	queue := func(j *batchv1.Job) { j.Spec.Completions = nil }
	for _, c := range []struct {
		name string
		set  []func(*batchv1.Job)
		want string
	}{
		{"at work", nil, ""},
		{"not complete", []func(*batchv1.Job){condition(batchv1.JobComplete, corev1.ConditionFalse, "")}, ""},
		{"complete", []func(*batchv1.Job){condition(batchv1.JobComplete, corev1.ConditionTrue, "")}, "the Job is complete and starts no more pods"},
		{"about to be complete", []func(*batchv1.Job){condition(batchv1.JobSuccessCriteriaMet, corev1.ConditionTrue, "")}, "the Job is complete and starts no more pods"},
		{"failed", []func(*batchv1.Job){condition(batchv1.JobFailed, corev1.ConditionTrue, "BackoffLimitExceeded")}, "the Job has failed (BackoffLimitExceeded) and starts no more pods"},
		{"about to fail", []func(*batchv1.Job){condition(batchv1.JobFailureTarget, corev1.ConditionTrue, "DeadlineExceeded")}, "the Job has failed (DeadlineExceeded) and starts no more pods"},
		{"suspended", []func(*batchv1.Job){func(j *batchv1.Job) { j.Spec.Suspend = ptr.To(true) }}, "the Job is suspended; its parallelism is left alone until spec.suspend is false"},
		{"not suspended", []func(*batchv1.Job){func(j *batchv1.Job) { j.Spec.Suspend = ptr.To(false) }}, ""},
		{"managed by another", []func(*batchv1.Job){func(j *batchv1.Job) { j.Spec.ManagedBy = ptr.To("example.com/queue") }}, "example.com/queue manages this Job (spec.managedBy), so its parallelism is left alone"},
		{"managed by Kubernetes", []func(*batchv1.Job){func(j *batchv1.Job) { j.Spec.ManagedBy = ptr.To("kubernetes.io/job-controller") }}, ""},
		{"in a queue of Kueue", []func(*batchv1.Job){func(j *batchv1.Job) { j.Labels = map[string]string{"kueue.x-k8s.io/queue-name": "main"} }},
			"Kueue admits this Job (label kueue.x-k8s.io/queue-name: main) and would suspend it when its parallelism changes, which is therefore left alone"},
		{"a success of many", []func(*batchv1.Job){func(j *batchv1.Job) { j.Status.Succeeded = 1 }}, ""},
		{"a success without completions", []func(*batchv1.Job){queue, func(j *batchv1.Job) { j.Status.Succeeded = 1 }}, "a pod has succeeded, and a Job without completions starts no pods after that"},
		{"a success that is not counted yet", []func(*batchv1.Job){queue, func(j *batchv1.Job) {
			j.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{Succeeded: []types.UID{"a"}}
		}}, "a pod has succeeded, and a Job without completions starts no pods after that"},
		{"a failure that is not counted yet", []func(*batchv1.Job){queue, func(j *batchv1.Job) {
			j.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{Failed: []types.UID{"a"}}
		}}, ""},
	} {
		job := &batchv1.Job{Spec: batchv1.JobSpec{Completions: ptr.To[int32](9)}}
		for _, set := range c.set {
			set(job)
		}
		if got := leftAlone(job); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestCounts(t *testing.T) {
	owned := func(uid types.UID) *metav1.PartialObjectMetadata {
		return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{UID: uid, Controller: ptr.To(true)}}}}
	}
	deleted := owned("job")
	deleted.DeletionTimestamp = ptr.To(metav1.Now())
	for _, c := range []struct {
		name string
		pod  *metav1.PartialObjectMetadata
		want bool
	}{
		{"its own", owned("job"), true},
		{"another's", owned("other"), false},
		{"nobody's", &metav1.PartialObjectMetadata{}, true},
		{"being deleted", deleted, false},
	} {
		if got := Counts(c.pod, "job"); got != c.want {
			t.Errorf("%s: got %t, want %t", c.name, got, c.want)
		}
	}
}

// jobBench is a Job at parallelism 5 with a number of pods on a client that answers as the API server does, as far as that matters.
type jobBench struct {
	*Client
	kube  *fake.Clientset
	pods  int
	lists int
	// listFails fails every list of pods, and conflicts is how many patches meet another version first.
	listFails error
	conflicts int
	patches   []string
}

func newJobBench(t *testing.T, pods int) *jobBench {
	t.Helper()
	b := &jobBench{pods: pods}
	b.kube = fake.NewClientset(&batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "worker", Namespace: "shop", UID: "job", ResourceVersion: "7"},
		Spec:       batchv1.JobSpec{Parallelism: ptr.To[int32](5), Completions: ptr.To[int32](9), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"job": "a"}}},
	})
	b.kube.PrependReactor("patch", "jobs", b.patch)
	scheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	client := metadatafake.NewSimpleMetadataClient(scheme)
	client.PrependReactor("list", "pods", b.list)
	b.Client = &Client{Metadata: client, Jobs: b.kube.BatchV1()}
	return b
}

func (b *jobBench) patch(action clienttesting.Action) (bool, runtime.Object, error) {
	patch, ok := action.(clienttesting.PatchAction)
	if !ok {
		return true, nil, errors.New("no patch")
	}
	if b.conflicts > 0 {
		b.conflicts--
		b.pods++ // a replacement has come, which is why the version is another
		return true, nil, apierrors.NewConflict(batchv1.Resource("jobs"), "worker", errors.New("changed"))
	}
	b.patches = append(b.patches, string(patch.GetPatch()))
	return false, nil, nil
}

func (b *jobBench) list(action clienttesting.Action) (bool, runtime.Object, error) {
	b.lists++
	list, ok := action.(clienttesting.ListAction)
	if !ok || list.GetNamespace() != "shop" {
		return true, nil, fmt.Errorf("a strange list %v", action)
	}
	restrictions := list.GetListRestrictions()
	if got := restrictions.Labels.String() + " " + restrictions.Fields.String(); got != "job=a status.phase!=Failed,status.phase!=Succeeded" {
		return true, nil, fmt.Errorf("the pods %q are listed", got)
	}
	if b.listFails != nil {
		return true, nil, b.listFails
	}
	pods := &metav1.List{}
	for i := range b.pods + 1 {
		pod := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("pod-", i), Namespace: "shop", Labels: map[string]string{"job": "a"}}}
		if i == b.pods { // one that is being deleted counts for nothing
			pod.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
		}
		pods.Items = append(pods.Items, runtime.RawExtension{Object: pod})
	}
	return true, pods, nil
}

var jobKey = decisions.Key{Resource: batchv1.SchemeGroupVersion.WithResource("jobs"), Namespace: "shop", Name: "worker"}

func (b *jobBench) scale(ctx context.Context, to int32) (Scale, error) {
	live, err := b.Get(ctx, jobKey)
	if err != nil {
		return Scale{}, err
	}
	return b.Scale(ctx, jobKey, live, to)
}

func TestScaleOfAJob(t *testing.T) {
	for _, c := range []struct {
		name      string
		pods      int
		conflicts int
		to, want  int32
	}{
		{"up", 5, 0, 8, 8},
		{"down with nothing running", 0, 0, 2, 2},
		{"down to what runs", 3, 0, 2, 3},
		{"down to what asks for more than runs", 1, 0, 2, 2},
		{"not down", 5, 0, 2, 5},
		{"not down as more runs", 7, 0, 2, 5},
		{"to zero", 0, 0, 0, 0},
		{"down after a conflict, to what runs then", 2, 1, 0, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newJobBench(t, c.pods)
			b.conflicts = c.conflicts
			got, err := b.scale(t.Context(), c.to)
			if err != nil {
				t.Fatal(err)
			}
			if got.Replicas != c.want {
				t.Errorf("got %d, want %d", got.Replicas, c.want)
			}
			if want := c.want != 5; (len(b.patches) == 1) != want {
				t.Errorf("the patches %q; want one %t", b.patches, want)
			}
			if c.to > 5 && b.lists > 0 {
				t.Error("the pods are listed on the way up")
			}
		})
	}
}

func TestShrinkCountsThoseThatLeave(t *testing.T) {
	b := newJobBench(t, 2)
	live, err := b.Get(t.Context(), jobKey)
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.Shrink(t.Context(), jobKey, live, 1, 2)
	if err != nil || got.Replicas != 4 {
		t.Errorf("got %d and %v, want 4", got.Replicas, err)
	}
	if want := `{"metadata":{"resourceVersion":"7"},"spec":{"parallelism":4}}`; len(b.patches) != 1 || b.patches[0] != want {
		t.Errorf("patched %q, want %q", b.patches, want)
	}
}

func TestNothingIsLoweredBlindly(t *testing.T) {
	b := newJobBench(t, 0)
	b.listFails = errors.New("forbidden")
	_, err := b.scale(t.Context(), 0)
	const want = "scale jobs.batch shop/worker from 5 to 0: list the pods that still run: forbidden"
	if err == nil || err.Error() != want {
		t.Errorf("got the error %v, want %s", err, want)
	}
	if len(b.patches) > 0 {
		t.Errorf("patched %q", b.patches)
	}
}

func TestAnotherCountIsNotOverwritten(t *testing.T) {
	b := newJobBench(t, 0)
	live, err := b.Get(t.Context(), jobKey)
	if err != nil {
		t.Fatal(err)
	}
	live.Replicas, b.conflicts = 4, 1
	_, err = b.Scale(t.Context(), jobKey, live, 2)
	var changed *ChangedError
	if !errors.As(err, &changed) || changed.Live.Replicas != 5 {
		t.Errorf("got %v, want that the count has become 5", err)
	}
}
