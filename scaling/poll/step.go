package poll

import (
	"time"

	"autoscale.io/scaling/board"
	"autoscale.io/scaling/decide"
)

// decide makes a decision from the latest readings, puts it on the board and sets the timer. The caller holds w.mu.
func (w *workload) decide() {
	now := w.poller.deps.Now()
	next := w.firstDue()
	if ready := w.gather(); ready && w.observed {
		var decision decide.Decision
		decision, w.state = decide.Step(now, w.in, w.state)
		w.poller.deps.Board.Put(w.key, w.entry(decision))
		if recheck := decision.Recheck; !recheck.IsZero() {
			next = earlier(next, later(recheck, now.Add(minRecheck)))
		}
	}
	if w.polling {
		return // poll sets the timer when it ends
	}
	delay := max(next.Sub(now), 0)
	if w.timer == nil {
		w.timer = time.AfterFunc(delay, w.poll)
		return
	}
	w.timer.Reset(delay)
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

// gather fills the decision's triggers. It is false until every trigger has been read once: a decision with half of the triggers would
// be one that UNKNOWN clips for no reason.
func (w *workload) gather() bool {
	w.in.Triggers = w.in.Triggers[:0]
	for _, t := range w.triggers {
		if !t.read {
			return false
		}
		d := newTrigger(t.spec.Name, t.common)
		d.Reading = decide.Reading{Known: t.err == nil, Value: t.reading.Value, Busy: t.reading.Busy}
		w.in.Triggers = append(w.in.Triggers, d)
	}
	return true
}

func (w *workload) entry(d decide.Decision) *board.Entry {
	e := &board.Entry{
		Replicas: d.Replicas, From: d.From, Reason: d.Reason, Message: d.Sentence(w.in), Active: d.Active, At: d.At,
		Paused:   w.in.Pause.Mode != decide.NotPaused && (w.in.Pause.Until.IsZero() || d.At.Before(w.in.Pause.Until)),
		Triggers: make([]board.Trigger, 0, len(w.triggers)),
	}
	for i, t := range w.triggers {
		status := board.Trigger{
			Name: t.spec.Name, Type: t.spec.Type, Target: w.in.Triggers[i].Target,
			Known: t.err == nil, Value: t.reading.Value, Note: t.reading.Note, Since: t.since,
		}
		if t.err != nil {
			status.Error = t.err.Error()
		}
		e.Triggers = append(e.Triggers, status)
	}
	return e
}
