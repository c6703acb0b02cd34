package poll

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
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
	// watched is the source whose Waker runs, until unwatch is called.
	watched *scalers.Source
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

// refresh reads the source once.
func (t *trigger) refresh(ctx context.Context, host scalers.Host, refs scalers.References, deps *Deps) outcome {
	o := outcome{began: deps.Now(), common: t.spec.Common}
	o.reading, o.err = t.readOnce(ctx, host, refs, deps)
	t.suspect = o.err != nil
	if t.source != nil {
		o.common = t.source.Common
	}
	return o
}

// keep remembers what a read came to. The caller holds the workload's lock.
func (t *trigger) keep(o outcome) {
	if o.err != nil && t.err == nil {
		t.since = o.began
	}
	if t.failures++; o.err == nil {
		t.failures = 0
	}
	t.common, t.reading, t.replicas, t.err, t.read = o.common, o.reading, o.replicas, o.err, true
}

func (t *trigger) readOnce(ctx context.Context, host scalers.Host, refs scalers.References, deps *Deps) (reading scalers.Reading, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("opening the source panicked: %v\n%s", p, debug.Stack())
		}
	}()
	if err := t.open(ctx, host, refs, deps); err != nil {
		return scalers.Reading{}, err
	}
	reading, err = t.source.Read(ctx)
	if err == nil || len(t.spec.Refs) == 0 || ctx.Err() != nil {
		return reading, err
	}
	// A password may just have been rotated: with a changed reference, one more try inside the same deadline.
	used := t.source
	t.suspect = true
	if openErr := t.open(ctx, host, refs, deps); openErr != nil || t.source == used {
		return reading, err
	}
	return t.source.Read(ctx)
}

// open makes sure that source is there and that its references are not out of date.
func (t *trigger) open(ctx context.Context, host scalers.Host, refs scalers.References, deps *Deps) error {
	stale := len(t.spec.Refs) > 0 && (t.suspect || deps.Now().Sub(t.checked) > reopenAfter)
	if t.source != nil && !stale {
		return nil
	}
	resolved, err := scalers.Resolve(ctx, t.spec, refs)
	if err != nil {
		return err
	}
	t.checked, t.suspect = deps.Now(), false
	if t.source != nil && t.source.SameReferences(t.spec, resolved) {
		return nil
	}
	source, err := deps.Registry.OpenResolved(host, t.spec, resolved)
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
