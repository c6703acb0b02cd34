package differential

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	applisters "k8s.io/client-go/listers/apps/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

// watcher keeps every count that any Deployment ever had, and knows whether its pods are as wanted.
type watcher struct {
	deployments applisters.DeploymentLister
	pods        corelisters.PodLister

	mu   sync.Mutex
	seen map[types.NamespacedName][]change
}

// change is a count and when it was seen.
type change struct {
	replicas int32
	at       time.Time
}

// watch watches until ctx ends.
func watch(ctx context.Context, kube kubernetes.Interface) (*watcher, error) {
	all := informers.NewSharedInformerFactory(kube, 0)
	w := &watcher{
		deployments: all.Apps().V1().Deployments().Lister(),
		pods:        all.Core().V1().Pods().Lister(),
		seen:        map[types.NamespacedName][]change{},
	}
	if _, err := all.Apps().V1().Deployments().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    w.note,
		UpdateFunc: func(_, object any) { w.note(object) },
	}); err != nil {
		return nil, err
	}
	all.StartWithContext(ctx)
	all.WaitForCacheSyncWithContext(ctx)
	return w, ctx.Err()
}

func (w *watcher) note(object any) {
	d, ok := object.(*appsv1.Deployment)
	if !ok || d.Spec.Replicas == nil {
		return
	}
	key := types.NamespacedName{Namespace: d.Namespace, Name: d.Name}
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.seen[key]
	if n := len(list); n == 0 || list[n-1].replicas != *d.Spec.Replicas {
		w.seen[key] = append(list, change{*d.Spec.Replicas, time.Now()})
	}
}

// changes are the counts of a Deployment, in order.
func (w *watcher) changes(namespace, name string) history {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append(history(nil), w.seen[types.NamespacedName{Namespace: namespace, Name: name}]...)
}

// of are the pods of a Deployment.
func (w *watcher) of(namespace, name string) ([]*corev1.Pod, error) {
	return w.pods.Pods(namespace).List(labels.SelectorFromSet(labels.Set{app: name}))
}

// settled says whether a Deployment has exactly the pods that it wants, all Ready for that long at least, and says so itself.
func (w *watcher) settled(namespace, name string, long time.Duration) (replicas int32, ok bool) {
	d, err := w.deployments.Deployments(namespace).Get(name)
	if err != nil {
		return 0, false
	}
	want := *d.Spec.Replicas
	if d.Status.ObservedGeneration < d.Generation || d.Status.Replicas != want || d.Status.ReadyReplicas != want {
		return want, false
	}
	pods, err := w.of(namespace, name)
	if err != nil || len(pods) != int(want) {
		return want, false
	}
	for _, pod := range pods {
		if !ready(pod, long) {
			return want, false
		}
	}
	return want, true
}

// created says whether the Deployment under the HPA has as many pods as it wants, Ready or not. The HPA takes no pods at all for an error.
func (w *watcher) created(namespace string) (replicas int32, ok bool) {
	d, err := w.deployments.Deployments(namespace).Get(theirs)
	if err != nil {
		return 0, false
	}
	pods, err := w.of(namespace, theirs)
	return *d.Spec.Replicas, err == nil && len(pods) == int(*d.Spec.Replicas)
}

func ready(pod *corev1.Pod, long time.Duration) bool {
	if pod.DeletionTimestamp != nil || pod.Status.Phase != corev1.PodRunning {
		return false
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue && time.Since(c.LastTransitionTime.Time) >= long
		}
	}
	return false
}

// history is a series of counts, the oldest first.
type history []change

func (h history) counts() []int32 {
	counts := make([]int32, 0, len(h))
	for _, c := range h {
		counts = append(counts, c.replicas)
	}
	return counts
}

// since is the part from a moment on.
func (h history) since(t time.Time) history {
	for i, c := range h {
		if c.at.After(t) {
			return h[i:]
		}
	}
	return nil
}

func (h history) String() string {
	var b strings.Builder
	for i, c := range h {
		if i > 0 {
			fmt.Fprintf(&b, " +%.1fs ", c.at.Sub(h[i-1].at).Seconds())
		}
		fmt.Fprintf(&b, "%d", c.replicas)
	}
	return b.String()
}
