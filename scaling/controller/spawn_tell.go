package controller

import (
	"context"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"autoscale.io/scaling/decisions"
	"autoscale.io/scaling/report"
)

// tellJobs reports what changed since the last time.
func (c *Controller) tellJobs(ctx context.Context, key decisions.Key, w *workload, object *metav1.PartialObjectMetadata) (reconcile.Result, error) {
	entry := c.Decisions.Get(key)
	if entry == nil {
		return reconcile.Result{}, nil
	}
	c.tellDecision(w, object, entry)
	c.tellUnknownJobs(w, object)
	conditions := report.FromEntry(entry)
	again := c.forgetProblem(w, entry)
	if w.spawning.problem != "" {
		conditions = conditions.JobsFailed(w.spawning.problem)
	}
	if w.spawning.unknown != "" {
		again = nextList
	}
	result, err := c.writeStatus(ctx, key, w, conditions)
	result.RequeueAfter = sooner(result.RequeueAfter, again)
	return result, err
}

// forgetProblem ends a problem once no order has come for a while: what could not be started is not asked for any more. Until then it says when to look again.
func (c *Controller) forgetProblem(w *workload, entry *decisions.Entry) time.Duration {
	if w.spawning.problem == "" {
		return 0
	}
	const polls = 3
	over := w.spawning.problemAt.Add(polls * w.decoded.Workload.PollingInterval)
	if wait := over.Sub(c.Now()); wait > 0 || entry.Order != nil {
		return max(wait, time.Second)
	}
	w.spawning.problem = ""
	return 0
}

func (c *Controller) tellUnknownJobs(w *workload, object *metav1.PartialObjectMetadata) {
	now := withoutNumbers(w.spawning.unknown)
	switch {
	case now == w.reported.unknown:
	case now != "":
		c.Events.JobsUnknown(object, w.spawning.unknown)
	default:
		c.Events.JobsKnown(object)
	}
	w.reported.unknown = now
}

func (c *Controller) tellJobsDryRun(w *workload, object *metav1.PartialObjectMetadata, n int, order decisions.Order) {
	if now := strconv.Itoa(n); w.reported.dryRun != now {
		c.Events.WouldStart(object, n, order.Message)
		w.reported.dryRun = now
	}
}
