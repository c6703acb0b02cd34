package poll

import (
	"context"
	"sync"
	"time"
)

// deadlines are contexts for reads. Those that begin together and may take as long have one context, as a timer for each read costs as much as what is read. It
// ends by its deadline or with its parent, and not with a read.
type deadlines struct {
	mu     sync.Mutex
	latest map[time.Duration]deadline
}

type deadline struct {
	ctx    context.Context
	cancel context.CancelFunc
	began  time.Time
}

// together is within what time reads begin together. That much earlier than asked for a deadline may be.
const together = 10 * time.Millisecond

// within is a context that ends after a time.
func (d *deadlines) within(parent context.Context, limit time.Duration) context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if latest, ok := d.latest[limit]; ok && now.Sub(latest.began) < together {
		return latest.ctx
	}
	if d.latest == nil {
		d.latest = map[time.Duration]deadline{}
	}
	for other, latest := range d.latest {
		if latest.ctx.Err() != nil {
			latest.cancel()
			delete(d.latest, other)
		}
	}
	ctx, cancel := context.WithTimeout(parent, limit)
	d.latest[limit] = deadline{ctx, cancel, now}
	return ctx
}
