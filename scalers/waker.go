package scalers

import (
	"context"
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
	// Wake watches the source until ctx ends, and returns nil then. It calls wake once the source is watched, unless it hears what came since the latest
	// read, and again whenever work may have come. wake is cheap and may be called at any rate, from any goroutine. An error says why the watch broke; it calls for
	// another Wake after a pause. Every Wake has returned before the scaler is closed.
	Wake(ctx context.Context, wake func()) error
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

// Wake watches the source until ctx ends, and again after every break of the watch, with growing pauses. It calls wake once the source is watched and when work may
// have come, at most every tenth of a second and never twice at the same time. broken gets each of the breaks of an outage once, free of secrets; an outage ends with
// a wake, or with a watch that holds for a while. A source that cannot tell returns at once.
func (s *Source) Wake(ctx context.Context, wake func(), broken func(error)) {
	waker, ok := s.scaler.(Waker)
	if !ok {
		return
	}
	wakes := debounce{wake: wake}
	defer wakes.end()
	pause, told := firstRetry, map[string]bool{}
	for ctx.Err() == nil {
		var heard atomic.Bool
		began := time.Now()
		err := wakeOnce(ctx, waker, func() {
			heard.Store(true)
			wakes.call()
		})
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("the watch ended by itself")
		}
		if heard.Load() || time.Since(began) >= lastRetry { // longer than any try at a server that says nothing
			pause = firstRetry
			clear(told)
		}
		if text := redact(err.Error(), s.secrets); !told[text] && len(told) < maxTold {
			told[text] = true
			broken(errors.New(text))
		}
		sleep(ctx, pause/2+rand.N(pause/2))
		pause = min(2*pause, lastRetry)
	}
}

func wakeOnce(ctx context.Context, waker Waker, wake func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("watching the source panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return waker.Wake(ctx, wake)
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

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
