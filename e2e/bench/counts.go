package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// counts knows the count of every Deployment and when it was first seen.
type counts struct {
	mu   sync.Mutex
	seen map[types.NamespacedName]seen
	// changed is closed and made anew at each change.
	changed chan struct{}
}

type seen struct {
	replicas int32
	at       time.Time
}

func watchCounts(ctx context.Context, config *rest.Config) (*counts, error) {
	config.ContentType = runtime.ContentTypeProtobuf
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	c := &counts{seen: map[types.NamespacedName]seen{}, changed: make(chan struct{})}
	factory := informers.NewSharedInformerFactory(kube, 0)
	deployments := factory.Apps().V1().Deployments().Informer()
	// The memory and the processor are for what is measured.
	if err := deployments.SetTransform(func(object any) (any, error) {
		if d, ok := object.(*appsv1.Deployment); ok {
			slim := &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: d.Spec.Replicas}}
			slim.Namespace, slim.Name, slim.ResourceVersion, slim.UID = d.Namespace, d.Name, d.ResourceVersion, d.UID
			return slim, nil
		}
		return object, nil
	}); err != nil {
		return nil, err
	}
	if _, err := deployments.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    c.note,
		UpdateFunc: func(_, object any) { c.note(object) },
	}); err != nil {
		return nil, err
	}
	factory.StartWithContext(ctx)
	factory.WaitForCacheSyncWithContext(ctx)
	return c, ctx.Err()
}

func (c *counts) note(object any) {
	now := time.Now()
	d, ok := object.(*appsv1.Deployment)
	if !ok || d.Spec.Replicas == nil {
		return
	}
	key := types.NamespacedName{Namespace: d.Namespace, Name: d.Name}
	c.mu.Lock()
	defer c.mu.Unlock()
	if before, ok := c.seen[key]; ok && before.replicas == *d.Spec.Replicas {
		return
	}
	c.seen[key] = seen{*d.Spec.Replicas, now}
	close(c.changed)
	c.changed = make(chan struct{})
}

// await waits until every one of keys has at least as many replicas, and returns when each was first seen so.
func (c *counts) await(ctx context.Context, replicas int32, within time.Duration, keys ...types.NamespacedName) (at []time.Time, err error) {
	timeout := time.After(within)
	at = make([]time.Time, len(keys))
	for {
		missing := 0
		c.mu.Lock()
		changed := c.changed
		for i, key := range keys {
			s := c.seen[key]
			switch {
			case !at[i].IsZero():
			case s.replicas >= replicas && !s.at.IsZero():
				at[i] = s.at
			default:
				missing++
			}
		}
		c.mu.Unlock()
		if missing == 0 {
			return at, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timeout:
			return nil, fmt.Errorf("%d of %d workloads are still below %d replicas after %s, the first of %v", missing, len(keys), replicas, within, keys[:min(3, len(keys))])
		}
	}
}
