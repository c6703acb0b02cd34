package redisstreams

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// listenFor is how long one XREAD waits. Streams that are armed meanwhile are waited for from the next one on.
	listenFor = 500 * time.Millisecond
	// listenLong is how long it waits when every stream is armed, so that only a new one would have to wait for the next: a thousand names are sent each time.
	listenLong = 2 * time.Second
	// answerWithin is how much longer than that its answer may take.
	answerWithin = 3 * time.Second
	// breath is the pause after an XREAD that found something: many streams that come alive one by one would else each cost the server a list of all of them.
	breath = 10 * time.Millisecond
)

// bell tells when entries arrive in any of many streams of a server: by one XREAD that blocks on one connection, for all of them.
//
// A stream is waited for from the ID on that a count has last seen, so nothing can come between the count and the wait. Once it has rung, the stream is left
// out until the next count: an XREAD from the same ID on would return at once, and who is awake needs no second ring.
type bell struct {
	client redis.UniversalClient
	// running counts the goroutines that listen on the client, for who closes it.
	running *sync.WaitGroup

	mu      sync.Mutex
	watches map[*watch]struct{}
	closed  bool
	// waited is what the latest XREAD waited for; nil once that has changed.
	waited *wait
	// stop ends the goroutine that listens; nil while there is none.
	stop context.CancelFunc
	// armed is told that there may be a stream to wait for.
	armed chan struct{}
}

// watch is somebody's wait for one stream. Neither of its functions is called with the bell's lock held.
type watch struct {
	stream string
	ring   func()
	// broken is told why the wait has ended without a call of remove.
	broken func(error)
	// armed says that an entry after that position rings.
	armed bool
	after position
}

// wait is one XREAD. It is sent again and again while nothing changes, and to put a thousand streams into words costs more than to send them.
type wait struct {
	streams map[string]position
	command []any
	long    time.Duration
}

// position is where in a stream to wait: after an ID, or where the stream ends when the wait begins.
type position struct {
	id    streamID
	atEnd bool
}

// before orders positions: what waits at the end waits for less.
func (p position) before(o position) bool {
	if p.atEnd || o.atEnd {
		return o.atEnd && !p.atEnd
	}
	return p.id.compare(o.id) < 0
}

func (p position) String() string {
	if p.atEnd {
		return "$"
	}
	return p.id.String()
}

func newBell(client redis.UniversalClient, running *sync.WaitGroup) *bell {
	return &bell{client: client, running: running, watches: map[*watch]struct{}{}, armed: make(chan struct{}, 1)}
}

// Close ends the listening, at the latest when the present XREAD comes back; closing the client makes it come back at once. It never fails.
func (b *bell) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.stop != nil {
		b.stop()
	}
	return nil
}

// add begins a wait. It lasts until remove, or until it breaks.
func (b *bell) add(w *watch) {
	b.mu.Lock()
	b.watches[w], b.waited = struct{}{}, nil
	if b.stop == nil && !b.closed {
		b.start()
	}
	b.mu.Unlock()
	b.look()
}

func (b *bell) remove(w *watch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(w)
}

// forget ends a wait, and the listening with the last one. The caller holds the lock.
func (b *bell) forget(w *watch) {
	delete(b.watches, w)
	b.waited = nil
	if len(b.watches) == 0 && b.stop != nil {
		b.stop()
	}
}

// start starts to listen, under the lock.
func (b *bell) start() {
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.running.Go(func() { b.run(ctx) })
}

// arm makes entries after a position ring.
func (b *bell) arm(w *watch, after position) {
	b.mu.Lock()
	same := w.armed && w.after == after
	w.armed, w.after = true, after
	if !same {
		b.waited = nil
	}
	b.mu.Unlock()
	if !same {
		b.look()
	}
}

func (b *bell) look() {
	select {
	case b.armed <- struct{}{}:
	default:
	}
}

// run listens until it breaks or nobody waits; then whoever does is told and may come again.
func (b *bell) run(ctx context.Context) {
	var err error
	for err == nil && ctx.Err() == nil {
		err = b.listen(ctx)
	}
	for _, w := range b.leave(ctx.Err() != nil) {
		w.broken(err)
	}
}

// leave ends the goroutine that listens, and returns the waits that break with it: none if it was told to end.
func (b *bell) leave(told bool) []*watch {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stop()
	b.stop = nil
	if told {
		if !b.closed && len(b.watches) > 0 { // somebody came while the last one left
			b.start()
		}
		return nil
	}
	broken := slices.Collect(maps.Keys(b.watches))
	clear(b.watches)
	b.waited = nil
	return broken
}

// listen asks once, for all streams that are waited for.
func (b *bell) listen(ctx context.Context) error {
	wanted := b.wanted()
	if len(wanted.streams) == 0 {
		select {
		case <-b.armed:
		case <-ctx.Done():
		}
		return nil
	}
	found, err := b.read(ctx, wanted)
	switch {
	case errors.Is(err, redis.Nil):
		return nil
	case isReply(err) && ctx.Err() == nil:
		return b.without(ctx, wanted.streams, err)
	case err != nil:
		return fmt.Errorf("XREAD: %w", err)
	}
	b.ring(found)
	select {
	case <-time.After(breath):
	case <-ctx.Done():
	}
	return nil
}

// wanted is the XREAD for the streams that are waited for, each from the earliest position on that anybody waits at.
func (b *bell) wanted() *wait {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waited == nil {
		streams := make(map[string]position, len(b.watches))
		long := listenLong
		for w := range b.watches {
			if !w.armed {
				long = listenFor
			}
			if after, other := streams[w.stream]; w.armed && (!other || w.after.before(after)) {
				streams[w.stream] = w.after
			}
		}
		b.waited = &wait{streams: streams, command: xread(streams, "BLOCK", long.Milliseconds()), long: long}
	}
	return b.waited
}

// xread is an XREAD of one entry a stream.
func xread(streams map[string]position, options ...any) []any {
	command := make([]any, 0, 4+len(options)+2*len(streams))
	command = append(append(append(command, "XREAD", "COUNT", 1), options...), "STREAMS")
	ids := make([]any, 0, len(streams))
	for stream, after := range streams {
		command, ids = append(command, stream), append(ids, after.String())
	}
	return append(command, ids...)
}

// read returns the streams in which something has arrived. What arrived is not looked at.
func (b *bell) read(ctx context.Context, w *wait) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, w.long+answerWithin)
	defer cancel()
	cmd := redis.NewXStreamSliceCmd(ctx, w.command...)
	// The error is the command's.
	_ = b.client.Process(ctx, cmd)
	reply, err := cmd.Result()
	found := make([]string, 0, len(reply))
	for _, stream := range reply {
		found = append(found, stream.Stream)
	}
	return found, err
}

func (b *bell) ring(found []string) {
	arrived := make(map[string]bool, len(found))
	for _, stream := range found {
		arrived[stream] = true
	}
	b.mu.Lock()
	var woken []*watch
	for w := range b.watches {
		if w.armed && arrived[w.stream] {
			w.armed, b.waited = false, nil
			woken = append(woken, w)
		}
	}
	b.mu.Unlock()
	for _, w := range woken {
		w.ring()
	}
}

// without finds the streams that the server refuses to read, such as one that the user may not see, and goes on without them: one trigger must not silence the
// others. refused is what it said to all of them together.
func (b *bell) without(ctx context.Context, streams map[string]position, refused error) error {
	failed := map[string]error{}
	for stream, after := range streams {
		_, err := b.read(ctx, &wait{command: xread(map[string]position{stream: after})})
		switch {
		case isReply(err) && !errors.Is(err, redis.Nil):
			failed[stream] = fmt.Errorf("XREAD on stream %q: %w", stream, err)
		case err != nil && !errors.Is(err, redis.Nil):
			return fmt.Errorf("XREAD: %w", err)
		}
	}
	if len(failed) == 0 {
		return fmt.Errorf("XREAD: %w", refused) // for another reason than a stream, so it may pass
	}
	for w, err := range b.refuse(failed) {
		w.broken(err)
	}
	return nil
}

// refuse ends the waits for the streams that failed.
func (b *bell) refuse(failed map[string]error) map[*watch]error {
	b.mu.Lock()
	defer b.mu.Unlock()
	refused := map[*watch]error{}
	for w := range b.watches {
		if err := failed[w.stream]; err != nil {
			refused[w] = err
			b.forget(w)
		}
	}
	return refused
}
