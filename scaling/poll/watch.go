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

// wake reads a trigger at once, if its workload has no work yet; one that has is read at its interval, however much arrives.
func (w *workload) wake(t *trigger, source *scalers.Source) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.ended || t.watched != source:
	case w.polling:
		t.woken = true
	default:
		w.callForward(t)
	}
}

// callForward makes a trigger due now, unless its workload is active.
func (w *workload) callForward(t *trigger) {
	if w.active {
		return
	}
	t.due = w.poller.deps.Now()
	w.timer.Reset(0)
}
