package rivals

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	autoscalinginformers "k8s.io/client-go/informers/autoscaling/v2"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"autoscale.io/annotations"
)

// Target is a workload as its rivals refer to it.
type Target struct{ Group, Kind, Namespace, Name string }

func (t Target) key() string { return t.Group + "/" + t.Kind + "/" + t.Namespace + "/" + t.Name }

// Options are what a Rivals works with. Fields without a default must be set.
type Options struct {
	Kube    kubernetes.Interface
	Dynamic dynamic.Interface
	Log     logr.Logger
	// Changed is told of each workload whose rivals may have changed. It must not block.
	Changed func(Target)
	// Interval is the time between two looks whether KEDA's API is served. Defaults to 15 seconds.
	Interval time.Duration
}

// Rivals answers who else scales a workload.
type Rivals struct {
	Options
	hpas cache.SharedIndexInformer
	// keda is closed once it is known whether KEDA's API is served, and its ScaledObjects if so.
	keda chan struct{}

	mu sync.Mutex
	// scaledObjects is nil while KEDA's API is not served.
	scaledObjects cache.SharedIndexInformer
}

const byTarget = "target"

// New returns a Rivals that knows of nobody before Run.
func New(o Options) (*Rivals, error) {
	if o.Interval == 0 {
		o.Interval = 15 * time.Second
	}
	r := &Rivals{
		Options: o, keda: make(chan struct{}),
		hpas: autoscalinginformers.NewHorizontalPodAutoscalerInformer(o.Kube, metav1.NamespaceAll, 0, cache.Indexers{byTarget: index}),
	}
	if err := r.wire(r.hpas, slimHPA); err != nil {
		return nil, fmt.Errorf("watch HorizontalPodAutoscalers: %w", err)
	}
	return r, nil
}

// wire makes an informer keep little and tell of changes.
func (r *Rivals) wire(informer cache.SharedIndexInformer, slim cache.TransformFunc) error {
	if err := informer.SetTransform(slim); err != nil {
		return err
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    r.see,
		UpdateFunc: func(before, now any) { r.see(before); r.see(now) },
		DeleteFunc: r.see,
	})
	return err
}

func (r *Rivals) see(object any) {
	if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	if target, ok := targetOf(object); ok {
		r.Changed(target)
	}
}

// Run watches until ctx ends.
func (r *Rivals) Run(ctx context.Context) error {
	var watches sync.WaitGroup
	watches.Go(func() { r.hpas.RunWithContext(ctx) })
	watches.Go(func() { r.followKEDA(ctx) })
	watches.Wait()
	return nil
}

// syncTimeout is how long Sync waits. Without the rights to list, the rivals are never known.
const syncTimeout = 10 * time.Second

// Sync waits until the rivals are known, or for 10 seconds, and says in the log which are not.
func (r *Rivals) Sync(ctx context.Context) {
	waiting, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	if !cache.WaitForCacheSync(waiting.Done(), r.hpas.HasSynced) && ctx.Err() == nil {
		r.Log.Info("cannot list HorizontalPodAutoscalers, so one that scales the same workload is not seen; is the ClusterRole up to date?")
	}
	select {
	case <-r.keda:
	case <-waiting.Done():
	}
}

// Of names who else scales a workload, such as "HorizontalPodAutoscaler web"; it is empty when nobody is known to. An HPA that KEDA made goes by the
// name of its ScaledObject, so that the two are one rival.
func (r *Rivals) Of(target Target) string {
	r.mu.Lock()
	scaledObjects := r.scaledObjects
	r.mu.Unlock()
	if scaledObjects != nil {
		if found := first(scaledObjects, target); found != nil {
			return scaledObject + " " + found.GetName()
		}
	}
	found := first(r.hpas, target)
	if found == nil {
		return ""
	}
	if owner := metav1.GetControllerOf(found); owner != nil && owner.Kind == scaledObject {
		return scaledObject + " " + owner.Name
	}
	return "HorizontalPodAutoscaler " + found.GetName()
}

// first is the rival of a target whose name comes first, so that the answer is the same each time.
func first(informer cache.SharedIndexInformer, target Target) metav1.Object {
	found, err := informer.GetIndexer().ByIndex(byTarget, target.key())
	if err != nil {
		return nil
	}
	var least metav1.Object
	for _, object := range found {
		if m, ok := object.(metav1.Object); ok && (least == nil || m.GetName() < least.GetName()) {
			least = m
		}
	}
	return least
}

func index(object any) ([]string, error) {
	target, ok := targetOf(object)
	if !ok {
		return nil, nil
	}
	return []string{target.key()}, nil
}

// targetOf is what an HPA or a ScaledObject scales.
func targetOf(object any) (Target, bool) {
	hpa, ok := object.(*autoscalingv2.HorizontalPodAutoscaler)
	if !ok {
		return targetOfScaledObject(object)
	}
	ref := hpa.Spec.ScaleTargetRef
	return Target{annotations.GroupOf(ref.APIVersion), ref.Kind, hpa.Namespace, ref.Name}, true
}

// slimHPA keeps what an HPA is called, what it scales and who made it.
func slimHPA(object any) (any, error) {
	hpa, ok := object.(*autoscalingv2.HorizontalPodAutoscaler)
	if !ok {
		return object, nil
	}
	slim := &autoscalingv2.HorizontalPodAutoscaler{}
	slim.Name, slim.Namespace, slim.UID, slim.ResourceVersion = hpa.Name, hpa.Namespace, hpa.UID, hpa.ResourceVersion
	slim.OwnerReferences = hpa.OwnerReferences
	slim.Spec.ScaleTargetRef = hpa.Spec.ScaleTargetRef
	return slim, nil
}
