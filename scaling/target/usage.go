package target

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	informersv1 "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
	metricsclient "k8s.io/metrics/pkg/client/clientset/versioned/typed/metrics/v1beta1"

	"autoscale.io/scalers"
)

// UsageOptions are what a Usage works with. All but Resolution must be set.
type UsageOptions struct {
	Kube     kubernetes.Interface
	Metadata metadata.Interface
	Metrics  metricsclient.PodMetricsesGetter
	Log      logr.Logger
	// Resolution is how often metrics-server measures; nothing is read oftener. Defaults to metrics-server's own 15 s.
	Resolution time.Duration
}

// Usage finds the pods of workloads by their owners and what metrics-server says of them. Pods and ReplicaSets are watched from the first question
// on; who never asks costs nothing. It is safe for concurrent use.
type Usage struct {
	log     logr.Logger
	metrics *podMetrics
	// pods and sets are indexed by the UID of what controls them.
	pods, sets cache.SharedIndexInformer

	asked     chan struct{}
	askedOnce sync.Once
	// complete is closed once both lists are there.
	complete chan struct{}
	// failure is why the latest try to list or watch failed.
	failure atomic.Pointer[error]
}

var _ scalers.Usage = (*Usage)(nil)

// byController is the name of the index.
const byController = "controller"

// running leaves out pods that have ended, which count for nothing and can be many.
const running = "status.phase!=" + string(corev1.PodSucceeded) + ",status.phase!=" + string(corev1.PodFailed)

// NewUsage returns a Usage that answers while Run runs.
func NewUsage(o UsageOptions) (*Usage, error) {
	if o.Resolution <= 0 {
		o.Resolution = 15 * time.Second
	}
	indexers := cache.Indexers{byController: controllerOf}
	u := &Usage{
		log: o.Log, metrics: newPodMetrics(o.Metrics, o.Resolution), asked: make(chan struct{}), complete: make(chan struct{}),
		pods: informersv1.NewFilteredPodInformer(o.Kube, metav1.NamespaceAll, 0, indexers, func(l *metav1.ListOptions) { l.FieldSelector = running }),
		sets: metadatainformer.NewFilteredMetadataInformer(o.Metadata, appsv1.SchemeGroupVersion.WithResource("replicasets"), metav1.NamespaceAll, 0, indexers, nil).Informer(),
	}
	err := errors.Join(u.pods.SetTransform(slimPod), u.sets.SetTransform(slimSet),
		u.pods.SetWatchErrorHandlerWithContext(u.failed("pods")), u.sets.SetWatchErrorHandlerWithContext(u.failed("replicasets")))
	if err != nil {
		return nil, fmt.Errorf("set up the watch of pods: %w", err)
	}
	return u, nil
}

// Run watches from the first question on until ctx ends.
func (u *Usage) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-u.asked:
	}
	var informers sync.WaitGroup
	informers.Go(func() { u.pods.RunWithContext(ctx) })
	informers.Go(func() { u.sets.RunWithContext(ctx) })
	if cache.WaitForCacheSync(ctx.Done(), u.pods.HasSynced, u.sets.HasSynced) {
		close(u.complete)
	}
	informers.Wait()
	return nil
}

func (u *Usage) failed(what string) cache.WatchErrorHandlerWithContext {
	return func(ctx context.Context, r *cache.Reflector, err error) {
		failure := fmt.Errorf("watch %s: %w", what, err)
		u.failure.Store(&failure)
		u.log.Info("a watch failed and is tried again", "kind", what, "error", err.Error())
		cache.DefaultWatchErrorHandler(ctx, r, err)
	}
}

// Pods implements scalers.Usage.
func (u *Usage) Pods(ctx context.Context, workload scalers.Host) ([]scalers.Pod, error) {
	u.askedOnce.Do(func() { close(u.asked) })
	select {
	case <-u.complete:
	case <-ctx.Done():
		return nil, u.incomplete()
	}
	owned, err := u.owned(workload.UID)
	if err != nil || len(owned) == 0 {
		return nil, err
	}
	samples, err := u.metrics.of(ctx, workload.Namespace)
	if err != nil {
		return nil, err
	}
	pods := make([]scalers.Pod, 0, len(owned))
	for _, pod := range owned {
		pods = append(pods, podOf(pod, samples[pod.Name]))
	}
	return pods, nil
}

// incomplete says why there is no list of pods yet.
func (u *Usage) incomplete() error {
	failure := u.failure.Load()
	switch {
	case failure == nil:
		return errors.New("the list of pods is not complete yet")
	case apierrors.IsForbidden(*failure):
		return fmt.Errorf("cpu and memory need rights of their own; bind the ClusterRole autoscaler-resources: %w", *failure)
	}
	return fmt.Errorf("the list of pods is not complete yet: %w", *failure)
}

// owned are the pods whose chain of controllers ends at the object of that UID: its own, and those of its ReplicaSets.
func (u *Usage) owned(uid types.UID) ([]*corev1.Pod, error) {
	sets, err := u.sets.GetIndexer().ByIndex(byController, string(uid))
	if err != nil {
		return nil, fmt.Errorf("find ReplicaSets: %w", err)
	}
	owners := []string{string(uid)}
	for _, object := range sets {
		if set, ok := object.(metav1.Object); ok {
			owners = append(owners, string(set.GetUID()))
		}
	}
	var pods []*corev1.Pod
	for _, owner := range owners {
		objects, err := u.pods.GetIndexer().ByIndex(byController, owner)
		if err != nil {
			return nil, fmt.Errorf("find pods: %w", err)
		}
		for _, object := range objects {
			if pod, ok := object.(*corev1.Pod); ok {
				pods = append(pods, pod)
			}
		}
	}
	return pods, nil
}

// controllerOf indexes an object by what controls it.
func controllerOf(object any) ([]string, error) {
	if m, ok := object.(metav1.Object); ok {
		if controller := metav1.GetControllerOfNoCopy(m); controller != nil {
			return []string{string(controller.UID)}, nil
		}
	}
	return nil, nil
}
