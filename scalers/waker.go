package scalers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
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
)

// Wakes says whether the source can tell when work arrives.
func (s *Source) Wakes() bool {
	_, ok := s.scaler.(Waker)
	return ok
}

// Wake watches the source until ctx ends, and again after every break of the watch, with growing pauses. It calls wake once the source is watched and when work may
// have come, at most every tenth of a second and never twice at the same time. broken gets every break that is another than the one before, free of secrets. A source that cannot tell returns at once.
func (s *Source) Wake(ctx context.Context, wake func(), broken func(error)) {
	waker, ok := s.scaler.(Waker)
	if !ok {
		return
	}
	calls := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		debounce(ctx, calls, wake)
	}()
	defer func() { <-done }()
	pause, told := firstRetry, ""
	for ctx.Err() == nil {
		var heard atomic.Bool
		err := wakeOnce(ctx, waker, func() {
			heard.Store(true)
			select {
			case calls <- struct{}{}:
			default:
			}
		})
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("the watch ended by itself")
		}
		if heard.Load() {
			pause, told = firstRetry, ""
		}
		if text := redact(err.Error(), s.secrets); text != told {
			told = text
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

// debounce calls wake for the first of many calls, and once more after the pause if any came meanwhile.
func debounce(ctx context.Context, calls <-chan struct{}, wake func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-calls:
		}
		wake()
		sleep(ctx, wakePause)
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
