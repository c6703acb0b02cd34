package controller

import (
	"context"
	"errors"
	"maps"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"autoscale.io/annotations"
	"autoscale.io/scaling/decisions"
	"autoscale.io/scaling/poll"
	"autoscale.io/scaling/shards"
	"autoscale.io/scaling/target"
)

// callTimeout bounds the API calls of one reconcile.
const callTimeout = 10 * time.Second

// Reconcile brings one workload in step. The steps are in the order of their importance: what to poll, what the count is, what it should be,
// and only then what people are told.
func (c *Controller) Reconcile(_ context.Context, key decisions.Key) (reconcile.Result, error) {
	w, object, lease := c.lookup(key)
	if w == nil || lease == nil || !shards.Held(lease) {
		return reconcile.Result{}, nil
	}
	// Writes end with the lease, so that a process that lost it cannot write any more.
	ctx, cancel := context.WithTimeout(lease, callTimeout)
	defer cancel()
	w.waits = false
	w.say()
	result, err := c.reconcile(ctx, key, w, object)
	if err == nil {
		c.settleLowering(key, w)
	}
	var changed *target.ChangedError
	switch {
	case err == nil:
		result.RequeueAfter = sooner(result.RequeueAfter, w.duel.next(c.Now()))
		return result, nil
	case target.IsGone(err):
		c.Poller.Remove(key)
		return reconcile.Result{}, nil
	case errors.As(err, &changed):
		c.learn(ctx, key, w, changed.Live)
		return reconcile.Result{RequeueAfter: w.duel.next(c.Now())}, nil
	case !shards.Held(lease):
		return reconcile.Result{}, nil
	}
	return reconcile.Result{}, err
}

func (c *Controller) reconcile(ctx context.Context, key decisions.Key, w *workload, object *metav1.PartialObjectMetadata) (reconcile.Result, error) {
	if object.DeletionTimestamp != nil || c.foreign(object) {
		c.Poller.Remove(key)
		return reconcile.Result{}, nil
	}
	if !annotations.Configured(object.Annotations) {
		return reconcile.Result{}, c.release(ctx, key, w, object)
	}
	w.released, w.toldReleased = false, false
	if w.isTemplate(object) {
		return c.spawn(ctx, key, w, object)
	}
	if err := c.observe(ctx, key, w, object); err != nil {
		return reconcile.Result{}, err
	}
	object, err := c.ensureState(ctx, key, w, object)
	if err != nil {
		return reconcile.Result{}, err
	}
	c.configure(key, w, object)
	if len(w.decoded.Faults) > 0 {
		return c.reportFaults(ctx, key, w, object)
	}
	if err := c.followRollout(ctx, key, w, object); err != nil {
		return reconcile.Result{}, err
	}
	c.inform(key, w, object)
	entry := c.Decisions.Get(key)
	if entry == nil {
		return reconcile.Result{}, nil // not read yet
	}
	if w.mustGrow(entry) {
		// What is left to do, the mark of a zero and the reports, waits until every workload that must grow has.
		if _, err := c.move(ctx, key, w, object, entry); err != nil {
			return reconcile.Result{}, err
		}
		c.queue.Add(key)
		return reconcile.Result{}, nil
	}
	if object, err = c.apply(ctx, key, w, object, entry); err != nil {
		return reconcile.Result{}, err
	}
	w.say()
	return c.tell(ctx, key, w, object)
}

// say tells of the latest write of a count, which waits for that until the workload's turn comes again: the events of many would be in the way of their writes.
func (w *workload) say() {
	if w.unsaid != nil {
		w.unsaid()
	}
	w.unsaid = nil
}

// mustGrow says whether a decision for the present count asks for more.
func (w *workload) mustGrow(entry *decisions.Entry) bool {
	return !w.decoded.Workload.DryRun && entry.From == w.count() && entry.Replicas > entry.From
}

// foreign says whether an object is not ours to manage although it is labelled: a child that inherited the annotations of its owner.
func (c *Controller) foreign(object *metav1.PartialObjectMetadata) bool {
	owner := metav1.GetControllerOf(object)
	return owner != nil && c.scalable(owner)
}

func (c *Controller) scalable(owner *metav1.OwnerReference) bool {
	for _, kind := range c.managed() {
		if owner.Kind == kind.Kind && annotations.GroupOf(owner.APIVersion) == kind.Group {
			return true
		}
	}
	return annotations.ScalableOwner(owner.APIVersion, owner.Kind)
}

// observe reads the live count when the object may have another one than the last that was read or written.
func (c *Controller) observe(ctx context.Context, key decisions.Key, w *workload, object *metav1.PartialObjectMetadata) error {
	switch {
	case w.live.UID != object.UID:
	case target.IsJob(key.Resource):
		if !jobChanged(w, object) {
			w.generation = object.Generation
			return nil
		}
	case w.generation == object.Generation:
		return nil
	case w.live.ResourceVersion == object.ResourceVersion:
		w.generation = object.Generation // the event of our own write
		return nil
	}
	live, err := c.read(ctx, key, object)
	if err != nil {
		return err
	}
	c.learnLive(ctx, key, w, object, live)
	w.generation = object.Generation
	return nil
}

// read reads the live count of an object. The error is target.ErrNotManaged when it is another one by now, whose own
// event is about to come.
func (c *Controller) read(ctx context.Context, key decisions.Key, object *metav1.PartialObjectMetadata) (target.Scale, error) {
	live, err := c.Target.Get(ctx, key)
	if err == nil && live.UID != object.UID {
		err = target.ErrNotManaged
	}
	return live, err
}

// inform tells the poller what the cluster says.
func (c *Controller) inform(key decisions.Key, w *workload, object *metav1.PartialObjectMetadata) {
	c.Poller.Observe(key, poll.Observation{
		Replicas: w.count(), ZeroIsOurs: zeroIsOurs(object), RollingOut: w.rollingOut, Rival: c.rivalOf(key, w), LeftAlone: w.live.LeftAlone,
	})
}

// followRollout looks whether the rollout that a scale-down waits for is done. Each step of a rollout is a new version of the object.
func (c *Controller) followRollout(ctx context.Context, key decisions.Key, w *workload, object *metav1.PartialObjectMetadata) error {
	if !w.rollingOut || w.rolloutKnown == object.ResourceVersion {
		return nil
	}
	return c.lookAtRollout(ctx, key, w, object)
}

func (c *Controller) lookAtRollout(ctx context.Context, key decisions.Key, w *workload, object *metav1.PartialObjectMetadata) (err error) {
	w.rollingOut, err = c.Target.RollingOut(ctx, key)
	w.rolloutKnown = object.ResourceVersion
	return err
}

// learn takes in a count that turned up during a write, so that the decision is made anew for it.
func (c *Controller) learn(ctx context.Context, key decisions.Key, w *workload, live target.Scale) {
	_, object, _ := c.lookup(key)
	if object == nil || live.UID != object.UID {
		c.Poller.Remove(key) // another one, whose own event is about to come
		return
	}
	c.learnLive(ctx, key, w, object, live)
	c.inform(key, w, object)
}

// learnLive takes in a count that was read. If it is another one than the last, somebody else has set it, and a way down begins anew from there.
func (c *Controller) learnLive(ctx context.Context, key decisions.Key, w *workload, object *metav1.PartialObjectMetadata, live target.Scale) {
	c.tellOther(ctx, key, w, object, live)
	if w.lowering != nil && live.Replicas != w.live.Replicas {
		c.endLowering(w)
	}
	c.take(w, live)
}

func zeroIsOurs(object *metav1.PartialObjectMetadata) bool {
	state, _ := annotations.ReadState(object.Annotations, object.UID)
	return state.Zero
}

// ensureState writes a state where there is none that can be believed: the workload then counts as adopted now.
func (c *Controller) ensureState(ctx context.Context, key decisions.Key, w *workload, object *metav1.PartialObjectMetadata) (*metav1.PartialObjectMetadata, error) {
	if _, ok := annotations.ReadState(object.Annotations, object.UID); ok {
		return object, nil
	}
	return c.writeState(ctx, key, w, object, c.freshState(w.kind, w.live))
}

func (c *Controller) freshState(kind Kind, live target.Scale) annotations.State {
	if !kind.hasCount() {
		return annotations.State{UID: live.UID, Adopted: c.Now()}
	}
	replicas := live.Replicas
	return annotations.State{UID: live.UID, Replicas: &replicas, Adopted: c.Now(), Zero: replicas == 0}
}

// writeState writes a state for the object that it was made from.
func (c *Controller) writeState(
	ctx context.Context, key decisions.Key, w *workload, object *metav1.PartialObjectMetadata, state annotations.State,
) (*metav1.PartialObjectMetadata, error) {
	label := c.bucketLabel(annotations.BucketOf(w.kind.Group, w.kind.Kind, key.Namespace, key.Name))
	written, err := c.Target.Note(ctx, key, target.Managed{UID: state.UID, Label: label}, annotations.StateKey, state.String())
	if err != nil {
		return nil, err
	}
	return c.adoptWritten(w, object, written), nil
}

// configure decodes the annotations when they changed and tells the poller.
func (c *Controller) configure(key decisions.Key, w *workload, object *metav1.PartialObjectMetadata) {
	from := configured(object)
	if w.decodedFrom != nil && maps.Equal(from, w.decodedFrom) && (len(w.decoded.Faults) > 0 || c.Poller.Polling(key)) {
		return
	}
	w.decoded, w.decodedFrom = annotations.Decode(from, c.Types).On(w.kind.Group, w.kind.Kind), from
	if len(w.decoded.Faults) > 0 || w.decoded.Workload.Class != c.Class {
		c.Poller.Remove(key)
		return
	}
	state, _ := annotations.ReadState(object.Annotations, object.UID)
	adopted := state.Adopted
	if adopted.IsZero() {
		adopted = object.CreationTimestamp.Time
	}
	// Both times are cut to the second; rounding up keeps the cooldown whole.
	c.Poller.Upsert(key, poll.Spec{UID: object.UID, Workload: w.decoded.Workload, Adopted: adopted.Add(time.Second)})
}
