package redisstreams

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"autoscale.io/scalers"
	"autoscale.io/scalers/scalertest"
	"autoscale.io/scalers/scalertest/servers"
)

// hearing is a source whose wakes are counted.
type hearing struct {
	source *scalers.Source
	wakes  chan time.Time
	broken chan error
	end    func()
}

// hear reads a source once, as the poller does, and then listens to it.
func hear(t *testing.T, b *scalertest.Bench, trigger string) *hearing {
	t.Helper()
	h := &hearing{source: b.Open(t, trigger, scalertest.Texts{"password": "secret"}), wakes: make(chan time.Time, 1000), broken: make(chan error, 1000)}
	if !h.source.Wakes() {
		t.Fatalf("%s does not wake", trigger)
	}
	h.read(t)
	h.end = h.source.Watch(func() { h.wakes <- time.Now() }, func(err error) { h.broken <- err })
	t.Cleanup(h.end)
	return h
}

func (h *hearing) read(t *testing.T) float64 {
	t.Helper()
	reading, err := h.source.Read(within(t))
	if err != nil {
		t.Fatal(err)
	}
	return reading.Value
}

func (h *hearing) awaitWake(t *testing.T) time.Time {
	t.Helper()
	select {
	case at := <-h.wakes:
		return at
	case err := <-h.broken:
		t.Fatalf("the wait broke: %v", err)
	case <-within(t).Done():
		t.Fatal("no wake")
	}
	return time.Time{}
}

func on(address, stream string) string {
	return fmt.Sprintf("{type: redis-streams, address: %q, stream: %q, consumerGroup: g, target: 1}", address, stream)
}

func TestEntriesWake(t *testing.T) {
	server := servers.MustRedis(t, servers.RedisOptions{})
	for name, trigger := range map[string]string{
		"a group":         on(server.Addr(), "grouped"),
		"no group":        on(server.Addr(), "ungrouped"),
		"no stream":       on(server.Addr(), "new"),
		"the whole":       fmt.Sprintf("{type: redis-streams, address: %q, stream: whole, target: 1}", server.Addr()),
		"deleted entries": on(server.Addr(), "deleted"),
	} {
		t.Run(name, func(t *testing.T) {
			client := server.Client()
			stream := map[string]string{"a group": "grouped", "no group": "ungrouped", "no stream": "new", "the whole": "whole", "deleted entries": "deleted"}[name]
			if stream != "new" {
				add(t, client, stream, 3)
			}
			if stream == "grouped" || stream == "deleted" {
				do(t, client, "XGROUP", "CREATE", stream, "g", "$")
			}
			if stream == "deleted" {
				do(t, client, "XTRIM", stream, "MAXLEN", 0)
			}
			h := hear(t, scalertest.NewBench(t, Definition), trigger)
			listens(t, client, 1)
			for round := range 3 {
				before := h.read(t)
				listens(t, client, 1)
				add(t, client, stream, 2)
				h.awaitWake(t)
				if got := h.read(t); got != before+2 {
					t.Errorf("round %d: read %v after the wake, want %v", round, got, before+2)
				}
			}
		})
	}
}

// listens waits until a number of connections wait in an XREAD.
func listens(t *testing.T, client redis.UniversalClient, want int) {
	t.Helper()
	scalertest.Await(t, func() string {
		list, err := client.ClientList(within(t)).Result()
		if got := strings.Count(list, " cmd=xread "); err != nil || got != want {
			return fmt.Sprintf("%d connections wait in an XREAD, want %d; %v", got, want, err)
		}
		return ""
	})
}

// TestWhatCameBetweenTheReadAndTheWaitWakes: the wait begins where the read has ended.
func TestWhatCameBetweenTheReadAndTheWaitWakes(t *testing.T) {
	server := servers.MustRedis(t, servers.RedisOptions{})
	add(t, server.Client(), "s", 1)
	b := scalertest.NewBench(t, Definition)
	source := b.Open(t, on(server.Addr(), "s"), nil)
	if _, err := source.Read(within(t)); err != nil {
		t.Fatal(err)
	}
	add(t, server.Client(), "s", 1)
	ctx, cancel := context.WithCancel(within(t))
	defer source.Watch(cancel, func(err error) { t.Error(err) })()
	<-ctx.Done()
	if err := ctx.Err(); !errors.Is(err, context.Canceled) {
		t.Errorf("the entry that came before the wait has not ended it: %v", err)
	}
}

// TestOneRingARead: a burst rings once, and who has not read since is not rung for again.
func TestOneRingARead(t *testing.T) {
	server := servers.MustRedis(t, servers.RedisOptions{})
	b := scalertest.NewBench(t, Definition)
	busy, other := hear(t, b, on(server.Addr(), "busy")), hear(t, b, on(server.Addr(), "other"))
	add(t, server.Client(), "busy", 500)
	busy.awaitWake(t)
	for range 5 {
		add(t, server.Client(), "busy", 100)
		add(t, server.Client(), "other", 1)
		other.awaitWake(t)
		other.read(t)
	}
	if n := len(busy.wakes); n > 0 {
		t.Errorf("%d more wakes without a read in between", n)
	}
	if got := busy.read(t); got != 1000 {
		t.Errorf("read %v, want 1000", got)
	}
	add(t, server.Client(), "busy", 1)
	busy.awaitWake(t)
}

func TestManyStreamsShareOneConnection(t *testing.T) {
	server := servers.MustRedis(t, servers.RedisOptions{})
	b := scalertest.NewBench(t, Definition)
	all := make([]*hearing, 300)
	for i := range all {
		all[i] = hear(t, b, on(server.Addr(), fmt.Sprint("s", i)))
	}
	listens(t, server.Client(), 1)
	if n := runtime.NumGoroutine(); n > len(all) {
		t.Errorf("%d goroutines listen to %d streams, want a few", n, len(all))
	}
	list, err := server.Client().ClientList(within(t)).Result()
	if n := strings.Count(list, "name=autoscale.io "); err != nil || n > maxConnections {
		t.Errorf("%d connections, want at most %d; %v", n, maxConnections, err)
	}
	for i := 0; i < len(all); i += 50 {
		add(t, server.Client(), fmt.Sprint("s", i), 1)
		all[i].awaitWake(t)
	}
	for i, h := range all {
		if len(h.wakes) > 0 {
			t.Errorf("stream %d woke without an entry of its own", i)
		}
	}
}

// TestARefusedStreamSilencesNoOther: the user may read one stream and not the other, and a third key holds no stream.
func TestARefusedStreamSilencesNoOther(t *testing.T) {
	const rights = "+hello +xinfo +xread +role +xlen +xpending +xrange +ping"
	server := servers.MustRedis(t, servers.RedisOptions{Users: []string{"scaler on >secret ~s ~third " + rights + " (%R~forbidden +xinfo +xrange)"}})
	client := server.Client()
	add(t, client, "s", 1)
	add(t, client, "forbidden", 1)
	b := scalertest.NewBench(t, Definition)
	as := func(stream string) string {
		return fmt.Sprintf("{type: redis-streams, address: %q, username: scaler, passwordFrom: {secret: s, key: password}, stream: %s, consumerGroup: g, target: 1}", server.Addr(), stream)
	}
	good := hear(t, b, as("s"))
	third := hear(t, b, as("third"))
	do(t, client, "SET", "third", "no stream any more")
	bad := hear(t, b, as("forbidden"))
	for name, h := range map[string]*hearing{"forbidden": bad, "third": third} {
		select {
		case err := <-h.broken:
			want := map[string]string{
				"forbidden": `XREAD on stream "forbidden": NOPERM this user has no permissions to access one of the keys used as arguments`,
				"third":     `XREAD on stream "third": WRONGTYPE Operation against a key holding the wrong kind of value`,
			}[name]
			if err.Error() != want {
				t.Errorf("%s: got %q, want %q", name, err, want)
			}
		case <-within(t).Done():
			t.Fatalf("nobody is told that %s cannot be waited for", name)
		}
	}
	add(t, client, "s", 1)
	good.awaitWake(t)
}

func TestABrokenWaitIsTold(t *testing.T) {
	server := servers.MustRedis(t, servers.RedisOptions{})
	h := hear(t, scalertest.NewBench(t, Definition), on(server.Addr(), "s"))
	listens(t, server.Client(), 1)
	server.Kill()
	select {
	case err := <-h.broken:
		if !strings.HasPrefix(err.Error(), "XREAD: ") {
			t.Errorf("got %q, want what XREAD failed with", err)
		}
	case <-within(t).Done():
		t.Fatal("nobody is told that the server is gone")
	}
	if err := server.Restart(within(t)); err != nil {
		t.Fatal(err)
	}
	h.read(t)
	listens(t, server.Client(), 1)       // again, after the pause
	for n := len(h.broken); n > 0; n-- { // of the time when the server was away
		t.Log(<-h.broken)
	}
	add(t, server.Client(), "s", 1)
	h.awaitWake(t)
}

// TestCloseDoesNotWaitForAnXREAD: an edit closes the source while the workload is locked.
func TestCloseDoesNotWaitForAnXREAD(t *testing.T) {
	server := servers.MustRedis(t, servers.RedisOptions{})
	b := scalertest.NewBench(t, Definition)
	least := time.Hour
	for range 5 { // a busy machine can be late, and hardly five times
		h := hear(t, b, on(server.Addr(), "s"))
		listens(t, server.Client(), 1)
		began := time.Now()
		h.end()
		scalertest.Close(t, h.source)
		least = min(least, time.Since(began))
		listens(t, server.Client(), 0)
	}
	if least > listenFor/2 {
		t.Errorf("closing took %s, want less than the %s of an XREAD", least, listenFor)
	}
}

func TestPendingIsOnlyPolled(t *testing.T) {
	source := scalertest.NewBench(t, Definition).Open(t, "{type: redis-streams, address: '127.0.0.1:1', stream: s, consumerGroup: g, target: 1, measure: pending}", nil)
	if source.Wakes() {
		t.Error("wakes")
	}
}

// TestAnXREADIsShortWhileAStreamWaitsToJoinIt: one that is not armed will be soon, and is waited for from the next XREAD on.
func TestAnXREADIsShortWhileAStreamWaitsToJoinIt(t *testing.T) {
	b := newBell(nil, nil)
	first, second := &watch{stream: "a"}, &watch{stream: "b"}
	b.watches[first], b.watches[second] = struct{}{}, struct{}{}
	for _, step := range []struct {
		name string
		do   func()
		want string
	}{
		{"one is armed", func() { b.arm(first, position{}) }, fmt.Sprint([]any{"XREAD", "COUNT", 1, "BLOCK", 500, "STREAMS", "a", "0-0"})},
		{"the other joins, and the first leaves", func() { b.arm(second, position{atEnd: true}); b.remove(first) }, fmt.Sprint([]any{"XREAD", "COUNT", 1, "BLOCK", 2000, "STREAMS", "b", "$"})},
	} {
		step.do()
		if got := fmt.Sprint(b.wanted().command); got != step.want {
			t.Errorf("%s: got %s, want %s", step.name, got, step.want)
		}
	}
}

// TestABrokenWaitIsForgotten: who was told comes with a new one.
func TestABrokenWaitIsForgotten(t *testing.T) {
	b := newBell(nil, nil)
	ended := 0
	for name, step := range map[string]struct {
		do                  func() int
		told, left, endings int
	}{
		"the server is gone":          {func() int { return len(b.leave(false)) }, 2, 0, 1},
		"one of two is refused":       {func() int { return len(b.refuse(map[string]error{"a": io.EOF})) }, 1, 1, 0},
		"both are refused":            {func() int { return len(b.refuse(map[string]error{"a": io.EOF, "b": io.EOF})) }, 2, 0, 1},
		"the goroutine's end is told": {func() int { b.closed = true; return len(b.leave(true)) }, 0, 2, 1},
	} {
		b.watches, b.closed, ended = map[*watch]struct{}{{stream: "a"}: {}, {stream: "b"}: {}}, false, 0
		b.stop = func() { ended++ }
		if told := step.do(); told != step.told || len(b.watches) != step.left || ended != step.endings {
			t.Errorf("%s: %d are told, %d wait on and the listening was ended %d times; want %d, %d and %d", name, told, len(b.watches), ended, step.told, step.left, step.endings)
		}
	}
}
