package controller

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"
	"k8s.io/client-go/util/retry"

	"autoscale.io/annotations"
	"autoscale.io/scaling/shards"
	"autoscale.io/scaling/target"
)

// sweepSettle lets the buckets that are won one after the other at start-up share one sweep.
const sweepSettle = 300 * time.Millisecond

func (c *Controller) askForSweep() {
	select {
	case c.sweepSoon <- struct{}{}:
	default:
	}
}

// sweep looks for what the webhook has missed, soon after buckets were won and every SweepInterval.
func (c *Controller) sweep(ctx context.Context) {
	ticker := time.NewTicker(c.SweepInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-c.sweepSoon:
			select {
			case <-ctx.Done():
				return
			case <-time.After(sweepSettle):
			}
		}
		for _, kind := range c.managed() {
			if err := c.sweepKind(ctx, kind); err != nil && ctx.Err() == nil {
				c.Log.Info("a sweep failed and is tried again later", "kind", kind.String(), "error", err.Error())
			}
		}
	}
}

const (
	// sweepPage bounds what a sweep holds in memory at a time.
	sweepPage = 500
	// adoptions is how many go on at a time. An adoption is three calls that mostly wait, and a new install may find thousands of workloads.
	adoptions = 16
)

func (c *Controller) sweepKind(ctx context.Context, kind Kind) error {
	pages := pager.New(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		return c.Target.Metadata.Resource(kind.Resource).List(ctx, o)
	})
	pages.PageSize = sweepPage
	var work errgroup.Group
	work.SetLimit(adoptions)
	err := pages.EachListItem(ctx, metav1.ListOptions{}, func(object runtime.Object) error {
		m, ok := object.(*metav1.PartialObjectMetadata)
		if !ok {
			return nil
		}
		lease := c.missed(kind, m)
		if lease == nil || ctx.Err() != nil {
			return nil
		}
		work.Go(func() error {
			if err := c.adopt(lease, kind, m); err != nil && !target.IsGone(err) && shards.Held(lease) {
				c.Log.Info("an adoption failed and is tried again at the next sweep", "workload", kind.key(m).String(), "error", err.Error())
			}
			return nil
		})
		return nil
	})
	_ = work.Wait() // an adoption that fails is in the log, and stops no other
	return err
}

// missed is about an object that asks for management by this install and does not carry the right label: it returns the context of its bucket, if this process
// holds that. It is nil for every other object.
func (c *Controller) missed(kind Kind, m *metav1.PartialObjectMetadata) context.Context {
	if !annotations.Configured(m.Annotations) || m.DeletionTimestamp != nil || c.foreign(m) {
		return nil
	}
	if m.Annotations[annotations.Prefix+"class"] != c.Class {
		return nil
	}
	label := c.labelOf(kind, m)
	if m.Labels[annotations.Bucket] == label {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.owned[label]
}

func (c *Controller) labelOf(kind Kind, m *metav1.PartialObjectMetadata) string {
	return c.bucketLabel(annotations.BucketOf(kind.Group, kind.Kind, m.Namespace, m.Name))
}

// adopt stamps the label, and a state unless there is one that can be believed. The informer of the bucket then sees the object. The page that showed the object is
// some time old, and the cluster's own controllers write to a new workload many times, so after a conflict it is looked at anew.
func (c *Controller) adopt(ctx context.Context, kind Kind, m *metav1.PartialObjectMetadata) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	key := kind.key(m)
	stale := false
	return retry.RetryOnConflict(retry.DefaultBackoff, func() (err error) {
		if stale {
			if m, err = c.Target.Metadata.Resource(kind.Resource).Namespace(m.Namespace).Get(ctx, m.Name, metav1.GetOptions{}); err != nil {
				return fmt.Errorf("read %s: %w", key, err)
			}
			if c.missed(kind, m) == nil {
				return nil
			}
		}
		stale = true
		return c.stamp(ctx, kind, m)
	})
}

// stamp adopts an object, provided that it is as it is in m.
func (c *Controller) stamp(ctx context.Context, kind Kind, m *metav1.PartialObjectMetadata) error {
	key, label := kind.key(m), c.labelOf(kind, m)
	change := target.Metadata{UID: m.UID, ResourceVersion: m.ResourceVersion, Labels: map[string]*string{annotations.Bucket: &label}}
	live, err := c.Target.Get(ctx, key)
	if err != nil {
		return err
	}
	if _, ok := annotations.ReadState(m.Annotations, m.UID); !ok {
		text := c.freshState(kind, live).String()
		change.Annotations = map[string]*string{annotations.StateKey: &text}
	}
	if _, err := c.Target.Annotate(ctx, key, change); err != nil {
		return err
	}
	c.Metrics.Adoptions.Inc()
	m.SetGroupVersionKind(kind.GroupVersionKind)
	c.Events.Adopted(m, live.Replicas)
	return nil
}
