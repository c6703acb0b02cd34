package controller

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"autoscale.io/annotations"
	"autoscale.io/scaling/board"
	"autoscale.io/scaling/decide"
	"autoscale.io/scaling/target"
)

// apply writes what the board asks for, if it differs from what is live. A zero is marked before it is written and the mark is cleared
// after the count has risen, so that at any moment in between a zero of ours is known as ours.
func (c *Controller) apply(ctx context.Context, key board.Key, w *workload, object *metav1.PartialObjectMetadata, entry *board.Entry) (*metav1.PartialObjectMetadata, error) {
	if w.decoded.Workload.DryRun {
		c.tellDryRun(w, object, entry)
		return object, nil
	}
	from := w.live.Replicas
	if entry.From == from && entry.Replicas < from && entry.Reason != decide.Paused {
		if err := c.lookAtRollout(ctx, key, w, object); err != nil {
			return object, err
		}
		if w.rollingOut { // the decision is made anew with that
			c.inform(key, w, object)
			return object, nil
		}
	}
	if entry.From == from && entry.Replicas != from {
		if entry.Replicas == 0 && !zeroIsOurs(object) {
			var err error
			if object, err = c.markZero(ctx, key, w, object, true); err != nil {
				return object, err
			}
		}
		if err := c.write(ctx, key, w, object, entry); err != nil {
			return object, err
		}
	}
	if w.live.Replicas > 0 && zeroIsOurs(object) {
		return c.markZero(ctx, key, w, object, false)
	}
	return object, nil
}

func (c *Controller) markZero(ctx context.Context, key board.Key, w *workload, object *metav1.PartialObjectMetadata, zero bool) (*metav1.PartialObjectMetadata, error) {
	state, _ := annotations.ReadState(object.Annotations, object.UID)
	if state.Adopted.IsZero() {
		state.Adopted = object.CreationTimestamp.Time
	}
	state.UID, state.Zero = object.UID, zero
	written, err := c.writeState(ctx, key, w, state)
	if err != nil {
		return object, err
	}
	return written, nil
}

// write scales the workload and tells the poller, which looks at its decision again for the new count.
func (c *Controller) write(ctx context.Context, key board.Key, w *workload, object *metav1.PartialObjectMetadata, entry *board.Entry) error {
	from := w.live.Replicas
	direction := "up"
	if entry.Replicas < from {
		direction = "down"
	}
	written, err := c.Target.Scale(ctx, key, w.version(object), entry.Replicas)
	var changed *target.ChangedError
	switch {
	case errors.As(err, &changed):
		c.Metrics.Scales.WithLabelValues(direction, "conflict").Inc()
		return err
	case err != nil:
		c.Metrics.Scales.WithLabelValues(direction, "error").Inc()
		if !target.IsGone(err) && ctx.Err() == nil {
			c.Events.ScaleFailed(object, err)
		}
		return err
	}
	c.Metrics.Scales.WithLabelValues(direction, "ok").Inc()
	w.live = written
	c.inform(key, w, object)
	c.Events.Scaled(object, from, entry.Replicas, entry)
	c.Log.Info("scaled", "workload", key.String(), "from", from, "to", entry.Replicas, "reason", entry.Reason, "because", entry.Message)
	return nil
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
func (c *Controller) release(ctx context.Context, key board.Key, w *workload, object *metav1.PartialObjectMetadata) error {
	c.Poller.Remove(key)
	live, err := c.Target.Get(ctx, key)
	if err != nil {
		return err
	}
	settings := w.decoded.Workload.Settings
	state, known := annotations.ReadState(object.Annotations, object.UID)
	if !known {
		state.Zero = true
	}
	count := annotations.CountAfterRemoval(settings.OnRemoval, state, live.Replicas)
	note := fmt.Sprintf("the annotations are gone; left at %d replicas", count)
	if count != live.Replicas && !settings.DryRun {
		if _, err := c.Target.Scale(ctx, key, live, count); err != nil {
			return err
		}
		note = fmt.Sprintf("the annotations are gone; %d → %d replicas", live.Replicas, count)
	}
	_, err = c.Target.Annotate(ctx, key, target.Metadata{
		UID:         object.UID,
		Labels:      map[string]*string{annotations.Bucket: nil},
		Annotations: map[string]*string{annotations.StateKey: nil, annotations.StatusKey: nil},
	})
	if err == nil {
		c.Events.Released(object, note)
	}
	return err
}
