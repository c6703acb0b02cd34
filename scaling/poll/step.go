package poll

import (
	"slices"
	"time"

	"autoscale.io/annotations"
	"autoscale.io/scaling/decide"
	"autoscale.io/scaling/decisions"
)

// decide makes a decision from the latest readings, stores it and makes the next appointment. The caller holds w.mu.
func (w *workload) decide() {
	now := w.poller.deps.Now()
	var recheck time.Time
	if ready := w.gather(now); ready && w.observed != nil {
		var decision decide.Decision
		if w.spawns() {
			decision = w.spawn(now)
		} else {
			decision, w.state = decide.Step(now, w.in, w.state)
			w.tell(decision)
		}
		w.latest, w.latest.Proposals = decision, nil // they are the State's
		recheck = decision.Recheck
	}
	if w.polling {
		return // the round makes the next appointment when it ends
	}
	for _, t := range w.triggers {
		if t.woken { // while it was read
			t.due = earlier(t.due, w.soon(t, now))
		}
	}
	next := w.firstDue()
	if !recheck.IsZero() {
		next = earlier(next, later(recheck, now.Add(minRecheck)))
	}
	w.wait(next)
}

// wait makes the next poll come at a time.
func (w *workload) wait(next time.Time) {
	w.next = next
	w.poller.dispatcher.set(w, next)
}

// minRecheck keeps a decision that asks to be looked at again at once from becoming a busy loop.
const minRecheck = 50 * time.Millisecond

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (w *workload) firstDue() time.Time {
	next := w.triggers[0].due
	for _, t := range w.triggers[1:] {
		next = earlier(next, t.due)
	}
	return next
}

// gather fills in what changes from decision to decision. It is false until everything has been read once: a decision with half of the triggers
// would be one that UNKNOWN clips for no reason.
func (w *workload) gather(now time.Time) bool {
	w.in.Triggers, w.in.Guards = w.in.Triggers[:0], w.in.Guards[:0]
	for _, t := range w.triggers {
		switch {
		case !t.read:
			return false
		case t.guard:
			w.in.Guards = append(w.in.Guards, decide.Guard{Name: t.spec.Name, Limit: t.common.Target, Reading: t.decideReading()})
		case w.formula == nil || t.isResource():
			d := newTrigger(t.spec.Name, t.common)
			d.Reading = t.decideReading()
			w.in.Triggers = append(w.in.Triggers, d)
		}
	}
	if w.formula != nil {
		w.in.Triggers = append(w.in.Triggers, w.formula.trigger())
	}
	if o := w.observed; o != nil {
		w.in.Current, w.in.ZeroIsOurs, w.in.RollingOut, w.in.Rival = o.Replicas, o.ZeroIsOurs, o.RollingOut, o.Rival
		w.in.LeftAlone = o.LeftAlone
	}
	if next := w.in.Bounds.Until; len(w.calendar) > 0 && (next.IsZero() || !now.Before(next)) {
		setBounds(&w.in.Bounds, w.calendar, now, w.settings)
		w.news = true
	}
	return true
}

func (t *trigger) decideReading() decide.Reading {
	return decide.Reading{
		Known: t.err == nil && !t.reading.Unmeasured, Value: t.reading.Value, Busy: t.reading.Busy, Replicas: t.replicas, Failures: t.failures, Spent: !t.fresh, Pods: decide.Pods(t.reading.Pods),
	}
}

// isResource says whether t measures the workload's own pods.
func (t *trigger) isResource() bool { return annotations.ResourceOf(t.spec.Type) != "" }

// silent says that t has nothing to report: there is no pod to measure, or none that has run for long enough, which is no fault of anything.
func (t *trigger) silent(replicas int32) bool {
	return t.isResource() && (replicas == 0 || t.err == nil && t.reading.Unmeasured)
}

// tell stores a decision. At rest it is the same one again, and to put it into words would take longer than to make it.
func (w *workload) tell(d decide.Decision) {
	if w.told == nil || w.news || w.formula != nil || !w.in.Pause.Until.IsZero() || !d.Repeats(w.latest) {
		w.told, w.news = w.entry(d, d.Sentence(w.in)), false
	}
	w.poller.deps.Decisions.Put(w.key, w.told, d.At)
}

func (w *workload) entry(d decide.Decision, message string) *decisions.Entry {
	e := &decisions.Entry{
		Replicas: d.Replicas, From: d.From, Reason: d.Reason, Message: message, Active: d.Active,
		Paused:   w.in.Pause.Mode != decide.NotPaused && (w.in.Pause.Until.IsZero() || d.At.Before(w.in.Pause.Until)),
		Cooling:  cooling(d),
		Fallback: slices.ContainsFunc(d.Proposals, func(p decide.Proposal) bool { return p.Fallback }),
		Triggers: make([]decisions.Trigger, 0, len(w.triggers)+1),
	}
	for _, t := range w.triggers {
		if t.silent(d.From) {
			continue
		}
		e.Triggers = append(e.Triggers, decisions.Trigger{
			Name: t.spec.Name, Type: t.spec.Type, Guard: t.guard, Target: t.common.Target,
			Known: t.err == nil, Value: t.reading.Value, Note: t.reading.Note, Since: t.since, Error: errorText(t.err),
			Spawns: w.spawns(),
		})
	}
	if f := w.formula; f != nil {
		e.Triggers = append(e.Triggers, decisions.Trigger{
			Name: annotations.FormulaName, Type: annotations.FormulaName, Target: f.spec.Target,
			Known: f.err == nil, Value: f.reading.Value, Since: f.since, Error: errorText(f.err), Spawns: w.spawns(),
		})
	}
	return e
}

// cooling says whether a cooldown has run for a minute, or half of its time if that is less. A workload that is idle for a moment only, time and again, is not
// worth a report each time.
func cooling(d decide.Decision) bool {
	return d.Reason == decide.CoolingDown && d.At.Sub(d.IdleSince) >= min(time.Minute, d.Until.Sub(d.IdleSince)/2)
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
