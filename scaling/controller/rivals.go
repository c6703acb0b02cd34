package controller

import (
	"context"
	"fmt"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	autoscalinginformers "k8s.io/client-go/informers/autoscaling/v2"
	"k8s.io/client-go/tools/cache"

	"autoscale.io/annotations"
	"autoscale.io/scaling/board"
)

// rivals knows the HorizontalPodAutoscalers of the cluster by what they scale, those that KEDA makes among them.
type rivals struct {
	informer cache.SharedIndexInformer
}

const byTarget = "target"

// rivalsTimeout is how long the start waits to know the rivals. Without the right to list them it goes on, and they are not seen.
const rivalsTimeout = 10 * time.Second

func (c *Controller) newRivals() (rivals, error) {
	informer := autoscalinginformers.NewHorizontalPodAutoscalerInformer(c.Kube, metav1.NamespaceAll, 0, cache.Indexers{byTarget: targetOf})
	r := rivals{informer}
	if err := informer.SetTransform(slimRival); err != nil {
		return r, fmt.Errorf("watch HorizontalPodAutoscalers: %w", err)
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    c.seeRival,
		UpdateFunc: func(before, now any) { c.seeRival(before); c.seeRival(now) },
		DeleteFunc: c.seeRival,
	})
	if err != nil {
		return r, fmt.Errorf("watch HorizontalPodAutoscalers: %w", err)
	}
	return r, nil
}

// watch runs until ctx ends.
func (r rivals) watch(ctx context.Context) { r.informer.RunWithContext(ctx) }

// sync waits until the rivals are known, or for a while.
func (r rivals) sync(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, rivalsTimeout)
	defer cancel()
	return cache.WaitForCacheSync(ctx.Done(), r.informer.HasSynced)
}

// of names the rival of a workload, or is empty.
func (r rivals) of(kind Kind, key board.Key) string {
	found, err := r.informer.GetIndexer().ByIndex(byTarget, targetKey(kind.Group, kind.Kind, key.Namespace, key.Name))
	if err != nil || len(found) == 0 {
		return ""
	}
	hpa, ok := found[0].(*autoscalingv2.HorizontalPodAutoscaler)
	if !ok {
		return ""
	}
	return "HorizontalPodAutoscaler " + hpa.Name
}

func targetOf(object any) ([]string, error) {
	hpa, ok := object.(*autoscalingv2.HorizontalPodAutoscaler)
	if !ok {
		return nil, nil
	}
	ref := hpa.Spec.ScaleTargetRef
	return []string{targetKey(annotations.GroupOf(ref.APIVersion), ref.Kind, hpa.Namespace, ref.Name)}, nil
}

func targetKey(group, kind, namespace, name string) string {
	return group + "/" + kind + "/" + namespace + "/" + name
}

// slimRival keeps what an HPA is called and what it scales.
func slimRival(object any) (any, error) {
	hpa, ok := object.(*autoscalingv2.HorizontalPodAutoscaler)
	if !ok {
		return object, nil
	}
	slim := &autoscalingv2.HorizontalPodAutoscaler{}
	slim.Name, slim.Namespace, slim.UID, slim.ResourceVersion = hpa.Name, hpa.Namespace, hpa.UID, hpa.ResourceVersion
	slim.Spec.ScaleTargetRef = hpa.Spec.ScaleTargetRef
	return slim, nil
}

// seeRival queues the workload that an HPA scales, if it is one of ours.
func (c *Controller) seeRival(object any) {
	if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	hpa, ok := object.(*autoscalingv2.HorizontalPodAutoscaler)
	if !ok {
		return
	}
	ref := hpa.Spec.ScaleTargetRef
	for _, kind := range c.Kinds {
		if kind.Kind != ref.Kind || kind.Group != annotations.GroupOf(ref.APIVersion) {
			continue
		}
		key := board.Key{Resource: kind.Resource, Namespace: hpa.Namespace, Name: ref.Name}
		c.mu.Lock()
		tracked := c.tracked[key] != nil
		c.mu.Unlock()
		if tracked {
			c.queue.Add(key)
		}
	}
}
