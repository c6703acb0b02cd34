package poll

import (
	"time"

	"autoscale.io/annotations"
	"autoscale.io/scaling/decide"
	"autoscale.io/scaling/decisions"
)

// A template of Jobs needs more care than a count. A count can be asked for twice; a Job that is started for a message which has its Job already is
// one too many. So new Jobs are asked for on the ground of a reading only if, when the read began, every Job that had been asked for before was
// counted: an order in the store is carried out before the next one is given, the number of Jobs is taken before the read, and each reading is used
// once. Whatever changes between the number and the read (a Job ends, a pod starts and takes its message) then makes for too few Jobs and never for
// too many; the next reading finds what is left.
//
// The floor and a fallback are numbers of Jobs altogether. They need no reading, and are asked for at once.

func spawns(s annotations.Settings) bool { return s.JobMode == annotations.JobSpawn }

func (w *workload) spawns() bool { return spawns(w.settings) }

// newJobs translates the strategy.
func newJobs(s annotations.Settings) decide.Jobs {
	if s.JobStrategy == nil {
		return decide.Jobs{}
	}
	strategies := map[string]decide.Strategy{
		annotations.JobsDefault:  decide.StrategyDefault,
		annotations.JobsAccurate: decide.StrategyAccurate,
		annotations.JobsEager:    decide.StrategyEager,
		annotations.JobsCustom:   decide.StrategyCustom,
	}
	return decide.Jobs{Strategy: strategies[s.JobStrategy.Strategy], Deduction: s.JobStrategy.QueueLengthDeduction, RunningShare: s.JobStrategy.RunningJobPercentage}
}

// slowest is the interval of all triggers of a template with a formula. They are read together, so that its result is of one moment.
func (w *workload) slowest(wanted annotations.Workload) time.Duration {
	var interval time.Duration
	for _, t := range wanted.Triggers {
		interval = max(interval, w.intervalOf(wanted, t))
	}
	return interval
}

// beginJobs notes what is known before the reads. The caller holds w.mu.
func (w *workload) beginJobs(r *round) {
	if !w.spawns() {
		return
	}
	if w.formula != nil && len(r.due) > 0 {
		r.due = r.due[:0]
		for _, t := range w.triggers {
			t.woken = false
			r.due = append(r.due, t)
		}
	}
	r.order = w.order
	if o := w.observed; o != nil && o.Unknown == "" && !w.outstanding() {
		r.snapshot = o
	}
}

// outstanding says whether the latest order has not been carried out yet.
func (w *workload) outstanding() bool {
	return w.order != nil && (w.observed == nil || w.observed.Batch != w.order.Batch)
}

// decideOn makes a decision from what a round has read. The caller holds w.mu.
func (w *workload) decideOn(r *round) {
	if r.snapshot != nil && r.order == w.order && w.spawns() && w.observed != nil {
		w.snapshot = r.snapshot
		for _, t := range r.due {
			t.fresh = true
		}
		if w.formula != nil {
			w.formula.fresh = w.allFresh()
		}
	}
	w.decide()
	w.snapshot = nil
	for _, t := range r.due {
		t.fresh = false
	}
	if w.formula != nil {
		w.formula.fresh = false
	}
}

func (w *workload) allFresh() bool {
	for _, t := range w.triggers {
		if !t.guard && !t.fresh {
			return false
		}
	}
	return true
}

// spawn decides, puts the decision and what it orders. The caller holds w.mu.
func (w *workload) spawn(now time.Time) decide.Decision {
	o := w.observed
	w.jobs.Unknown, w.jobs.Pending = o.Unknown, o.Pending
	if s := w.snapshot; s != nil {
		w.in.Current, w.jobs.Pending = s.Replicas, s.Pending
	}
	d := decide.Spawn(now, w.in, w.jobs)
	message := d.JobsSentence(w.in, w.jobs)
	switch n := d.Replicas - d.From; {
	case w.outstanding():
		if d.Reason == decide.LeftAlone || d.Reason == decide.Conflict || d.Reason == decide.JobsUnknown {
			w.withdraw()
		}
	case n > 0:
		w.order = &decisions.Order{Batch: w.poller.batches.Add(1), Jobs: n, From: d.From, Ceiling: w.ceilingOf(d), Message: message}
	}
	e := w.entry(d, message)
	if w.outstanding() {
		e.Order = w.order
	}
	w.poller.deps.Decisions.Put(w.key, e, d.At)
	return d
}

// ceilingOf is the number of Jobs that must not be passed when the order is carried out. What was asked for as a number altogether is one.
func (w *workload) ceilingOf(d decide.Decision) int32 {
	if w.snapshot == nil || d.Reason == decide.AtMinimum || d.Reason == decide.FallbackInUse || d.Reason == decide.Paused {
		return d.Replicas
	}
	return max(w.in.Bounds.Max, d.Replicas)
}

// withdraw takes back an order that has not been carried out: what it was given for does not hold any more. It still has to be taken note of, since
// it may be in the middle of being carried out.
func (w *workload) withdraw() {
	if w.outstanding() && w.order.Jobs > 0 {
		withdrawn := *w.order
		withdrawn.Jobs = 0
		w.order = &withdrawn
	}
}
