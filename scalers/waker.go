package scalers

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Waker is implemented by a scaler whose source can tell when work arrives, so that nobody has to wait for the next poll. Polling goes on regardless.
type Waker interface {
	// Watch begins to watch the source and does not wait for anything; stop ends that. It calls wake once the source is watched, unless it hears what came since
	// the latest read, and again whenever work may have come. It calls broken once, and nothing after that, when the watch has broken, with the reason; that calls
	// for another Watch after a pause. Both may be called from any goroutine and at any rate, but not by Watch or stop themselves, and not with a lock held that
	// those need. A call that was under way when stop returned is without effect. Every watch is stopped before the scaler is closed.
	Watch(wake func(), broken func(error)) (stop func())
}

const (
	// wakePause is the least time between two wakes: a burst of work makes two, one at its start and one at its end.
	wakePause = 100 * time.Millisecond
	// firstRetry and lastRetry bound the pauses between two tries to watch a source; each is twice the one before, and half of it is left to chance.
	firstRetry = time.Second
	lastRetry  = time.Minute
	// maxTold bounds how many different breaks of an outage are told: a server in trouble fails in two or three ways by turns, and a text may have a number in it.
	maxTold = 4
)

// Wakes says whether the source can tell when work arrives.
func (s *Source) Wakes() bool {
	_, ok := s.scaler.(Waker)
	return ok
}

// Watch watches the source until stop is called, and again after every break of the watch, with growing pauses. It calls wake once the source is watched and when
// work may have come, at most every tenth of a second and never twice at the same time. broken gets each of the breaks of an outage once, free of secrets; an outage
// ends with a wake, or with a watch that holds for a while. Neither is under way or called any more when stop has returned, so neither may wait for a lock that is
// held while stop is called, which may be called again. It watches nothing if the source cannot tell.
func (s *Source) Watch(wake func(), broken func(error)) (stop func()) {
	waker, ok := s.scaler.(Waker)
	if !ok {
		return func() {}
	}
	w := &watch{waker: waker, secrets: s.secrets, broken: broken, wakes: debounce{wake: wake}, pause: firstRetry}
	w.begin()
	return w.end
}

// watch is a watch that is kept alive. It costs no goroutine: thousands of sources are watched.
type watch struct {
	waker   Waker
	secrets []string
	wakes   debounce
	broken  func(error)
	// heard says that the present try has called wake.
	heard atomic.Bool

	mu sync.Mutex
	// stop ends the present try, which began at that time; nil between two.
	stop  func()
	began time.Time
	// retry begins the next try, after a pause; nil before the first break.
	retry *time.Timer
	pause time.Duration
	// told has the breaks of the present outage.
	told  map[string]bool
	ended bool
}

func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	w.heard.Store(false)
	w.began = time.Now()
	stop, err := w.try()
	if err != nil {
		w.fail(err)
		return
	}
	w.stop = stop
}

func (w *watch) try() (stop func(), err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("watching the source panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return w.waker.Watch(func() {
		w.heard.Store(true)
		w.wakes.call()
	}, func(err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !w.ended {
			w.fail(err)
		}
	}), nil
}

// fail tells of a break and makes the next try come after a pause. The caller holds the lock.
func (w *watch) fail(err error) {
	w.stop = nil
	if w.heard.Load() || time.Since(w.began) >= lastRetry { // longer than any try at a server that says nothing
		w.pause = firstRetry
		clear(w.told)
	}
	if text := redact(err.Error(), w.secrets); !w.told[text] && len(w.told) < maxTold {
		if w.told == nil {
			w.told = map[string]bool{}
		}
		w.told[text] = true
		w.broken(errors.New(text))
	}
	w.retry = time.AfterFunc(w.pause/2+rand.N(w.pause/2), w.begin)
	w.pause = min(2*w.pause, lastRetry)
}

func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	w.ended = true
	if w.stop != nil {
		w.stop()
	}
	if w.retry != nil {
		w.retry.Stop()
	}
	w.wakes.end()
}

// debounce calls wake for the first of many calls, and once more after the pause if any came meanwhile. It costs no goroutine: thousands of sources are watched.
type debounce struct {
	wake func()

	// The lock is held during wake, so that no two are under way.
	mu sync.Mutex
	// pause runs after a wake; nil before the first.
	pause *time.Timer
	// pausing says that it does, again that a call came meanwhile.
	pausing, again, ended bool
}

func (d *debounce) call() {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.ended:
	case d.pausing:
		d.again = true
	default:
		d.ring()
	}
}

func (d *debounce) ring() {
	d.wake()
	d.pausing, d.again = true, false
	if d.pause == nil {
		d.pause = time.AfterFunc(wakePause, d.rested)
		return
	}
	d.pause.Reset(wakePause)
}

func (d *debounce) rested() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pausing = false
	if d.again && !d.ended {
		d.ring()
	}
}

// end returns when no wake is under way, and none comes after it.
func (d *debounce) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	if d.pause != nil {
		d.pause.Stop()
	}
}
