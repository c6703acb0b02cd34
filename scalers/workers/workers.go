// Package workers runs functions on goroutines that are used again.
//
// A new goroutine begins with a small stack, which one that reads a source and decides outgrows several times; at hundreds of reads a second that growing takes
// more time than the reads. It owns the goroutines and knows nothing of what runs on them. It bounds nothing: a function that blocks has its goroutine for itself.
package workers

import (
	"context"
	"time"
)

// linger is how long a goroutine waits for its next function: longer than a usual polling interval.
const linger = 10 * time.Second

// Group starts functions. It is safe for concurrent use.
type Group struct {
	next  chan func()
	ended context.Context
	end   context.CancelFunc
}

// New returns a Group without any goroutine.
func New() *Group {
	g := &Group{next: make(chan func())}
	g.ended, g.end = context.WithCancel(context.Background())
	return g
}

// Go runs f at once, on an idle goroutine if there is one, also after Close. A panic of f ends the process, as one in any goroutine does.
func (g *Group) Go(f func()) {
	select {
	case g.next <- f:
	default:
		go g.work(f)
	}
}

// Close ends the idle goroutines at once, and the others when their functions return. It waits for none.
func (g *Group) Close() { g.end() }

func (g *Group) work(f func()) {
	rest := time.NewTimer(linger)
	defer rest.Stop()
	for {
		f()
		rest.Reset(linger)
		select {
		case f = <-g.next:
		case <-rest.C:
			return
		case <-g.ended.Done():
			return
		}
	}
}
