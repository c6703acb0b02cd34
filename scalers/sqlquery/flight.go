package sqlquery

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// flights joins identical queries that are asked at the same time. The zero value is ready.
type flights struct {
	mu      sync.Mutex
	byQuery map[string]*flight
}

// flight is one query under way.
type flight struct {
	cancel context.CancelFunc
	// users is how many still wait for it, under the lock.
	users int
	// done is closed when found and err are there.
	done  chan struct{}
	found answer
	err   error
}

// join waits for the query under way, or starts it with the deadline of ctx. One that ran out of somebody else's time is asked again in one's own.
func (f *flights) join(ctx context.Context, query string, ask func(context.Context) (answer, error)) (answer, error) {
	for {
		current, mine := f.board(ctx, query, ask)
		select {
		case <-current.done:
		case <-ctx.Done():
		}
		f.leave(query, current)
		select {
		case <-current.done:
		default:
			return answer{}, ctx.Err()
		}
		if !mine && ctx.Err() == nil && errors.Is(current.err, context.DeadlineExceeded) {
			continue
		}
		return current.found, current.err
	}
}

// board returns the flight of the query, and whether it had to be started.
func (f *flights) board(ctx context.Context, query string, ask func(context.Context) (answer, error)) (current *flight, started bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if current, ok := f.byQuery[query]; ok {
		current.users++
		return current, false
	}
	// Who started it may leave before the others.
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	if deadline, ok := ctx.Deadline(); ok {
		own, cancel = context.WithDeadline(context.WithoutCancel(ctx), deadline)
	}
	current = &flight{cancel: cancel, users: 1, done: make(chan struct{})}
	if f.byQuery == nil {
		f.byQuery = map[string]*flight{}
	}
	f.byQuery[query] = current
	go f.run(own, query, current, ask)
	return current, true
}

func (f *flights) run(ctx context.Context, query string, current *flight, ask func(context.Context) (answer, error)) {
	defer current.cancel()
	defer func() {
		if p := recover(); p != nil {
			current.err = fmt.Errorf("the query panicked: %v\n%s", p, debug.Stack())
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.drop(query, current)
		close(current.done)
	}()
	current.found, current.err = ask(ctx)
}

// leave stops waiting; a query that nobody waits for is given up.
func (f *flights) leave(query string, current *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if current.users--; current.users == 0 {
		f.drop(query, current)
		current.cancel()
	}
}

func (f *flights) drop(query string, current *flight) {
	if f.byQuery[query] == current {
		delete(f.byQuery, query)
	}
}

// forget makes later queries start anew. Those under way still answer who waits for them.
func (f *flights) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.byQuery = nil
}
