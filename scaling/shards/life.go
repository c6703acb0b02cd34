package shards

import (
	"sync"
	"time"
)

// life is what this replica's own Lease says: it lives. Every term in a bucket rests on it.
type life struct {
	deadline time.Duration
	// begun is closed at the first renewal.
	begun chan struct{}

	mu      sync.Mutex
	renewed time.Time
	terms   map[*Term]struct{}
}

func newLife(deadline time.Duration) *life {
	return &life{deadline: deadline, begun: make(chan struct{}), terms: map[*Term]struct{}{}}
}

// renew takes in a renewal of the own Lease that was asked for at a time.
func (l *life) renew(asked time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.renewed.IsZero() {
		close(l.begun)
	}
	l.renewed = asked
	for t := range l.terms {
		t.renew(asked)
	}
}

// lasts is when the latest renewal was asked for, and whether that is less than the renew deadline ago.
func (l *life) lasts() (asked time.Time, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.renewed, !l.renewed.IsZero() && time.Since(l.renewed) < l.deadline
}

// carry begins a term in a bucket that was taken on the strength of a renewal, and renews it with every later one.
func (l *life) carry(t *Term, asked time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.terms[t] = struct{}{}
	if l.renewed.After(asked) {
		asked = l.renewed
	}
	t.renew(asked)
}

// drop forgets a term that has ended.
func (l *life) drop(t *Term) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.terms, t)
}
