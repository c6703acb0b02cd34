package redisstreams

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// gather is how long commands wait for company. Workloads are read on common ticks, so most of those of a server come within it.
const gather = 200 * time.Microsecond

// late is how long after the last deadline a pipeline is given up.
const late = 20 * time.Millisecond

// batch sends the commands that many triggers of a server have at the same moment in one pipeline: most of what a read costs is the way to the socket and back.
// The client library can do that by itself, but its form is experimental, and it gives up on a batch by other deadlines than those of who waits.
type batch struct {
	client redis.UniversalClient

	mu sync.Mutex
	// next is the round that still takes commands; nil while nobody has any.
	next *round
	// sending says that a goroutine takes care of next.
	sending bool
}

// round is one pipeline.
type round struct {
	commands []redis.Cmder
	// until is the latest deadline of those who wait for it.
	until time.Time
	sent  chan struct{}
	err   error
	// told are called with err once sent is closed.
	told []func(error)
}

// unanswered is the error of who has left before the answers came: they may still come, so the commands must not be looked at any more.
type unanswered struct{ error }

// do sends commands and returns when they are answered, or when ctx ends, with an error of type unanswered. Each command keeps an error of its own; the one returned
// is that of the pipeline.
func (b *batch) do(ctx context.Context, commands ...redis.Cmder) error {
	r := b.join(ctx, nil, commands)
	select {
	case <-r.sent:
		return r.err
	case <-ctx.Done():
		return unanswered{ctx.Err()}
	}
}

// start sends commands and calls told when they are answered, or a little after the deadline of ctx, with the error of the pipeline.
func (b *batch) start(ctx context.Context, told func(error), commands ...redis.Cmder) {
	b.join(ctx, told, commands)
}

// Unwrap returns the reason.
func (u unanswered) Unwrap() error { return u.error }

func (b *batch) join(ctx context.Context, told func(error), commands []redis.Cmder) *round {
	until, ok := ctx.Deadline()
	if latest := time.Now().Add(ioTimeout); !ok || until.After(latest) {
		until = latest
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = &round{sent: make(chan struct{})}
	}
	r := b.next
	r.commands = append(r.commands, commands...)
	if told != nil {
		r.told = append(r.told, told)
	}
	if until.After(r.until) {
		r.until = until
	}
	if !b.sending {
		b.sending = true
		go b.send()
	}
	return r
}

// send works until nobody has a command left.
func (b *batch) send() {
	for {
		time.Sleep(gather)
		b.mu.Lock()
		r := b.next
		b.next, b.sending = nil, r != nil
		b.mu.Unlock()
		if r == nil {
			return
		}
		b.exec(r)
	}
}

func (b *batch) exec(r *round) {
	// Who waits has given up by then, in words that do not depend on who is first.
	ctx, cancel := context.WithDeadline(context.Background(), r.until.Add(late))
	defer cancel()
	pipe := b.client.Pipeline()
	for _, command := range r.commands {
		// Nothing is sent here, so nothing can fail.
		_ = pipe.Process(ctx, command)
	}
	_, r.err = pipe.Exec(ctx)
	close(r.sent)
	for _, told := range r.told {
		told(r.err)
	}
}
