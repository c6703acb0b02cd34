package scalingtest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"autoscale.io/scaling/scalingtest/apiserver"
)

// lookAfter is how long after a change the stand-in of the controllers looks, as the Job controller does.
const lookAfter = time.Second

// controllers stand in for the controllers of Deployments, StatefulSets and Jobs, for the scheduler and the kubelet.
// They know no rollouts.
type controllers struct {
	world *World
	kube  kubernetes.Interface
	look  chan struct{}
	stop  context.CancelFunc
	done  sync.WaitGroup
}

// RunPods makes pods for all workloads from now on, and for the Jobs of templates: one second after a change there are
// as many as their specs ask for, and one second later those run and are ready; one with a node selector stays pending.
// Pods of a Job end by EndPods alone, and are replaced one second later, until the Job is complete.
func (w *World) RunPods() {
	w.Helper()
	ctx, stop := context.WithCancel(context.Background())
	clients, err := w.API.Clients("system:kube-controller-manager", nil)
	if err != nil {
		w.Fatal(err)
	}
	c := &controllers{world: w, kube: clients.Kube, look: make(chan struct{}, 1), stop: stop}
	factory := informers.NewSharedInformerFactory(clients.Kube, 0)
	poke := func() {
		select {
		case c.look <- struct{}{}:
		default:
		}
	}
	for _, informer := range []cache.SharedIndexInformer{
		factory.Apps().V1().Deployments().Informer(), factory.Apps().V1().StatefulSets().Informer(), factory.Batch().V1().Jobs().Informer(), factory.Core().V1().Pods().Informer(),
	} {
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { poke() }, UpdateFunc: func(_, _ any) { poke() }, DeleteFunc: func(any) { poke() },
		}); err != nil {
			w.Fatal(err)
		}
		c.done.Go(func() { informer.RunWithContext(ctx) })
	}
	c.done.Go(func() { c.run(ctx) })
	w.controllers = c
	w.Settle()
}

func (c *controllers) end() {
	if c != nil {
		c.stop()
		c.done.Wait()
	}
}

func (c *controllers) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.look:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookAfter):
		}
		if err := c.sync(ctx); err != nil && ctx.Err() == nil {
			c.world.Errorf("the stand-in of the controllers: %v", err)
		}
	}
}

// workload is what the stand-in needs to know of an object that has pods.
type workload struct {
	owner    metav1.OwnerReference
	name     string
	template corev1.PodTemplateSpec
	wanted   int
}

func (c *controllers) sync(ctx context.Context) error {
	pods, err := c.kube.CoreV1().Pods(Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	byOwner := map[types.UID][]corev1.Pod{}
	for _, pod := range pods.Items {
		if owner := metav1.GetControllerOf(&pod); owner != nil {
			byOwner[owner.UID] = append(byOwner[owner.UID], pod)
		}
	}
	deployments, err := c.kube.AppsV1().Deployments(Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, d := range deployments.Items {
		err := c.scale(ctx, workload{ownerOf("apps/v1", "Deployment", &d), d.Name, d.Spec.Template, int(*d.Spec.Replicas)}, byOwner[d.UID])
		if err != nil {
			return err
		}
	}
	sets, err := c.kube.AppsV1().StatefulSets(Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, s := range sets.Items {
		err := c.scale(ctx, workload{ownerOf("apps/v1", "StatefulSet", &s), s.Name, s.Spec.Template, int(*s.Spec.Replicas)}, byOwner[s.UID])
		if err != nil {
			return err
		}
	}
	jobs, err := c.kube.BatchV1().Jobs(Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, j := range jobs.Items {
		if err := c.syncJob(ctx, &j, byOwner[j.UID]); err != nil {
			return err
		}
	}
	return nil
}

func ownerOf(version, kind string, object metav1.Object) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: version, Kind: kind, Name: object.GetName(), UID: object.GetUID(), Controller: ptr.To(true)}
}

// scale makes pods or deletes the youngest, and lets those run that are there already.
func (c *controllers) scale(ctx context.Context, w workload, pods []corev1.Pod) error {
	pods = slices.DeleteFunc(pods, func(p corev1.Pod) bool {
		return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	})
	slices.SortStableFunc(pods, func(a, b corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	client := c.kube.CoreV1().Pods(Namespace)
	for _, pod := range pods[:min(len(pods), max(w.wanted, 0))] {
		if pod.Status.Phase == corev1.PodRunning || len(pod.Spec.NodeSelector) > 0 {
			continue
		}
		now := time.Now().UTC().Format(time.RFC3339)
		status := fmt.Sprintf(`{"status":{"phase":"Running","startTime":%q,"conditions":[{"type":"Ready","status":"True","lastTransitionTime":%[1]q}]}}`, now)
		if _, err := client.Patch(ctx, pod.Name, types.MergePatchType, []byte(status), metav1.PatchOptions{}, "status"); err != nil {
			return err
		}
	}
	for range w.wanted - len(pods) {
		pod := &corev1.Pod{ObjectMeta: w.template.ObjectMeta, Spec: w.template.Spec, Status: corev1.PodStatus{Phase: corev1.PodPending}}
		pod.GenerateName, pod.OwnerReferences = w.name+"-", []metav1.OwnerReference{w.owner}
		if _, err := client.Create(ctx, pod, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	for _, pod := range pods[min(len(pods), max(w.wanted, 0)):] {
		if err := client.Delete(ctx, pod.Name, metav1.DeleteOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// syncJob counts the pods of a Job, says when it is complete and makes as many as it needs.
func (c *controllers) syncJob(ctx context.Context, job *batchv1.Job, pods []corev1.Pod) error {
	if job.Spec.ManagedBy != nil && *job.Spec.ManagedBy != batchv1.JobControllerName {
		return nil
	}
	status := statusOf(job, pods)
	if len(status.Conditions) == 0 && complete(job, status) {
		now := metav1.Now()
		status.CompletionTime = &now
		status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue, LastTransitionTime: now}}
	}
	data, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return err
	}
	if _, err := c.kube.BatchV1().Jobs(Namespace).Patch(ctx, job.Name, types.MergePatchType, data, metav1.PatchOptions{}, "status"); err != nil {
		return err
	}
	return c.scale(ctx, workload{ownerOf("batch/v1", "Job", job), job.Name, job.Spec.Template, int(wantedPods(job, status))}, pods)
}

// statusOf counts the pods of a Job.
func statusOf(job *batchv1.Job, pods []corev1.Pod) batchv1.JobStatus {
	status := batchv1.JobStatus{Conditions: job.Status.Conditions, StartTime: job.Status.StartTime, CompletionTime: job.Status.CompletionTime, Ready: new(int32)}
	for _, pod := range pods {
		switch pod.Status.Phase {
		case corev1.PodSucceeded:
			status.Succeeded++
		case corev1.PodFailed:
			status.Failed++
		case corev1.PodRunning:
			*status.Ready++
			status.Active++
		default:
			status.Active++
		}
	}
	return status
}

// complete says whether a Job needs no more pods. One without completions is complete when a pod has succeeded and none
// is left.
func complete(job *batchv1.Job, status batchv1.JobStatus) bool {
	if job.Spec.Completions == nil {
		return status.Succeeded > 0 && status.Active == 0
	}
	return status.Succeeded >= *job.Spec.Completions
}

// wantedPods is how many pods of a Job there should be now.
func wantedPods(job *batchv1.Job, status batchv1.JobStatus) int32 {
	switch {
	case len(status.Conditions) > 0 || *job.Spec.Suspend:
		return 0
	case job.Spec.Completions != nil:
		return min(*job.Spec.Parallelism, *job.Spec.Completions-status.Succeeded)
	case status.Succeeded > 0:
		return min(*job.Spec.Parallelism, status.Active)
	}
	return *job.Spec.Parallelism
}

// CutShort are the pods that were deleted while they ran, by whatever reason.
func (w *World) CutShort() []string {
	var names []string
	for _, write := range w.API.Writes(func(write apiserver.Write) bool {
		return write.Verb == "delete" && write.Resource.Resource == "pods" && write.Err == nil
	}) {
		if status, ok := write.Before.Object["status"].(map[string]any); ok && status["phase"] == string(corev1.PodRunning) {
			names = append(names, write.Name)
		}
	}
	return names
}
