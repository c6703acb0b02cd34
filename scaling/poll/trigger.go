package poll

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"autoscale.io/annotations"
	"autoscale.io/scalers"
)

// reopenAfter is how old a source opened with references may grow before the references are read again, so that a rotated secret whose
// old value still works is used in the end.
const reopenAfter = 10 * time.Minute

// trigger is one trigger or guard of one workload: its source, and the latest reading.
type trigger struct {
	spec  annotations.Trigger
	guard bool

	// The workload's lock guards these.
	interval time.Duration
	due      time.Time
	// common is what the latest read found in the references, spec.Common where nothing was opened yet.
	common  annotations.Common
	reading scalers.Reading
	err     error
	// replicas is the count that the workload had when the latest read began.
	replicas int32
	// since is when the present run of errors began, and failures its length.
	since    time.Time
	failures int
	// read is false until the first read came back.
	read bool
	// fresh says that no decision has been made since the latest read, and that it began after the last Job was started.
	fresh bool

	// woken says that the source had something to say since the latest read began, which was at began.
	woken bool
	began time.Time

	// These belong to the goroutine that reads, and without one to the holder of the lock (workload.polling).
	source *scalers.Source
	// watched is the source that is watched, until unwatch is called. A wake that was put off looks at it too, whoever reads meanwhile.
	watched atomic.Pointer[scalers.Source]
	unwatch func()
	// checked is when the references were last read; suspect asks to read them before the next use.
	checked time.Time
	suspect bool
}

// outcome is what one read came to.
type outcome struct {
	began time.Time
	// replicas is the count that the workload had then, 0 when it was not known.
	replicas int32
	common   annotations.Common
	reading  scalers.Reading
	err      error
}

// timeout is the deadline of one read: shorter than the interval, so that reads never queue up.
func (t *trigger) timeout() time.Duration {
	const usual = 3 * time.Second
	limit := t.interval * 4 / 5
	if t.spec.Timeout > 0 {
		return min(t.spec.Timeout, limit)
	}
	return min(usual, limit)
}

// keep remembers what a read came to, and says whether that is something new. The caller holds the workload's lock.
func (t *trigger) keep(o outcome) (news bool) {
	if o.err != nil && t.err == nil {
		t.since = o.began
	}
	if t.failures++; o.err == nil {
		t.failures = 0
	}
	news = !t.read || o.err != nil || t.err != nil || o.reading != t.reading || o.common != t.common || o.replicas != t.replicas
	t.common, t.reading, t.replicas, t.err, t.read = o.common, o.reading, o.replicas, o.err, true
	return news
}

// start reads the source once, and calls then with what came of it. It waits for nothing if the source starts reads, and is open and not stale.
func (t *trigger) start(ctx context.Context, r *round, p *Poller, then func(outcome)) {
	began := p.deps.Now()
	finish := func(reading scalers.Reading, err error) {
		o := outcome{began: began, replicas: r.replicas, common: t.spec.Common, reading: reading, err: err}
		t.suspect = err != nil
		if t.source != nil {
			o.common = t.source.Common
		}
		then(o)
	}
	if err := t.openSafely(ctx, r, &p.deps); err != nil {
		finish(scalers.Reading{}, err)
		return
	}
	used := t.source
	used.Start(ctx, func(reading scalers.Reading, err error) {
		if err == nil || len(t.spec.Refs) == 0 || ctx.Err() != nil {
			finish(reading, err)
			return
		}
		// A password may just have been rotated: with a changed reference, one more try inside the same deadline.
		p.workers.Go(func() {
			t.suspect = true
			if openErr := t.openSafely(ctx, r, &p.deps); openErr != nil || t.source == used {
				finish(reading, err)
				return
			}
			t.source.Start(ctx, finish)
		})
	})
}

func (t *trigger) openSafely(ctx context.Context, r *round, deps *Deps) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("opening the source panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return t.open(ctx, r, deps)
}

// stale says that the references are to be read before the source is used.
func (t *trigger) stale(now time.Time) bool {
	return len(t.spec.Refs) > 0 && (t.suspect || now.Sub(t.checked) > reopenAfter)
}

// open makes sure that source is there and that its references are not out of date.
func (t *trigger) open(ctx context.Context, r *round, deps *Deps) error {
	if t.source != nil && !t.stale(deps.Now()) {
		return nil
	}
	resolved, err := scalers.Resolve(ctx, t.spec, deps.References(r.key, r.container))
	if err != nil {
		return err
	}
	t.checked, t.suspect = deps.Now(), false
	if t.source != nil && t.source.SameReferences(t.spec, resolved) {
		return nil
	}
	source, err := deps.Registry.OpenResolved(r.host, t.spec, resolved)
	if err != nil {
		return err
	}
	old := t.source
	t.stopWatching()
	t.source = source
	if old != nil {
		if err := old.Close(); err != nil {
			deps.Log.Info("closing a source failed", "trigger", t.spec.Name, "error", err.Error())
		}
	}
	return nil
}

func (t *trigger) close() error {
	if t.source == nil {
		return nil
	}
	t.stopWatching()
	err := t.source.Close()
	t.source = nil
	if err != nil {
		return fmt.Errorf("trigger %s: %w", t.spec.Name, err)
	}
	return nil
}

func closeAll(triggers []*trigger) error {
	var errs []error
	for _, t := range triggers {
		errs = append(errs, t.close())
	}
	return errors.Join(errs...)
}
