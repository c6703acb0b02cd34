package poll

import (
	"time"

	"autoscale.io/scalers"
)

// watch lets a source that can tell when work arrives do so. The caller holds w.mu.
func (w *workload) watch(t *trigger) {
	if t.source == nil || t.source == t.watched.Load() || t.guard || !t.source.Wakes() {
		return
	}
	t.stopWatching()
	source := t.source
	t.watched.Store(source)
	t.unwatch = source.Watch(func() { w.locked(func() { w.wake(t, source) }) }, func(err error) {
		w.poller.deps.Log.Info("watching a source for work broke and is tried again; polling goes on", "workload", w.key.String(), "trigger", t.spec.Name, "error", err.Error())
	})
}

// stopWatching ends the watch, so that the source may be closed.
func (t *trigger) stopWatching() {
	if t.unwatch != nil {
		t.unwatch()
	}
	t.watched.Store(nil)
	t.unwatch = nil
}

// wake reads a trigger at once, if its workload has no work yet; one that has is read within wakeInterval, however much arrives. The caller holds w.mu.
func (w *workload) wake(t *trigger, source *scalers.Source) {
	switch {
	case w.ended || t.watched.Load() != source:
	case w.polling:
		t.woken = true
	default:
		now := w.poller.deps.Now()
		if due := w.soon(t, now); due.Before(t.due) {
			t.due = due
			if due.Before(w.next) {
				w.wait(due)
			}
		}
	}
}

// wakeInterval is the least time between two reads of an active workload that come from a wake. A burst is noticed within it, and a constant flow costs no
// more than an interval of that length would.
const wakeInterval = time.Second

// soon is when a trigger that has something to say is read.
func (w *workload) soon(t *trigger, now time.Time) time.Time {
	if w.latest.Active {
		return later(now, t.began.Add(wakeInterval))
	}
	return now
}
