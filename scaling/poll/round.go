package poll

import (
	"fmt"
	"runtime/debug"

	"autoscale.io/scalers"
	"autoscale.io/scaling/decide"
	"autoscale.io/scaling/decisions"
)

// round is one poll: the reads of what is due, and the decision after the last of them.
//
// It holds no goroutine while it waits. The dispatcher's begins it, and the one that brings the last answer ends it; both serve many workloads, so
// neither may wait for the lock of one.
type round struct {
	due       []*trigger
	host      scalers.Host
	key       decisions.Key
	container string
	// replicas is the count before the reads, 0 when it is not known.
	replicas int32
	// For a template of Jobs: what was observed before the reads, nil when the ground was not firm, and the order that was the latest then.
	snapshot *Observation
	order    *decisions.Order
	// left is the number of reads that have not come back; the workload's lock guards it.
	left int
}

// poll begins a round when a trigger or a recheck is due.
func (w *workload) poll() { w.locked(w.begin) }

// locked runs f with the lock held: on this goroutine if the lock is free, and otherwise on another one, since whoever has it may be closing a source.
func (w *workload) locked(f func()) {
	if w.mu.TryLock() {
		w.run(f)
		return
	}
	w.poller.workers.Go(func() {
		w.mu.Lock()
		w.run(f)
	})
}

// run runs f and gives the lock back.
func (w *workload) run(f func()) {
	defer w.survive()
	defer w.mu.Unlock()
	f()
}

// survive keeps a panic to the workload that met it: it is logged, and the workload is polled again after its interval.
func (w *workload) survive() {
	p := recover()
	if p == nil {
		return
	}
	w.poller.deps.Log.Error(fmt.Errorf("panic: %v", p), "a poll panicked; the count is held", "workload", w.key.String(), "stack", string(debug.Stack()))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.polling = false
	if !w.ended {
		w.state = decide.State{}
		w.wait(w.poller.deps.Now().Add(w.settings.PollingInterval))
	}
}

// begin asks the sources that are due. The caller holds w.mu.
func (w *workload) begin() {
	if w.polling || w.ended {
		return
	}
	now := w.poller.deps.Now()
	r := &w.round // that before has ended
	*r = round{
		due:  r.due[:0],
		host: scalers.Host{Namespace: w.key.Namespace, Name: w.key.Name, UID: w.uid, MaxReplicas: w.ceiling},
		key:  w.key, container: w.settings.EnvContainer, replicas: w.replicas(),
	}
	for _, t := range w.triggers {
		if !t.due.After(now) {
			t.woken, t.began = false, now
			r.due = append(r.due, t)
		}
	}
	w.beginJobs(r)
	r.left = len(r.due)
	w.polling = true
	w.poller.running.Add(1)
	if r.left == 0 {
		w.finish(r)
	}
	for _, t := range r.due {
		w.read(t, r)
	}
}

// read asks one source. The caller holds w.mu, but not while the source is waited for, so that an edit and a new count need not wait for it.
func (w *workload) read(t *trigger, r *round) {
	ctx := w.poller.deadlines.within(w.poller.ctx, t.timeout())
	then := func(o outcome) { w.locked(func() { w.keep(t, o, r) }) }
	if t.source != nil && t.source.Starts() && !t.stale(w.poller.deps.Now()) {
		t.start(ctx, r, w.poller, then)
		return
	}
	w.poller.workers.Go(func() { t.start(ctx, r, w.poller, then) })
}

// keep remembers what a read came to, and ends the round with the last one. The caller holds w.mu.
func (w *workload) keep(t *trigger, o outcome, r *round) {
	w.news = t.keep(o) || w.news
	if r.left--; r.left == 0 {
		w.finish(r)
	}
}

// finish decides on what a round has read. The caller holds w.mu.
func (w *workload) finish(r *round) {
	defer w.poller.running.Done()
	w.polling = false
	for _, t := range r.due {
		w.schedule(t, w.poller.deps.Now())
		if !w.ended {
			w.watch(t)
		}
	}
	w.combine()
	if retired := w.retired; len(retired) > 0 {
		w.retired = nil
		w.poller.running.Add(1)
		w.poller.workers.Go(func() {
			defer w.poller.running.Done()
			w.close(retired)
		})
	}
	if !w.ended {
		w.decideOn(r)
	}
}
