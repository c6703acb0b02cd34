package controller

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"autoscale.io/annotations"
	"autoscale.io/scaling/decide"
	"autoscale.io/scaling/decisions"
	"autoscale.io/scaling/report"
	"autoscale.io/scaling/target"
)

// statusPause is the least time between two writes of a workload's status, so that a source that comes and goes costs few writes.
const statusPause = 10 * time.Second

// tell reports what changed since the last time: events about triggers, and the conditions.
func (c *Controller) tell(ctx context.Context, key decisions.Key, w *workload, object *metav1.PartialObjectMetadata) (reconcile.Result, error) {
	entry := c.Decisions.Get(key)
	if entry == nil {
		return reconcile.Result{}, nil
	}
	c.tellDecision(w, object, entry)
	return c.writeStatus(ctx, key, w, report.FromEntry(entry))
}

// tellDecision is about what a decision was made of, whatever it decides.
func (c *Controller) tellDecision(w *workload, object *metav1.PartialObjectMetadata, entry *decisions.Entry) {
	w.reported.faults = ""
	c.tellTriggers(w, object, entry)
	c.tellConflict(w, object, entry)
	c.tellFallback(w, object, entry)
}

func (c *Controller) tellTriggers(w *workload, object *metav1.PartialObjectMetadata, entry *decisions.Entry) {
	seen := make(map[string]triggerSeen, len(entry.Triggers))
	for _, t := range entry.Triggers {
		before, met := w.reported.triggers[t.Title()]
		now := triggerSeen{known: t.Known, said: withoutNumbers(t.Error + t.Note)}
		switch {
		case !t.Known:
			if now.told = before.told; !slices.Contains(now.told, now.said) {
				now.told = append(now.told[max(0, len(now.told)+1-maxTold):], now.said)
				c.Events.TriggerUnknown(object, t)
			}
		case met && !before.known:
			c.Events.TriggerRecovered(object, t)
		case t.Note != "" && now.said != before.said:
			c.Events.TriggerNote(object, t)
		}
		seen[t.Title()] = now
	}
	w.reported.triggers = seen
}

// maxTold bounds how many errors of one outage are remembered as told.
const maxTold = 8

func (c *Controller) tellConflict(w *workload, object *metav1.PartialObjectMetadata, entry *decisions.Entry) {
	now := entry.Reason == decide.Conflict
	switch {
	case now && !w.reported.conflict:
		c.Events.Conflict(object, entry)
	case !now && w.duel.trying(c.Now()): // only a try
		return
	case !now && w.reported.conflict:
		c.Events.ConflictEnded(object, entry)
	}
	w.reported.conflict = now
}

func (c *Controller) tellFallback(w *workload, object *metav1.PartialObjectMetadata, entry *decisions.Entry) {
	switch {
	case entry.Fallback && !w.reported.fallback:
		c.Events.FallbackInUse(object, entry)
	case !entry.Fallback && w.reported.fallback:
		c.Events.FallbackEnded(object, entry)
	}
	w.reported.fallback = entry.Fallback
}

// tellOther says who changed the count that the last read or write left behind. Not knowing who is no reason to fail.
func (c *Controller) tellOther(ctx context.Context, key decisions.Key, w *workload, object *metav1.PartialObjectMetadata, live target.Scale) {
	before := w.live
	if before.UID == "" || before.Replicas == live.Replicas {
		return
	}
	who, err := c.Target.LastScaler(ctx, key)
	if err != nil {
		c.Log.V(1).Info("cannot tell who scaled", "workload", key.String(), "error", err.Error())
	}
	w.duel.other(before.Replicas, live.Replicas, who, c.Now())
	c.Events.ScaledByOther(object, before.Replicas, live.Replicas, who)
}

var digits = regexp.MustCompile(`[0-9]+`)

// withoutNumbers makes two errors equal that differ only in a port or a count.
func withoutNumbers(text string) string { return digits.ReplaceAllString(text, "#") }

func (c *Controller) tellDryRun(w *workload, object *metav1.PartialObjectMetadata, entry *decisions.Entry) {
	now := fmt.Sprintf("%d %d", entry.From, entry.Replicas)
	if entry.From != entry.Replicas && w.reported.dryRun != now {
		c.Events.WouldScale(object, entry)
	}
	w.reported.dryRun = now
}

func (c *Controller) reportFaults(ctx context.Context, key decisions.Key, w *workload, object *metav1.PartialObjectMetadata) (reconcile.Result, error) {
	if text := w.decoded.Faults.Error(); text != w.reported.faults {
		c.Events.InvalidAnnotations(object, w.decoded.Faults)
		w.reported.faults = text
	}
	return c.writeStatus(ctx, key, w, report.FromFaults(w.decoded.Faults))
}

// writeStatus writes the conditions when one of them changed, but not more often than once in statusPause.
func (c *Controller) writeStatus(ctx context.Context, key decisions.Key, w *workload, conditions report.Conditions) (reconcile.Result, error) {
	tracked, object, _ := c.lookup(key)
	if tracked != w || report.Parse(object.Annotations[annotations.StatusKey]).Same(conditions) {
		return reconcile.Result{}, nil
	}
	if wait := w.reported.statusAt.Add(statusPause).Sub(c.Now()); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	managed := target.Managed{UID: object.UID, Label: object.Labels[annotations.Bucket]}
	written, err := c.Target.Note(ctx, key, managed, annotations.StatusKey, conditions.String())
	if err != nil {
		return reconcile.Result{}, err
	}
	w.reported.statusAt = c.Now()
	c.adoptWritten(w, object, written)
	return reconcile.Result{}, nil
}
