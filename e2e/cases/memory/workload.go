package memory

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"autoscale.io/annotations"
	"autoscale.io/e2e/world"
	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/stories"
)

// Create implements stories.Cluster.
func (r *realCluster) Create(replicas int32, more scalingtest.Settings) {
	r.T.Helper()
	settings := world.Quick(world.Settings(more))
	settings["trigger.orders"] = r.Trigger(r.stream, ", measure: length")
	switch r.kind {
	case stories.Deployment:
		r.World.Create(r.name, replicas, settings)
	case stories.StatefulSet:
		r.createSet(r.Deployment(r.name, replicas, settings))
	case stories.Job:
		r.CreateJob(r.labelled(r.Job(r.name, replicas, settings)))
	case stories.Template:
		trigger := strings.Replace(settings["trigger.orders"], "target: 5", "target: 1", 1)
		job := r.labelled(r.Job(r.name, replicas, world.Settings(stories.Spawning(trigger, more))))
		job.Spec.Suspend, job.Spec.Parallelism, job.Spec.Completions = ptr.To(true), nil, nil
		r.CreateJob(job)
	}
}

func (r *realCluster) createSet(d *appsv1.Deployment) {
	r.T.Helper()
	set := &appsv1.StatefulSet{
		ObjectMeta: d.ObjectMeta,
		Spec:       appsv1.StatefulSetSpec{Replicas: d.Spec.Replicas, Selector: d.Spec.Selector, Template: d.Spec.Template},
	}
	if _, err := r.Kube.AppsV1().StatefulSets(r.Namespace).Create(r.T.Context(), set, metav1.CreateOptions{}); err != nil {
		r.T.Fatal(err)
	}
}

// labelled gives the pods of a Job the label that those of other kinds have.
func (r *realCluster) labelled(job *batchv1.Job) *batchv1.Job {
	job.Spec.Template.Labels = map[string]string{"app": r.name}
	return job
}

// Annotate does what kubectl annotate does.
func (r *realCluster) Annotate(settings scalingtest.Settings) {
	r.T.Helper()
	changes := map[string]*string{}
	for name, value := range settings {
		if changes[annotations.Prefix+name] = &value; value == "" {
			changes[annotations.Prefix+name] = nil
		}
	}
	r.patch("kubectl-annotate", map[string]any{"metadata": map[string]any{"annotations": changes}})
}

// Release implements stories.Cluster.
func (r *realCluster) Release() {
	r.T.Helper()
	object, err := r.objects.Get(r.T.Context(), r.name, metav1.GetOptions{})
	if err != nil {
		r.T.Fatal(err)
	}
	r.Annotate(stories.Gone(object.GetAnnotations()))
	r.released = true
}

// Scale does what kubectl scale does.
func (r *realCluster) Scale(replicas int32) {
	r.T.Helper()
	r.patch("kubectl", map[string]any{"spec": map[string]any{"replicas": replicas}}, "scale")
}

func (r *realCluster) patch(manager string, changes map[string]any, subresources ...string) {
	r.T.Helper()
	data, err := json.Marshal(changes)
	if err == nil {
		_, err = r.objects.Patch(r.T.Context(), r.name, types.MergePatchType, data, metav1.PatchOptions{FieldManager: manager}, subresources...)
	}
	if err != nil {
		r.T.Fatalf("patch %s: %v", r.name, err)
	}
}

// Replicas implements stories.Cluster.
func (r *realCluster) Replicas() int32 {
	if object := r.latest(r.name); object != nil {
		return stories.Replicas(object)
	}
	return 0
}

// AwaitReplicas implements stories.Cluster.
func (r *realCluster) AwaitReplicas(replicas int32) {
	r.T.Helper()
	r.Await(fmt.Sprintf("%s at %d replicas", r.name, replicas), world.Soon, func(context.Context) error {
		if r.latest(r.name) == nil || r.Replicas() != replicas {
			return fmt.Errorf("there were\n%s", strings.Join(r.changes(), "\n"))
		}
		return nil
	})
}

// AwaitMade implements stories.Cluster.
func (r *realCluster) AwaitMade(n int) {
	r.T.Helper()
	r.Await(fmt.Sprintf("%d Jobs of %s", n, r.name), world.Soon, func(context.Context) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if made := len(r.last) - 1; made != n {
			return fmt.Errorf("there have been %d", made)
		}
		return nil
	})
}

// pods are the pods that have not ended, oldest first.
func (r *realCluster) pods(ctx context.Context) ([]corev1.Pod, error) {
	list, err := r.Kube.CoreV1().Pods(r.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: "app=" + r.name, FieldSelector: "status.phase!=Succeeded,status.phase!=Failed",
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(list.Items, func(a, b corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	return list.Items, nil
}

// AwaitPods implements stories.Cluster.
func (r *realCluster) AwaitPods(n int) { r.T.Helper(); r.awaitPods(func() int { return n }) }

// AwaitEnoughPods implements stories.Cluster.
func (r *realCluster) AwaitEnoughPods() {
	r.T.Helper()
	r.awaitPods(func() int { return int(r.Replicas()) })
}

func (r *realCluster) awaitPods(want func() int) {
	r.T.Helper()
	r.Await("the pods of "+r.name+" run", world.Soon, func(ctx context.Context) error {
		pods, err := r.pods(ctx)
		if err != nil {
			return err
		}
		running := slices.DeleteFunc(slices.Clone(pods), func(p corev1.Pod) bool { return p.Status.Phase != corev1.PodRunning })
		if n := want(); len(pods) != n || len(running) != n {
			return fmt.Errorf("%d of %d pods run, want %d", len(running), len(pods), n)
		}
		return nil
	})
}

// EndPods implements stories.Cluster.
func (r *realCluster) EndPods(n int) {
	r.T.Helper()
	ctx := r.T.Context()
	pods, err := r.pods(ctx)
	if err != nil || len(pods) < n {
		r.T.Fatalf("%s has %d pods (%v), want at least %d", r.name, len(pods), err, n)
	}
	patch := `{"status":{"phase":"Succeeded","conditions":[{"type":"Ready","status":"False","reason":"PodCompleted"}]}}`
	client := r.Kube.CoreV1().Pods(r.Namespace)
	for _, pod := range pods[:n] {
		_, err := client.Patch(ctx, pod.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
		if err != nil {
			r.T.Fatal(err)
		}
	}
}
