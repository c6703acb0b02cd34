package poll

import (
	"context"
	"time"

	"autoscale.io/scalers"
)

// watch lets a source that can tell when work arrives do so. The caller holds w.mu.
func (w *workload) watch(t *trigger) {
	if t.source == nil || t.source == t.watched || t.guard || !t.source.Wakes() {
		return
	}
	t.stopWatching()
	ctx, cancel := context.WithCancel(w.poller.ctx)
	done := make(chan struct{})
	source := t.source
	w.poller.running.Go(func() {
		defer close(done)
		source.Wake(ctx, func() { w.poller.running.Go(func() { w.wake(t, source) }) }, func(err error) {
			w.poller.deps.Log.Info("watching a source for work broke and is tried again; polling goes on", "workload", w.key.String(), "trigger", t.spec.Name, "error", err.Error())
		})
	})
	t.watched = source
	t.unwatch = func() {
		cancel()
		select {
		case <-done:
		case <-time.After(unwatchWithin):
		}
	}
}

// unwatchWithin bounds the wait for a watch that does not end when it is told to.
const unwatchWithin = time.Second

// stopWatching ends the watch, so that the source may be closed.
func (t *trigger) stopWatching() {
	if t.unwatch != nil {
		t.unwatch()
	}
	t.watched, t.unwatch = nil, nil
}

// wake reads a trigger at once, if its workload has no work yet; one that has is read within wakeInterval, however much arrives.
func (w *workload) wake(t *trigger, source *scalers.Source) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.ended || t.watched != source:
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
