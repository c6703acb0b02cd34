package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"

	"autoscale.io/annotations"
	"autoscale.io/scaling/decisions"
)

// Kind is a scalable kind that this install manages.
type Kind struct {
	schema.GroupVersionKind
	Resource schema.GroupVersionResource
}

// DefaultKinds are those that an install manages unless it is told others, as ParseKind takes them.
func DefaultKinds() []string {
	return []string{"deployments.apps", "statefulsets.apps", "jobs.batch", "cronjobs.batch"}
}

// ParseKind finds a kind by its resource, such as "deployments.apps" or "rollouts.v1alpha1.argoproj.io".
func ParseKind(text string, mapper meta.RESTMapper) (Kind, error) {
	full, partial := schema.ParseResourceArg(text)
	wanted := partial.WithVersion("")
	if full != nil {
		if _, err := mapper.ResourceFor(*full); err == nil {
			wanted = *full
		}
	}
	resource, err := mapper.ResourceFor(wanted)
	if err != nil {
		return Kind{}, fmt.Errorf("kind %q: the API server does not serve it; want RESOURCE.GROUP such as deployments.apps: %w", text, err)
	}
	kind, err := mapper.KindFor(resource)
	if err != nil {
		return Kind{}, fmt.Errorf("kind %q: %w", text, err)
	}
	return Kind{kind, resource}, nil
}

// AddKind begins to manage a kind that the API server has come to serve only now.
func (c *Controller) AddKind(kind Kind) {
	c.mu.Lock()
	c.kinds = append(slices.Clip(c.kinds), kind)
	close(c.more)
	c.more = make(chan struct{})
	c.mu.Unlock()
	c.askForSweep()
}

// Manages says whether a kind is managed by now.
func (c *Controller) Manages(group, kind string) bool {
	return slices.ContainsFunc(c.managed(), func(k Kind) bool { return k.Group == group && k.Kind == kind })
}

// managed are the kinds that are managed by now. Nobody changes the slice.
func (c *Controller) managed() []Kind {
	kinds, _ := c.managedSoFar()
	return kinds
}

// managedSoFar also returns a channel that is closed when there are more.
func (c *Controller) managedSoFar() ([]Kind, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kinds, c.more
}

func (k Kind) key(object metav1.Object) decisions.Key {
	return decisions.Key{Resource: k.Resource, Namespace: object.GetNamespace(), Name: object.GetName()}
}

// watchBucket runs the bucket's informers until ctx ends.
func (c *Controller) watchBucket(ctx context.Context, label string) {
	var informers sync.WaitGroup
	defer informers.Wait()
	for watched := 0; ; {
		kinds, more := c.managedSoFar()
		for _, kind := range kinds[watched:] {
			informer := metadatainformer.NewFilteredMetadataInformer(c.Target.Metadata, kind.Resource, metav1.NamespaceAll, 0, cache.Indexers{},
				func(o *metav1.ListOptions) { o.LabelSelector = annotations.Bucket + "=" + label }).Informer()
			if err := c.wire(ctx, informer, kind, label); err != nil {
				c.Log.Error(err, "cannot watch", "kind", kind.String())
				continue
			}
			informers.Go(func() { informer.RunWithContext(ctx) })
		}
		watched = len(kinds)
		select {
		case <-ctx.Done():
			return
		case <-more:
		}
	}
}

func (c *Controller) wire(ctx context.Context, informer cache.SharedIndexInformer, kind Kind, label string) error {
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { c.see(ctx, kind, label, object) },
		UpdateFunc: func(_, object any) { c.see(ctx, kind, label, object) },
		DeleteFunc: func(object any) { c.unsee(kind, label, object) },
	})
	return errors.Join(err, informer.SetTransform(kind.slim), informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, r *cache.Reflector, err error) {
		c.Log.Info("a watch failed and is tried again", "kind", kind.String(), "bucket", label, "error", err.Error())
		cache.DefaultWatchErrorHandler(ctx, r, err)
	}))
}

// slim drops what the loop never looks at, which is most of an object's metadata, and names the kind, which events need.
func (k Kind) slim(object any) (any, error) {
	m, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil
	}
	m.ManagedFields, m.Finalizers = nil, nil
	m.Labels = ours(m.Labels)
	m.Annotations = ours(m.Annotations)
	m.SetGroupVersionKind(k.GroupVersionKind)
	return m, nil
}

func ours(all map[string]string) map[string]string {
	kept := map[string]string{}
	for key, value := range all {
		if strings.HasPrefix(key, annotations.Prefix) {
			kept[key] = value
		}
	}
	return kept
}

// see takes in the newest metadata of a workload and queues it. An object that was made anew under the name of another
// is another workload: nothing that is remembered of the one before is true of it.
func (c *Controller) see(ctx context.Context, kind Kind, label string, object any) {
	m, ok := object.(*metav1.PartialObjectMetadata)
	if !ok || ctx.Err() != nil {
		return
	}
	key := kind.key(m)
	if _, before, _ := c.lookup(key); before != nil && before.UID != m.UID {
		c.forget(key)
	}
	c.mu.Lock()
	w := c.tracked[key]
	if w == nil {
		w = &workload{kind: kind}
		c.tracked[key] = w
	}
	w.bucket = label
	if w.object == nil || newer(m, w.object) {
		w.object = m
	}
	if w.pods != nil {
		w.pods.heard()
	}
	c.mu.Unlock()
	c.queue.Add(key)
}

// unsee forgets a workload that was deleted or left the bucket, unless another bucket has taken it in already.
func (c *Controller) unsee(kind Kind, label string, object any) {
	if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	m, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return
	}
	key := kind.key(m)
	c.mu.Lock()
	w := c.tracked[key]
	here := w != nil && w.bucket == label
	c.mu.Unlock()
	if here {
		c.forget(key)
	}
}

func (c *Controller) forget(key decisions.Key) {
	c.mu.Lock()
	if w := c.tracked[key]; w != nil && w.pods != nil {
		w.pods.stop()
	}
	delete(c.tracked, key)
	c.mu.Unlock()
	c.Poller.Remove(key)
}

func (c *Controller) forgetBucket(label string) {
	c.mu.Lock()
	var keys []decisions.Key
	for key, w := range c.tracked {
		if w.bucket == label {
			keys = append(keys, key)
		}
	}
	c.mu.Unlock()
	for _, key := range keys {
		c.forget(key)
	}
}

// newer compares resource versions; the event of a write may come after the write's own answer.
func newer(a, b *metav1.PartialObjectMetadata) bool {
	order, err := resourceversion.CompareResourceVersion(a.ResourceVersion, b.ResourceVersion)
	return err != nil || order > 0
}
