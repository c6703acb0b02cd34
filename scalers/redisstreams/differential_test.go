package redisstreams

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"autoscale.io/scalers/scalertest/servers"
)

// The counter must always say what counting every entry one by one says, whatever was done to the stream before, and whatever is done to it between
// the commands of one reading (a torn reading).
func TestCounterAgreesWithCountingEveryEntry(t *testing.T) {
	server := servers.MustRedis(t, servers.RedisOptions{})
	const streams, steps = 12, 600
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var total usage
	for n := range streams {
		w := newWorld(t, server, fmt.Sprint("s", n), seed+uint64(n))
		for step := range steps {
			w.step()
			if !w.check && w.rand.IntN(3) == 0 {
				w.tornReading()
			}
			if !w.check && w.rand.IntN(2) == 0 {
				continue
			}
			w.check = false
			count, err := w.counter.Count(w.ctx)
			if err != nil {
				t.Fatalf("seed %d stream %d step %d: %v\n%s", seed, n, step, err, w.history())
			}
			if want := w.exact(); count.Value != want {
				t.Fatalf("seed %d stream %d step %d: counted %d, truly %d\n%s", seed, n, step, count.Value, want, w.history())
			}
		}
		total.add(w.usage)
	}
	t.Logf("readings %d: %d with XINFO GROUPS alone, %d counted one by one", total.readings, total.alone, total.ranges)
	if total.ranges > total.readings/3 {
		t.Errorf("%d of %d readings counted entries one by one; the rules prove too little", total.ranges, total.readings)
	}
}

type usage struct{ readings, alone, ranges int }

func (u *usage) add(o usage) {
	u.readings += o.readings
	u.alone += o.alone
	u.ranges += o.ranges
}

// world is one stream, one group and what happens to them.
type world struct {
	t       *testing.T
	ctx     context.Context
	admin   *redis.Client
	stream  string
	rand    *rand.Rand
	counter *Counter
	// torn makes something happen between the commands of a reading.
	torn bool
	// check asks for a reading right after a step.
	check bool
	usage usage
	log   []string
}

func newWorld(t *testing.T, server *servers.Redis, stream string, seed uint64) *world {
	w := &world{t: t, ctx: t.Context(), admin: server.Client(), stream: stream, rand: rand.New(rand.NewPCG(seed, 1))}
	client := connect(t, ClientOptions{Mode: Standalone, Addresses: []string{server.Addr()}})
	client.AddHook(w)
	w.counter = NewCounter(client, Query{Stream: stream, Group: "g", Measure: Backlog, Limit: 1_000_000})
	return w
}

// DialHook implements redis.Hook.
func (w *world) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (w *world) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "xrange" {
			w.usage.ranges++
			w.tear()
		}
		return next(ctx, cmd)
	}
}

// ProcessPipelineHook implements redis.Hook.
func (w *world) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		w.usage.readings++
		if len(cmds) == 1 {
			w.usage.alone++
		}
		if !w.torn || len(cmds) == 1 {
			return next(ctx, cmds)
		}
		err := next(ctx, cmds[:1])
		w.tear()
		return errors.Join(err, next(ctx, cmds[1:]))
	}
}

func (w *world) tear() {
	if !w.torn {
		return
	}
	w.log = append(w.log, "-- torn here")
	for range 1 + w.rand.IntN(3) {
		w.step()
	}
}

// tornReading reads while things happen. What it says is true of no single moment, but it must not spoil the readings to come.
func (w *world) tornReading() {
	w.torn = true
	_, err := w.counter.Count(w.ctx)
	w.torn = false
	if err != nil {
		w.t.Fatalf("torn reading: %v\n%s", err, w.history())
	}
}

// do runs a command; one that is refused, such as a second XGROUP CREATE, does nothing.
func (w *world) do(args ...any) any {
	reply, err := w.admin.Do(w.ctx, args...).Result()
	w.log = append(w.log, strings.TrimSuffix(fmt.Sprintln(args...), "\n"))
	if err != nil && !errors.Is(err, redis.Nil) && !isReply(err) {
		w.t.Fatalf("%v: %v", args, err)
	}
	return reply
}

func (w *world) step() {
	switch pick := w.rand.IntN(100); {
	case pick < 35:
		for range 1 + w.rand.IntN(8) {
			w.do("XADD", w.stream, "*", "k", "v")
		}
	case pick < 62:
		w.read()
	case pick < 70:
		w.acknowledge()
	case pick < 80:
		w.delete()
	case pick < 88:
		w.do("XTRIM", w.stream, "MAXLEN", w.rand.IntN(12))
	default:
		w.administer()
	}
}

// administer does what only people do to groups. While the server's lag is off by a known amount, that is not hidden from the counter: see maxTrust.
func (w *world) administer() {
	if w.torn {
		return
	}
	w.check = w.counter.ledger.known && w.counter.ledger.offset != 0
	switch w.rand.IntN(6) {
	case 0:
		w.do("XGROUP", "SETID", w.stream, "g", w.position())
	case 1:
		w.do("XGROUP", "DESTROY", w.stream, "g")
	case 2:
		w.do("DEL", w.stream)
	default:
		w.do("XGROUP", "CREATE", w.stream, "g", w.position())
	}
}

func (w *world) read() {
	args := []any{"XREADGROUP", "GROUP", "g", "c", "COUNT", 1 + w.rand.IntN(10)}
	if w.rand.IntN(4) == 0 {
		args = append(args, "NOACK")
	}
	w.do(append(args, "STREAMS", w.stream, ">")...)
}

func (w *world) acknowledge() {
	pending, _ := w.do("XPENDING", w.stream, "g", "-", "+", 1+w.rand.IntN(5)).([]any)
	for _, entry := range pending {
		w.do("XACK", w.stream, "g", entry.([]any)[0])
	}
}

// delete takes out some entries from either end or the middle, read or not.
func (w *world) delete() {
	ids := w.ids()
	for range min(len(ids), 1+w.rand.IntN(3)) {
		w.do("XDEL", w.stream, ids[w.rand.IntN(len(ids))])
	}
}

func (w *world) ids() []string {
	messages, err := w.admin.XRange(w.ctx, w.stream, "-", "+").Result()
	if err != nil {
		w.t.Fatal(err)
	}
	ids := make([]string, 0, len(messages))
	for _, message := range messages {
		ids = append(ids, message.ID)
	}
	return ids
}

// position is where a group may start: nothing read, everything read, or in between.
func (w *world) position() string {
	if ids := w.ids(); len(ids) > 0 && w.rand.IntN(2) == 0 {
		return ids[w.rand.IntN(len(ids))]
	}
	return []string{"0", "$"}[w.rand.IntN(2)]
}

// exact counts unread and pending entries one by one.
func (w *world) exact() int64 {
	groups, err := w.admin.XInfoGroups(w.ctx, w.stream).Result()
	if err != nil {
		return 0
	}
	if len(groups) == 0 {
		return int64(len(w.ids()))
	}
	unread, err := w.admin.XRange(w.ctx, w.stream, "("+groups[0].LastDeliveredID, "+").Result()
	if err != nil {
		w.t.Fatal(err)
	}
	return int64(len(unread)) + groups[0].Pending
}

func (w *world) history() string {
	const keep = 80
	return strings.Join(w.log[max(0, len(w.log)-keep):], "\n")
}
