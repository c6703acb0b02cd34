package controller

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"autoscale.io/annotations"
	"autoscale.io/scaling/decide"
	"autoscale.io/scaling/decisions"
	"autoscale.io/scaling/shards"
	"autoscale.io/scaling/target"
)

// apply writes what was decided, if it differs from what is live. A zero is marked before it is written and the mark is cleared
// after the count has risen, so that at any moment in between a zero of ours is known as ours.
func (c *Controller) apply(ctx context.Context, key decisions.Key, w *workload, object *metav1.PartialObjectMetadata, entry *decisions.Entry) (*metav1.PartialObjectMetadata, error) {
	if w.decoded.Workload.DryRun {
		c.tellDryRun(w, object, entry)
		return object, nil
	}
	if entry.From == w.count() && entry.Replicas != entry.From {
		var err error
		if object, err = c.move(ctx, key, w, object, entry); err != nil {
			return object, err
		}
	}
	if w.live.Replicas > 0 && !w.waits && zeroIsOurs(object) {
		return c.markZero(ctx, key, w, object, false)
	}
	return object, nil
}

// move writes a count that a decision for the present one asks for.
func (c *Controller) move(ctx context.Context, key decisions.Key, w *workload, object *metav1.PartialObjectMetadata, entry *decisions.Entry) (*metav1.PartialObjectMetadata, error) {
	switch {
	case entry.Replicas == w.live.Replicas: // a Job has reached it on its way down
		return object, nil
	case target.IsJob(key.Resource) && entry.Replicas < w.live.Replicas:
		return c.lower(ctx, key, w, object, entry)
	}
	if entry.Replicas < entry.From && entry.Reason != decide.Paused {
		if err := c.lookAtRollout(ctx, key, w, object); err != nil {
			return object, err
		}
		if w.rollingOut { // the decision is made anew with that
			c.inform(key, w, object)
			return object, nil
		}
	}
	if entry.Replicas == 0 && !zeroIsOurs(object) {
		var err error
		if object, err = c.markZero(ctx, key, w, object, true); err != nil {
			return object, err
		}
	}
	live, err := c.Target.Scale(ctx, key, w.version(object), entry.Replicas)
	return object, c.written(ctx, key, w, object, change{entry.Replicas, entry, live, err})
}

func (c *Controller) markZero(ctx context.Context, key decisions.Key, w *workload, object *metav1.PartialObjectMetadata, zero bool) (*metav1.PartialObjectMetadata, error) {
	state, _ := annotations.ReadState(object.Annotations, object.UID)
	if state.Adopted.IsZero() {
		state.Adopted = object.CreationTimestamp.Time
	}
	state.UID, state.Zero = object.UID, zero
	written, err := c.writeState(ctx, key, w, object, state)
	if err != nil {
		return object, err
	}
	return written, nil
}

// change is a write of a count and what became of it.
type change struct {
	to    int32
	entry *decisions.Entry
	live  target.Scale
	err   error
}

// written takes in and reports a write, and tells the poller, which looks at its decision again for the new count.
func (c *Controller) written(ctx context.Context, key decisions.Key, w *workload, object *metav1.PartialObjectMetadata, done change) error {
	from := w.live.Replicas
	direction := "up"
	if done.to < from {
		direction = "down"
	}
	var changed *target.ChangedError
	switch {
	case errors.As(done.err, &changed):
		c.Metrics.Scales.WithLabelValues(direction, "conflict").Inc()
		return done.err
	case done.err != nil:
		c.Metrics.Scales.WithLabelValues(direction, "error").Inc()
		c.scaleFailed(ctx, object, done.err)
		return done.err
	}
	c.Metrics.Scales.WithLabelValues(direction, "ok").Inc()
	w.duel.write(from, done.live.Replicas, c.Now())
	c.take(w, done.live)
	c.inform(key, w, object)
	w.say()
	w.unsaid = func() { c.Events.Scaled(object, from, done.live.Replicas, done.entry) }
	c.Log.Info("scaled", "workload", key.String(), "from", from, "to", done.live.Replicas, "reason", done.entry.Reason, "because", done.entry.Message)
	return nil
}

func (c *Controller) scaleFailed(ctx context.Context, object *metav1.PartialObjectMetadata, err error) {
	if !target.IsGone(err) && shards.Held(ctx) {
		c.Events.ScaleFailed(object, err)
	}
}

// take takes in the live count.
func (c *Controller) take(w *workload, live target.Scale) {
	if live.Replicas > w.live.Replicas {
		w.rose = c.Now()
	}
	w.live = live
}

// version is the live count with the newest resource version at which it is known to hold.
func (w *workload) version(object *metav1.PartialObjectMetadata) target.Scale {
	live := w.live
	if w.generation != object.Generation {
		return live
	}
	if order, err := resourceversion.CompareResourceVersion(object.ResourceVersion, live.ResourceVersion); err == nil && order > 0 {
		live.ResourceVersion = object.ResourceVersion
	}
	return live
}

// release ends the management of an object whose annotations went while the webhook was away. A zero that was the autoscaler's, or that
// nobody can tell any more, is not left behind: it becomes the count from before adoption, at least 1.
func (c *Controller) release(ctx context.Context, key decisions.Key, w *workload, object *metav1.PartialObjectMetadata) error {
	c.Poller.Remove(key)
	if w.released {
		return nil // the watch is about to say so
	}
	live, err := c.read(ctx, key, object)
	if err != nil {
		return err
	}
	settings := w.decoded.Workload.Settings
	state, known := annotations.ReadState(object.Annotations, object.UID)
	if !known {
		state.Zero = true
	}
	count := annotations.CountAfterRemoval(settings.OnRemoval, state, live.Replicas)
	left := live
	if count != live.Replicas && !settings.DryRun && w.kind.hasCount() && live.LeftAlone == "" && settings.JobMode != annotations.JobSpawn {
		if left, err = c.Target.Scale(ctx, key, live, count); err != nil {
			return err
		}
	}
	note := fmt.Sprintf("the annotations are gone; left at %d replicas", live.Replicas)
	if left.Replicas != live.Replicas {
		note = fmt.Sprintf("the annotations are gone; %d → %d replicas", live.Replicas, left.Replicas)
	}
	// Before the last write, whose answer may be lost: after that nobody may be there any more who would tell.
	if !w.toldReleased {
		c.Events.Released(object, note)
		w.toldReleased = true
	}
	released, err := c.Target.Annotate(ctx, key, target.Metadata{
		UID:         object.UID,
		Labels:      map[string]*string{annotations.Bucket: nil},
		Annotations: map[string]*string{annotations.StateKey: nil, annotations.StatusKey: nil},
	})
	if err != nil {
		return err
	}
	c.adoptWritten(w, object, released)
	w.released = true
	return nil
}
