package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"

	"autoscale.io/annotations"
	"autoscale.io/scaling/decisions"
	"autoscale.io/scaling/target"
)

// lowering is a way down of the parallelism of a Job: step by step, as its pods end. It begins with a decision to lower it and ends when that is reached, or
// with a decision that asks for something else.
type lowering struct {
	// from is the count that the decision was made for. The poller knows no other until the end: to it, a count on the way would be somebody else's doing.
	from int32
	pods *podWatch
	// told says that people know what is waited for.
	told bool
}

// count is what the poller is to take for the live count.
func (w *workload) count() int32 {
	if w.lowering != nil {
		return w.lowering.from
	}
	return w.live.Replicas
}

// lower brings the parallelism of a Job towards what a decision asks for, as far as no pod is ended by that, and waits for more pods to end.
func (c *Controller) lower(ctx context.Context, key decisions.Key, w *workload, object *metav1.PartialObjectMetadata, entry *decisions.Entry) (*metav1.PartialObjectMetadata, error) {
	w.waits = true
	if w.lowering == nil {
		if err := c.beginLowering(key, w); err != nil {
			return object, err
		}
		return object, nil // the watch queues the workload
	}
	now, err := w.lowering.pods.look(w.live.Replicas, w.rose)
	if err != nil {
		c.scaleFailed(ctx, object, fmt.Errorf("hold the parallelism of %s at %d: %w", key, w.live.Replicas, err))
		return object, err
	}
	to := max(entry.Replicas, now.running+now.leaving)
	if !now.ready || to >= w.live.Replicas {
		c.hold(key, w, object, entry, now)
		return object, nil
	}
	if to == 0 && !zeroIsOurs(object) {
		object, err = c.markZero(ctx, key, w, object, true)
		c.queueAfter(key, 0) // that took time, so look again
		return object, err
	}
	before := w.live.Replicas
	live, err := c.shrink(ctx, key, w.version(object), to, now)
	if errors.Is(err, errLate) {
		c.queueAfter(key, syncGuard)
		return object, nil
	}
	if err == nil && live.Replicas == before {
		c.hold(key, w, object, entry, now)
		return object, nil
	}
	step := *entry
	if err == nil && live.Replicas > entry.Replicas {
		step.Message += fmt.Sprintf("; holding %d until a pod ends", live.Replicas)
		w.lowering.told = true
	}
	if err := c.written(ctx, key, w, object, change{to, &step, live, err}); err != nil {
		return object, err
	}
	w.waits = live.Replicas > entry.Replicas
	return object, nil
}

// errLate says that a write was given up, as it would have met a look of the Job controller.
var errLate = errors.New("it took too long")

// shrink writes in time or not at all, as far as that is for the writer to say.
func (c *Controller) shrink(ctx context.Context, key decisions.Key, version target.Scale, to int32, now pods) (target.Scale, error) {
	if now.until.IsZero() {
		return c.Target.Shrink(ctx, key, version, to, now.leaving)
	}
	limited, cancel := context.WithDeadline(ctx, now.until)
	defer cancel()
	live, err := c.Target.Shrink(limited, key, version, to, now.leaving)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return live, errLate
	}
	return live, err
}

// hold waits for a pod to end, or until it is not too early any more, and says so once.
func (c *Controller) hold(key decisions.Key, w *workload, object *metav1.PartialObjectMetadata, entry *decisions.Entry, now pods) {
	switch {
	case now.wait > 0:
		c.queueAfter(key, now.wait)
	case now.leaving > 0:
		c.queueAfter(key, podSettle)
	case now.ready && !w.lowering.told:
		c.Events.ScaleDownWaits(object, w.live.Replicas, entry.Message)
		w.lowering.told = true
	}
}

// beginLowering watches the pods of a Job while this process may write for it.
func (c *Controller) beginLowering(key decisions.Key, w *workload) error {
	pods, err := c.newPodWatch(key, w.live)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	lease := c.owned[w.bucket]
	if c.tracked[key] != w || lease == nil {
		return nil
	}
	ctx, stop := context.WithCancel(lease)
	pods.stop = stop
	w.lowering, w.pods = &lowering{from: w.live.Replicas, pods: pods}, pods
	c.podWatches.Go(func() { pods.run(ctx) })
	return nil
}

// settleLowering ends a way down that the present reconcile does not want to go on. What was reached is then the count for the poller, too.
func (c *Controller) settleLowering(key decisions.Key, w *workload) {
	if w.lowering == nil || w.waits {
		return
	}
	c.endLowering(w)
	_, object, _ := c.lookup(key)
	if object != nil && object.UID == w.live.UID && w.decoded.Workload.JobMode != annotations.JobSpawn {
		c.inform(key, w, object)
	}
}

func (c *Controller) endLowering(w *workload) {
	w.lowering = nil
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.pods != nil {
		w.pods.stop()
		w.pods = nil
	}
}

// queueAfter queues a workload; the time in which the parallelism of a Job can be lowered is short, so it goes before others.
func (c *Controller) queueAfter(key decisions.Key, after time.Duration) {
	priority := priorityScaleOut
	c.queue.AddWithOpts(priorityqueue.AddOpts{Priority: &priority, After: after}, key)
}

// jobChanged says whether a Job is another version than the one whose count and state are known. Its state is in its status, which moves no generation.
func jobChanged(w *workload, object *metav1.PartialObjectMetadata) bool {
	return newer(object, &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{ResourceVersion: w.live.ResourceVersion}})
}

// hasCount says whether a kind has a count of its own.
func (k Kind) hasCount() bool { return !target.IsCronJob(k.Resource) }
