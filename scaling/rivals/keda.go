package rivals

import (
	"cmp"
	"context"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"

	"autoscale.io/annotations"
)

// scaledObject is the kind by which KEDA scales a workload.
const scaledObject = "ScaledObject"

func scaledObjects() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"}
}

// followKEDA watches ScaledObjects while the API server serves them: KEDA can be installed and removed at any time. It returns when ctx ends.
func (r *Rivals) followKEDA(ctx context.Context) {
	known := sync.OnceFunc(func() { close(r.keda) })
	for ctx.Err() == nil {
		served, err := r.servesKEDA(ctx)
		switch {
		case err != nil: // it is asked again
		case served:
			r.watchKEDA(ctx, known)
		default:
			known()
		}
		r.pause(ctx)
	}
}

// watchKEDA watches ScaledObjects until they are not served any more, or ctx ends.
func (r *Rivals) watchKEDA(ctx context.Context, known func()) {
	informer, err := r.newScaledObjects()
	if err != nil {
		r.Log.Error(err, "cannot watch ScaledObjects")
		return
	}
	watching, stop := context.WithCancel(ctx)
	var watches sync.WaitGroup
	watches.Go(func() { informer.RunWithContext(watching) })
	watches.Go(func() {
		if cache.WaitForCacheSync(watching.Done(), informer.HasSynced) {
			known()
		}
	})
	for served := true; served && ctx.Err() == nil; {
		r.pause(ctx)
		if now, err := r.servesKEDA(ctx); err == nil {
			served = now
		}
	}
	stop()
	watches.Wait()
	if ctx.Err() == nil {
		r.dropScaledObjects(informer)
	}
}

func (r *Rivals) pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(wait.Jitter(r.Interval, 0.2)):
	}
}

func (r *Rivals) servesKEDA(ctx context.Context) (bool, error) {
	client := discovery.ToDiscoveryInterfaceWithContext(r.Kube.Discovery())
	list, err := client.ServerResourcesForGroupVersionWithContext(ctx, scaledObjects().GroupVersion().String())
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, resource := range list.APIResources {
		if resource.Name == scaledObjects().Resource {
			return true, nil
		}
	}
	return false, nil
}

func (r *Rivals) newScaledObjects() (cache.SharedIndexInformer, error) {
	informer := dynamicinformer.NewFilteredDynamicInformer(r.Dynamic, scaledObjects(), metav1.NamespaceAll, 0, cache.Indexers{byTarget: index}, nil).Informer()
	if err := r.wire(informer, slimScaledObject); err != nil {
		return nil, err
	}
	said := false
	err := informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, reflector *cache.Reflector, err error) {
		switch {
		case apierrors.IsNotFound(err): // KEDA is being removed, and the next look sees it
		case apierrors.IsForbidden(err) && said:
		case apierrors.IsForbidden(err):
			said = true
			r.Log.Info("cannot list the ScaledObjects of KEDA, so one that scales the same workload is not seen; is the ClusterRole up to date?", "error", err.Error())
		default:
			cache.DefaultWatchErrorHandler(ctx, reflector, err)
		}
	})
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.scaledObjects = informer
	return informer, nil
}

// dropScaledObjects forgets them all, since their API is gone.
func (r *Rivals) dropScaledObjects(informer cache.SharedIndexInformer) {
	r.mu.Lock()
	r.scaledObjects = nil
	r.mu.Unlock()
	for _, object := range informer.GetStore().List() {
		r.see(object)
	}
}

// targetOfScaledObject reads spec.scaleTargetRef with KEDA's defaults: a Deployment of apps/v1.
func targetOfScaledObject(object any) (Target, bool) {
	u, ok := object.(*unstructured.Unstructured)
	if !ok {
		return Target{}, false
	}
	// What is no text counts as absent; KEDA's own schema allows nothing else.
	field := func(name, otherwise string) string {
		text, _, _ := unstructured.NestedString(u.Object, "spec", "scaleTargetRef", name)
		return cmp.Or(text, otherwise)
	}
	target := Target{annotations.GroupOf(field("apiVersion", "apps/v1")), field("kind", "Deployment"), u.GetNamespace(), field("name", "")}
	return target, target.Name != ""
}

// slimScaledObject keeps what a ScaledObject is called and what it scales.
func slimScaledObject(object any) (any, error) {
	u, ok := object.(*unstructured.Unstructured)
	if !ok {
		return object, nil
	}
	ref, _, _ := unstructured.NestedMap(u.Object, "spec", "scaleTargetRef")
	slim := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"scaleTargetRef": ref}}}
	slim.SetGroupVersionKind(u.GroupVersionKind())
	slim.SetName(u.GetName())
	slim.SetNamespace(u.GetNamespace())
	slim.SetUID(u.GetUID())
	slim.SetResourceVersion(u.GetResourceVersion())
	return slim, nil
}
