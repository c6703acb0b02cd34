package jobs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"autoscale.io/e2e/world"
	"autoscale.io/scalers/scalertest/servers"
)

// jobResizeCases take half of two processors where a parallelism falls: the Job controller has 0.4 s to learn of the end of
// a pod, and beside all other cases it takes longer now and then.
func jobResizeCases() []world.Case {
	return []world.Case{
		{ID: "JB-01", Symptom: "Jobs have no scale subresource, so nothing scales them", Holds: "the parallelism is patched, guarded by the version", In: world.Test, Run: jobParallelism},
		{ID: "JB-02", Symptom: "lowering the parallelism ends pods that run", Holds: "it falls as pods end, never before", In: world.Test, Weight: 4, Run: jobShrinks},
		{ID: "JB-02-late", Symptom: "on a control plane that answers late, lowering the parallelism ends pods that run", Holds: "it falls later, and never ends one", In: world.Test, Weight: 4, Run: jobShrinksLate},
		{ID: "JB-03", Symptom: "zero suspends a Job and ends its pods; another queue controller is fought", Holds: "zero starts nothing new, suspend is not touched, and Jobs of other controllers are left alone", In: world.Test, Weight: 4, Run: jobZero},
		{ID: "JB-05", Symptom: "an edit ends Jobs that run", Holds: "what runs goes on, whatever is edited or removed", In: world.Soak, Run: jobEdits},
		{ID: "JB-ended", Symptom: "Jobs that are over, or that a person has suspended, are written to", Holds: "they are left alone, and the status says why", In: world.Soak, Run: jobsLeftAlone},
		{ID: "JB-queue", Symptom: "a work queue Job without completions is refilled after its first success, or ended", Holds: "it drains: Kubernetes starts no pods any more, and none is ended", In: world.Test, Run: jobWithoutCompletions},
		{ID: "JB-indexed", Symptom: "an Indexed Job loses indexes when it is scaled", Holds: "every index completes once", In: world.Test, Weight: 4, Run: jobIndexed},
		{ID: "FB-07-job", Symptom: "waking up a Job in the morning needs the source", Holds: "the floor is reached without it", In: world.Soak, Weight: 4, Run: jobFloorWithoutSource},
	}
}

func jobParallelism(t *testing.T, w *world.World) {
	j := newJobs(w)
	j.busy(t, "worker", 3, nil)
	j.wantParallelism("worker", 1, 3)
	err := w.Kube.BatchV1().RESTClient().Get().Namespace(w.Namespace).Resource("jobs").Name("worker").SubResource("scale").Do(t.Context()).Error()
	if !apierrors.IsNotFound(err) {
		t.Errorf("the scale of a Job is answered with %v; it is expected not to exist", err)
	}
	w.Add(w.Redis.Client(), w.Stream("worker"), 10)
	j.awaitParallelism("worker", 5)
	j.awaitPods("worker", 5)
	job := j.read("worker")
	if !slices.ContainsFunc(job.ManagedFields, func(m metav1.ManagedFieldsEntry) bool { return m.Manager == "autoscale.io" }) {
		t.Error("the parallelism was not written as autoscale.io")
	}
	// Git does not fight: an update with the manifest's count keeps the live one.
	j.mustMerge("worker", `{"spec":{"parallelism":1}}`)
	if got := *j.read("worker").Spec.Parallelism; got != 5 {
		t.Errorf("an update set the parallelism to %d, want it kept at 5", got)
	}
	j.wantParallelism("worker", 1, 3, 5)
	j.wantNothingCut()
}

func jobShrinks(t *testing.T, w *world.World) {
	j := newJobs(w)
	j.busy(t, "worker", 5, world.Settings{"min-replicas": "1"})
	j.drain("worker", 4)
	w.AwaitEvent("worker", "ScaleDownWaits", "^holding 5 until a pod ends: trigger orders: 5 at a target of 5 each asks for 1 replica")
	w.AwaitDecisions("worker", 3)
	j.wantParallelism("worker", 1, 5)
	j.finishDownTo("worker", 1)
	w.AwaitEvent("worker", "ScaledDown", "^5 → 4 replicas: .*; holding 4 until a pod ends$")
	j.wantParallelism("worker", 1, 5, 4, 3, 2, 1)
	j.finish("worker", 1)
	j.awaitPods("worker", 1) // the floor stays, so this one is replaced
	w.Add(w.Redis.Client(), w.Stream("worker"), 10)
	j.awaitParallelism("worker", 3)
	j.awaitPods("worker", 3)
	j.wantNothingCut()
}

// jobShrinksLate is jobShrinks where each request takes a tenth of a second and each event comes late by twice that.
func jobShrinksLate(t *testing.T, w *world.World) {
	proxy := w.APIProxy()
	proxy.Slow.Store(int64(100 * time.Millisecond))
	proxy.Late.Store(int64(200 * time.Millisecond))
	w.Scaler = w.StartBehind(proxy, w.Namespace)
	j := newJobs(w)
	j.busy(t, "worker", 4, world.Settings{"class": w.Namespace, "min-replicas": "1"})
	j.drain("worker", 3)
	w.AwaitEvent("worker", "ScaleDownWaits", "^holding 4 until a pod ends: ")
	j.finishDownTo("worker", 1)
	w.Add(w.Redis.Client(), w.Stream("worker"), 10)
	j.awaitParallelism("worker", 3)
	j.awaitPods("worker", 3)
	j.wantNothingCut()
}

func jobZero(t *testing.T, w *world.World) {
	j := newJobs(w)
	j.busy(t, "worker", 3, nil)
	j.drain("worker", 3)
	w.AwaitEvent("worker", "ScaleDownWaits", "^holding 3 until a pod ends: ")
	j.finishDownTo("worker", 1)
	w.AwaitDecisions("worker", 3)
	j.finishDownTo("worker", 0)
	j.wantParallelism("worker", 1, 3, 2, 1, 0)
	w.Add(w.Redis.Client(), w.Stream("worker"), 10)
	j.awaitParallelism("worker", 2)
	j.awaitPods("worker", 2)

	queued := j.Job("queued", 2, world.Quick(world.Settings{"trigger.orders": w.Trigger(w.Stream("worker"), world.Group)}))
	queued.Labels = map[string]string{"kueue.x-k8s.io/queue-name": "main"}
	j.CreateJob(queued)
	j.awaitLeftAlone("queued", `^Kueue admits this Job \(label kueue.x-k8s.io/queue-name: main\)`)
	j.mustMerge("queued", `{"spec":{"parallelism":1}}`) // as Kueue does
	managed := j.Job("managed", 4, world.Quick(world.Settings{"trigger.orders": w.Trigger(w.Stream("worker"), world.Group)}))
	managed.Spec.ManagedBy = ptr.To("kueue.x-k8s.io/multikueue")
	j.CreateJob(managed)
	j.awaitLeftAlone("managed", `^kueue.x-k8s.io/multikueue manages this Job \(spec.managedBy\)`)
	j.wantParallelism("managed", 4)
	j.awaitParallelism("queued", 1) // Kubernetes itself ends a pod for that
	j.mu.Lock()
	maps.DeleteFunc(j.cut, func(pod string, _ bool) bool { return strings.HasPrefix(pod, "queued-") })
	j.mu.Unlock()
	j.wantNothingCut()
}

func jobEdits(t *testing.T, w *world.World) {
	j := newJobs(w)
	j.busy(t, "worker", 5, nil)
	for _, patch := range []string{
		`{"metadata":{"annotations":{"autoscale.io/polling-interval":"2s"}}}`,
		`{"metadata":{"annotations":{"autoscale.io/max-replicas":"3"}}}`, // below what runs
		`{"metadata":{"annotations":{"autoscale.io/max-replicas":"8"},"labels":{"team":"a"}}}`,
		`{"metadata":{"annotations":{"autoscale.io/pause":"true"}}}`,
		`{"metadata":{"annotations":{"autoscale.io/pause":"0"}}}`,
		`{"metadata":{"annotations":{"autoscale.io/pause":null,"deploy":"1234"}}}`,
	} {
		j.mustMerge("worker", patch)
		w.AwaitDecisions("worker", 2)
	}
	j.wantParallelism("worker", 1, 5)
	j.mustMerge("worker", `{"metadata":{"annotations":{"autoscale.io/on-removal":"restore"}}}`)
	w.AwaitDecisions("worker", 2)
	gone := `{"metadata":{"annotations":{`
	for key := range j.read("worker").Annotations {
		gone += fmt.Sprintf(`%q:null,`, key)
	}
	j.mustMerge("worker", gone[:len(gone)-1]+"}}}")
	if job := j.read("worker"); len(job.Annotations)+len(job.Labels) > 1 || *job.Spec.Parallelism != 5 {
		t.Errorf("left behind: annotations %v, labels %v, parallelism %d; want the label team and 5", job.Annotations, job.Labels, *job.Spec.Parallelism)
	}
	j.wantParallelism("worker", 1, 5)
	j.awaitPods("worker", 5)
	j.wantNothingCut()
}

func jobsLeftAlone(t *testing.T, w *world.World) {
	j := newJobs(w)
	j.busy(t, "suspended", 2, nil)
	j.mustMerge("suspended", `{"spec":{"suspend":true}}`)
	j.awaitLeftAlone("suspended", "^the Job is suspended; its parallelism is left alone until spec.suspend is false$")
	w.Add(w.Redis.Client(), w.Stream("suspended"), 10)
	w.AwaitDecisions("suspended", 3)
	j.wantParallelism("suspended", 1, 2)
	j.mustMerge("suspended", `{"spec":{"suspend":false}}`)
	j.awaitParallelism("suspended", 4)

	short := j.Job("complete", 1, world.Quick(world.Settings{"trigger.orders": w.Trigger(w.Stream("suspended"), world.Group)}))
	short.Spec.Completions = ptr.To[int32](1)
	j.CreateJob(short)
	j.awaitPods("complete", 1)
	j.finish("complete", 1)
	j.awaitLeftAlone("complete", "^the Job is complete and starts no more pods$")
	before := j.history("complete")
	w.Add(w.Redis.Client(), w.Stream("suspended"), 10)
	w.AwaitDecisions("complete", 3)
	j.wantParallelism("complete", before...)

	kept := j.Job("deleted", 2, world.Quick(world.Settings{"trigger.orders": w.Trigger(w.Stream("suspended"), world.Group)}))
	kept.Finalizers = []string{"example.com/hold"}
	j.CreateJob(kept)
	w.AwaitKnown("deleted", "orders", "1")
	j.mu.Lock()
	clear(j.cut) // by the suspension of a person
	j.mu.Unlock()
	if err := j.client.Delete(t.Context(), "deleted", metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationOrphan)}); err != nil {
		t.Fatal(err)
	}
	w.Await("the deleted Job is not polled any more", world.Soon, func(ctx context.Context) error {
		if _, err := w.Metric(ctx, "autoscale_trigger_known", "deleted"); err == nil {
			return fmt.Errorf("it still is")
		}
		return nil
	})
	j.mustMerge("deleted", `{"metadata":{"finalizers":null}}`)
	j.wantNothingCut("suspended")
}

func jobWithoutCompletions(t *testing.T, w *world.World) {
	j := newJobs(w)
	stream := w.Stream("worker")
	w.Group(w.Redis.Client(), stream, "0")
	w.Add(w.Redis.Client(), stream, 20)
	job := j.Job("worker", 0, world.Quick(world.Settings{"trigger.orders": w.Trigger(stream, world.Group)}))
	job.Spec.Completions = nil
	j.CreateJob(job)
	j.awaitParallelism("worker", 4)
	j.awaitPods("worker", 4)
	j.finish("worker", 1)
	j.awaitLeftAlone("worker", "^a pod has succeeded, and a Job without completions starts no pods after that$")
	w.Add(w.Redis.Client(), stream, 20)
	w.AwaitDecisions("worker", 3)
	j.awaitPods("worker", 3)
	j.wantParallelism("worker", 0, 4)
	j.finish("worker", 3)
	w.Await("the Job is complete", world.Soon, func(context.Context) error {
		if j.read("worker").Status.CompletionTime == nil {
			return fmt.Errorf("it is not")
		}
		return nil
	})
	j.wantParallelism("worker", 0, 4)
	j.wantNothingCut()
}

func jobIndexed(t *testing.T, w *world.World) {
	j := newJobs(w)
	stream := w.Stream("worker")
	w.Group(w.Redis.Client(), stream, "0")
	w.Add(w.Redis.Client(), stream, 20)
	job := j.Job("worker", 1, world.Quick(world.Settings{"trigger.orders": w.Trigger(stream, world.Group)}))
	job.Spec.Completions, job.Spec.CompletionMode = ptr.To[int32](40), ptr.To(batchv1.IndexedCompletion)
	j.CreateJob(job)
	j.awaitParallelism("worker", 4)
	j.awaitPods("worker", 4)
	j.finish("worker", 2)
	j.awaitPods("worker", 4)
	w.Read(w.Redis.Client(), stream, 10, true)
	w.AwaitEvent("worker", "ScaleDownWaits", "^holding 4 until a pod ends: ")
	j.finishDownTo("worker", 2)
	w.Add(w.Redis.Client(), stream, 40)
	j.awaitParallelism("worker", 10)
	w.Await("every index is complete", 2*world.Soon, func(ctx context.Context) error {
		if job := j.read("worker"); job.Status.CompletedIndexes == "0-39" && job.Status.CompletionTime != nil {
			return nil
		}
		pods, err := j.running(ctx, "worker")
		if err != nil {
			return err
		}
		for _, pod := range pods {
			if pod.Status.Phase != corev1.PodRunning {
				continue
			}
			if err := endPod(ctx, j.Kube, &pod); err != nil {
				return err
			}
		}
		return fmt.Errorf("the indexes %s are, and %d pods are under way", j.read("worker").Status.CompletedIndexes, len(pods))
	})
	pods, err := w.Kube.CoreV1().Pods(w.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(pods.Items) != 40 || slices.ContainsFunc(pods.Items, func(p corev1.Pod) bool { return p.Status.Phase != corev1.PodSucceeded }) {
		t.Errorf("there were %d pods, want 40 that succeeded", len(pods.Items))
	}
	j.wantNothingCut()
}

func jobFloorWithoutSource(t *testing.T, w *world.World) {
	j := newJobs(w)
	source := w.Behind(0)
	j.CreateJob(j.Job("worker", 3, world.Quick(world.Settings{"min-replicas": "2", "trigger.orders": source.Trigger, "pause": "0"})))
	w.AwaitEvent("worker", "ScaleDownWaits", "^holding 3 until a pod ends: ")
	j.finishDownTo("worker", 0)
	source.Set(t, servers.Refuse)
	w.AwaitKnown("worker", "orders", "0")
	w.AwaitDecisions("worker", 3)
	j.mustMerge("worker", `{"metadata":{"annotations":{"autoscale.io/pause":null}}}`)
	j.awaitParallelism("worker", 2)
	j.awaitPods("worker", 2)
	j.wantNothingCut()
}
