package redisstreams

import (
	"context"
	"sync"

	"autoscale.io/scalers"
)

// server is what the triggers of one server, user and trust share.
type server struct {
	batch *batch
	bell  *bell
}

func newServer(o ClientOptions) *server {
	client := NewClient(o)
	return &server{batch: &batch{client: client}, bell: newBell(client)}
}

// Close ends the connections.
func (s *server) Close() error { return s.bell.Close() }

// waking is a scaler that hears of new entries. The streams of a Cluster are on many servers, and one XREAD cannot wait for them; those are polled.
type waking struct {
	*scaler

	mu sync.Mutex
	// watch is the present wait, nil without one.
	watch *watch
	// counted is how far the latest count has seen.
	counted   position
	isCounted bool
}

var _ scalers.Waker = (*waking)(nil)

// Read implements scalers.Scaler. What comes after it rings.
func (w *waking) Read(ctx context.Context) (scalers.Reading, error) {
	reading, err := w.scaler.Read(ctx)
	if err != nil {
		return reading, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counted, w.isCounted = w.counter.seen(), true
	if w.watch != nil {
		w.lease.Value.bell.arm(w.watch, w.counted)
	}
	return reading, nil
}

// Wake implements scalers.Waker. It does not call wake at once: the latest read says from which entry on to listen.
func (w *waking) Wake(ctx context.Context, wake func()) error {
	w.mu.Lock()
	watch := &watch{stream: w.counter.query.Stream, ring: wake, broken: make(chan error, 1), armed: w.isCounted, after: w.counted}
	w.watch = watch
	w.mu.Unlock()
	return w.lease.Value.bell.wait(ctx, watch)
}
