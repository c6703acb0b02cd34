package redisstreams

import (
	"context"
	"errors"
	"sync"

	"github.com/redis/go-redis/v9"

	"autoscale.io/scalers"
	"autoscale.io/scalers/pool"
)

// maxListeners bounds the hash slots of a Redis Cluster that are listened to, since each takes a connection. The streams of further slots are polled.
const maxListeners = 64

// server is what the triggers of one server, user and trust share.
type server struct {
	client redis.UniversalClient
	batch  *batch

	// listening is the client for what waits: client itself, or on a Cluster one with room for the connections of all bells.
	listening redis.UniversalClient
	// bells ring for the streams of one hash slot, as one XREAD cannot wait for more of a Cluster. Elsewhere all streams are in slot 0.
	bells   pool.Pool[int, *bell]
	slotOf  func(stream string) int
	running sync.WaitGroup
}

func newServer(o ClientOptions) *server {
	client := NewClient(o)
	s := &server{client: client, batch: &batch{client: client}, listening: client, slotOf: func(string) int { return 0 }}
	if o.Mode == Cluster {
		options := o.cluster()
		options.PoolSize, options.MaxActiveConns = maxListeners, maxListeners
		s.listening, s.slotOf, s.bells.Limit = redis.NewClusterClient(options), slotOf, maxListeners
	}
	return s
}

// bell leases the bell of a stream. It fails with pool.ErrFull.
func (s *server) bell(stream string) (*pool.Lease[*bell], error) {
	return s.bells.Get(s.slotOf(stream), func() (*bell, error) { return newBell(s.listening, &s.running), nil })
}

// Close ends the connections, which is what ends an XREAD, and returns when nobody listens any more.
func (s *server) Close() error {
	err := s.client.Close()
	if s.listening != s.client {
		err = errors.Join(err, s.listening.Close())
	}
	s.running.Wait()
	return err
}

// waking is a scaler that hears of new entries.
type waking struct {
	*scaler
	bell *pool.Lease[*bell]

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
	if err == nil {
		w.arm()
	}
	return reading, err
}

// Start implements scalers.Starter. What comes after it rings.
func (w *waking) Start(ctx context.Context, answered func(func() (scalers.Reading, bool, error))) {
	w.scaler.Start(ctx, func(conclude func() (scalers.Reading, bool, error)) {
		answered(func() (scalers.Reading, bool, error) {
			reading, whole, err := conclude()
			if err == nil && whole {
				w.arm()
			}
			return reading, whole, err
		})
	})
}

// arm listens to what comes after the latest count.
func (w *waking) arm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counted, w.isCounted = w.counter.seen(), true
	if w.watch != nil {
		w.bell.Value.arm(w.watch, w.counted)
	}
}

// Watch implements scalers.Waker. It does not call wake at once: the latest read says from which entry on to listen.
func (w *waking) Watch(wake func(), broken func(error)) (stop func()) {
	w.mu.Lock()
	watch := &watch{stream: w.counter.query.Stream, ring: wake, broken: broken, armed: w.isCounted, after: w.counted}
	w.watch = watch
	w.mu.Unlock()
	w.bell.Value.add(watch)
	return func() { w.bell.Value.remove(watch) }
}

// Close lets go of the shared connections.
func (w *waking) Close() error { return errors.Join(w.bell.Close(), w.scaler.Close()) }
