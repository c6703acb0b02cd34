package jobs

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	batchv1client "k8s.io/client-go/kubernetes/typed/batch/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"autoscale.io/annotations"
	"autoscale.io/e2e/world"
	"autoscale.io/scaling/report"
)

// jobs are the Jobs of a case, with everything that ever happened to their parallelism and their pods.
type jobs struct {
	*world.World
	client batchv1client.JobInterface

	mu       sync.Mutex
	counts   map[string][]int32
	suspends []string
	// cut are the pods that were deleted while they ran.
	cut map[string]bool
}

func newJobs(w *world.World) *jobs {
	w.T.Helper()
	j := &jobs{World: w, client: w.Kube.BatchV1().Jobs(w.Namespace), counts: map[string][]int32{}, cut: map[string]bool{}}
	factory := informers.NewSharedInformerFactoryWithOptions(w.Kube, 0, informers.WithNamespace(w.Namespace))
	for informer, see := range map[cache.SharedIndexInformer]func(any){
		factory.Batch().V1().Jobs().Informer(): j.seeJob, factory.Core().V1().Pods().Informer(): j.seePod,
	} {
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: see, UpdateFunc: func(_, object any) { see(object) }, DeleteFunc: see}); err != nil {
			w.T.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	w.T.Cleanup(stop)
	factory.StartWithContext(ctx)
	factory.WaitForCacheSyncWithContext(ctx)
	w.T.Cleanup(func() {
		if w.T.Failed() {
			j.mu.Lock()
			defer j.mu.Unlock()
			w.T.Log("parallelism seen: ", j.counts, "; pods cut short: ", j.cut)
		}
	})
	return j
}

func (j *jobs) seeJob(object any) {
	job, ok := object.(*batchv1.Job)
	if !ok {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	count, list := ptr.Deref(job.Spec.Parallelism, 1), j.counts[job.Name]
	if len(list) == 0 || list[len(list)-1] != count {
		j.counts[job.Name] = append(list, count)
	}
	if job.Spec.Suspend != nil && *job.Spec.Suspend && !slices.Contains(j.suspends, job.Name) {
		j.suspends = append(j.suspends, job.Name)
	}
}

func (j *jobs) seePod(object any) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if pod.Status.Phase == corev1.PodRunning && pod.DeletionTimestamp != nil {
		j.cut[pod.Name] = true
	}
}

// history is the parallelism that a Job has had, in order.
func (j *jobs) history(name string) []int32 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.counts[name])
}

// wantNothingCut fails when a pod was deleted that ran, or a Job suspended that is not among those. A pod that waits for its containers to start may go: the Job controller
// may have made it in the instant in which the parallelism was lowered, and takes that very pod back.
func (j *jobs) wantNothingCut(suspended ...string) {
	j.T.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.cut) > 0 {
		j.T.Errorf("pods that ran were deleted: %v", slices.Sorted(maps.Keys(j.cut)))
	}
	if !slices.Equal(j.suspends, suspended) {
		j.T.Errorf("these Jobs were suspended: %v, want %v", j.suspends, suspended)
	}
}

func (j *jobs) read(name string) *batchv1.Job {
	j.T.Helper()
	job, err := j.client.Get(j.T.Context(), name, metav1.GetOptions{})
	if err != nil {
		j.T.Fatalf("get Job %s: %v", name, err)
	}
	return job
}

// merge changes a Job as kubectl patch does.
func (j *jobs) merge(name, patch string) error {
	_, err := j.client.Patch(j.T.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl-patch"})
	return err
}

func (j *jobs) mustMerge(name, patch string) {
	j.T.Helper()
	if err := j.merge(name, patch); err != nil {
		j.T.Fatalf("patch Job %s with %s: %v", name, patch, err)
	}
}

// awaitParallelism waits until a Job has that parallelism.
func (j *jobs) awaitParallelism(name string, want int32) {
	j.T.Helper()
	j.Await(fmt.Sprintf("Job %s at parallelism %d", name, want), world.Soon, func(context.Context) error {
		if list := j.history(name); len(list) == 0 || list[len(list)-1] != want {
			return fmt.Errorf("it has had %v", list)
		}
		return nil
	})
}

func (j *jobs) wantParallelism(name string, want ...int32) {
	j.T.Helper()
	if got := j.history(name); !slices.Equal(got, want) {
		j.T.Fatalf("Job %s has had the parallelism %v, want %v", name, got, want)
	}
}

// running are the pods of a Job that have not ended.
func (j *jobs) running(ctx context.Context, name string) ([]corev1.Pod, error) {
	list, err := j.Kube.CoreV1().Pods(j.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: batchv1.JobNameLabel + "=" + name, FieldSelector: "status.phase!=Succeeded,status.phase!=Failed",
	})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// awaitPods waits until that many pods of a Job run.
func (j *jobs) awaitPods(name string, want int) {
	j.T.Helper()
	j.Await(fmt.Sprintf("%d pods of Job %s run", want, name), world.Soon, func(ctx context.Context) error {
		pods, err := j.running(ctx, name)
		if err != nil {
			return err
		}
		ready := 0
		for _, pod := range pods {
			if pod.Status.Phase == corev1.PodRunning {
				ready++
			}
		}
		if len(pods) != want || ready != want {
			return fmt.Errorf("there are %d, of which %d run", len(pods), ready)
		}
		return nil
	})
}

// finish lets n pods of a Job end well, all at once.
func (j *jobs) finish(name string, n int) {
	j.T.Helper()
	pods, err := j.running(j.T.Context(), name)
	if err != nil || len(pods) < n {
		j.T.Fatalf("there are %d pods of Job %s that run (%v), want at least %d", len(pods), name, err, n)
	}
	for _, pod := range pods[:n] {
		if err := endPod(j.T.Context(), j.Kube, &pod); err != nil {
			j.T.Fatal(err)
		}
	}
}

// finishDownTo lets pods of a Job end one by one until its parallelism has fallen to want. Now and then Kubernetes replaces one before that: when other pods have ended within the
// second before.
func (j *jobs) finishDownTo(name string, want int32) {
	j.T.Helper()
	for ended := 1; ; ended++ {
		before := *j.read(name).Spec.Parallelism
		if before == want {
			return
		}
		if ended > 30 {
			j.T.Fatalf("the parallelism of Job %s is still %d after %d pods have ended, want %d", name, before, ended, want)
		}
		j.awaitPods(name, int(before))
		j.finish(name, 1)
		j.Await("the pod is replaced, or the parallelism is lowered", world.Soon, func(ctx context.Context) error {
			pods, err := j.running(ctx, name)
			if err != nil {
				return err
			}
			if now := *j.read(name).Spec.Parallelism; len(pods) != int(now) || now < want {
				return fmt.Errorf("parallelism %d with %d pods", now, len(pods))
			}
			return nil
		})
	}
}

func endPod(ctx context.Context, kube kubernetes.Interface, pod *corev1.Pod) error {
	patch := `{"status":{"phase":"Succeeded","conditions":[{"type":"Ready","status":"False","reason":"PodCompleted"}]}}`
	_, err := kube.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	return err
}

// awaitLeftAlone waits until the status of a Job says why it is left alone.
func (j *jobs) awaitLeftAlone(name, pattern string) {
	j.T.Helper()
	j.awaitStatus(name, report.Active, "False", "LeftAlone", pattern)
}

func (j *jobs) awaitStatus(name, kind, status, reason, pattern string) {
	j.T.Helper()
	expression := regexp.MustCompile(pattern)
	j.Await(fmt.Sprintf("condition %s=%s (%s) on Job %s", kind, status, reason, name), world.Soon, func(context.Context) error {
		conditions := report.Parse(j.read(name).Annotations[annotations.StatusKey])
		for _, c := range conditions {
			if c.Type == kind && c.Status == status && c.Reason == reason && expression.MatchString(c.Message) {
				return nil
			}
		}
		return fmt.Errorf("the conditions are %v", conditions)
	})
}

// busy is a Job at parallelism 1 with a backlog that asks for n pods, which run.
func (j *jobs) busy(t *testing.T, name string, n int, more world.Settings) {
	t.Helper()
	stream := j.Stream(name)
	j.Group(j.Redis.Client(), stream, "0")
	j.Add(j.Redis.Client(), stream, 5*n)
	settings := world.Quick(world.Settings{"cooldown": "1s", "trigger.orders": j.Trigger(stream, world.Group)})
	for key, value := range more {
		settings[key] = value
	}
	j.CreateJob(j.Job(name, 1, settings))
	j.awaitParallelism(name, int32(n)) //nolint:gosec // a case has few pods
	j.awaitPods(name, n)
}

// drain takes n pods' worth of work away.
func (j *jobs) drain(name string, n int) {
	j.T.Helper()
	j.World.Read(j.Redis.Client(), j.Stream(name), 5*n, true)
}
