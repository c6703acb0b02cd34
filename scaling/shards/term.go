package shards

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// ErrEnded says that this replica may not write for a bucket any more. Nothing was written.
var ErrEnded = errors.New("this replica does not hold the bucket any more")

// Term is the time in which this process is the one that may write for a bucket. It ends when it is handed back, and by itself, on the monotonic clock, when the
// Lease was not renewed within the renew deadline: other replicas wait longer than that before they take a bucket.
type Term struct {
	bucket   string
	deadline time.Duration
	// lapsed is called when the term ends by itself.
	lapsed func()

	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	renewed time.Time
	closed  bool
	timer   *time.Timer
	// writes are those under way. None begins once closed is set.
	writes sync.WaitGroup
}

type termKey struct{}

// newTerm returns a Term in which nothing may be written before the first renewal.
func newTerm(ctx context.Context, bucket string, deadline time.Duration, lapsed func()) *Term {
	t := &Term{bucket: bucket, deadline: deadline, lapsed: lapsed}
	ctx = context.WithValue(context.WithoutCancel(ctx), termKey{}, t)
	t.ctx, t.cancel = context.WithCancel(ctx)
	return t
}

// renew takes in a renewal that was asked for at a time.
func (t *Term) renew(asked time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.renewed = asked
	left := time.Until(asked.Add(t.deadline))
	if t.timer == nil {
		t.timer = time.AfterFunc(left, t.lapse)
		return
	}
	t.timer.Reset(left)
}

// lapse ends the term when its time is over. Writes under way are given up.
func (t *Term) lapse() {
	t.mu.Lock()
	over := !t.closed && t.over()
	if over {
		t.closed = true
	}
	t.mu.Unlock()
	if over {
		t.cancel()
		t.lapsed()
	}
}

func (t *Term) over() bool { return time.Since(t.renewed) >= t.deadline }

// begun says whether there was a first renewal.
func (t *Term) begun() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.renewed.IsZero()
}

// end lets no write begin any more, and those under way end for a while before it gives them up.
func (t *Term) end(patience time.Duration) {
	t.mu.Lock()
	t.closed = true
	if t.timer != nil {
		t.timer.Stop()
	}
	t.mu.Unlock()
	defer t.cancel()
	done := make(chan struct{})
	go func() {
		t.writes.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-t.ctx.Done():
	case <-time.After(patience):
	}
}

// enter begins a write.
func (t *Term) enter() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.renewed.IsZero() || t.over() {
		return fmt.Errorf("bucket %s: %w", t.bucket, ErrEnded)
	}
	t.writes.Add(1)
	return nil
}

// Held says whether work with this context may still write: it is that of a Term, or derived from one, and the Term has not ended.
func Held(ctx context.Context) bool {
	t, ok := ctx.Value(termKey{}).(*Term)
	if !ok || ctx.Err() != nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.closed && !t.renewed.IsZero() && !t.over()
}

// Fence makes every request that writes, and whose context is that of a Term, ask the Term right before it is sent, and hold up the handing back of the bucket until
// it is answered. A request that comes too late fails with ErrEnded. Requests with other contexts pass.
func Fence(next http.RoundTripper) http.RoundTripper { return fence{next} }

type fence struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (f fence) RoundTrip(r *http.Request) (*http.Response, error) {
	t, ok := r.Context().Value(termKey{}).(*Term)
	if !ok || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return f.next.RoundTrip(r)
	}
	if err := t.enter(); err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // the contract of RoundTripper; there is nothing to lose
		}
		return nil, err
	}
	defer t.writes.Done()
	return f.next.RoundTrip(r)
}

// WrappedRoundTripper lets client-go find the transport below.
func (f fence) WrappedRoundTripper() http.RoundTripper { return f.next }
