// Package pool shares opened things, such as connections, between all who ask for the same key.
//
// It owns the count of users and closes a thing when its last user lets go. It knows nothing of what it holds, opens nothing before it is asked, and starts no goroutine.
package pool

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// ErrFull is the error of a Get that would open one thing more than the Limit.
var ErrFull = errors.New("as many are open as may be")

// Pool holds one V for each key in use. The zero Pool is ready. It is safe for concurrent use.
type Pool[K comparable, V io.Closer] struct {
	// Limit is how many things may be open at a time; 0 for any number. It is set before the first Get.
	Limit int

	mu      sync.Mutex
	entries map[K]*entry[V]
}

type entry[V io.Closer] struct {
	value V
	users int
}

// Lease is one user's hold on a shared thing.
type Lease[V io.Closer] struct {
	// Value is shared: nobody but the pool closes it.
	Value   V
	release func() error
}

// Close lets go; the last user's Close closes the thing and returns its error. A second Close of the same lease does nothing.
func (l *Lease[V]) Close() error {
	release := l.release
	l.release = nil
	if release == nil {
		return nil
	}
	return release()
}

// Get returns the thing for the key, opening it when nobody holds it, or fails with ErrFull. open must not block: it is called under the pool's lock, as constructors do no
// I/O here. The key must hold everything that changes identity or trust; see [Key].
func (p *Pool[K, V]) Get(key K, open func() (V, error)) (*Lease[V], error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, ok := p.entries[key]
	if !ok {
		if p.Limit > 0 && len(p.entries) >= p.Limit {
			return nil, ErrFull
		}
		value, err := open()
		if err != nil {
			return nil, fmt.Errorf("open a shared connection: %w", err)
		}
		if p.entries == nil {
			p.entries = map[K]*entry[V]{}
		}
		e = &entry[V]{value: value}
		p.entries[key] = e
	}
	e.users++
	return &Lease[V]{Value: e.value, release: func() error { return p.release(key, e) }}, nil
}

func (p *Pool[K, V]) release(key K, e *entry[V]) error {
	p.mu.Lock()
	e.users--
	last := e.users == 0
	if last {
		delete(p.entries, key)
	}
	p.mu.Unlock()
	if last {
		return e.value.Close()
	}
	return nil
}

// Len is the number of things held.
func (p *Pool[K, V]) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.entries)
}
