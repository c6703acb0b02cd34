package redisstreams

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"autoscale.io/scalers/scalertest"
	"autoscale.io/scalers/scalertest/servers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(settling{m}) }

// settling lets a client's pool end that found its server away: it looks only once a second whether it has been closed.
type settling struct{ *testing.M }

// Run implements goleak.TestingM.
func (s settling) Run() int {
	code := s.M.Run()
	for end := time.Now().Add(10 * time.Second); goleak.Find() != nil && time.Now().Before(end); { // Find waits a while itself
		continue
	}
	return code
}

// connect makes a client as the scaler does.
func connect(t *testing.T, o ClientOptions) redis.UniversalClient {
	t.Helper()
	o.Dial = scalertest.Dial
	client := NewClient(o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// query counts stream s for group g.
func query(measure Measure) Query {
	return Query{Stream: "s", Group: "g", Measure: measure, PendingTimeout: time.Hour, Limit: 1_000_000}
}

// within is a context with a deadline that a slow machine can keep.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// do runs one command as the administrator.
func do(t *testing.T, client redis.UniversalClient, args ...any) any {
	t.Helper()
	reply, err := client.Do(within(t), args...).Result()
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return reply
}

// add appends n entries to the stream.
func add(t *testing.T, client redis.UniversalClient, stream string, n int) {
	t.Helper()
	pipe := client.Pipeline()
	for range n {
		pipe.Do(within(t), "XADD", stream, "*", "k", "v")
	}
	if _, err := pipe.Exec(within(t)); err != nil {
		t.Fatal(err)
	}
}

// mustCount counts once and wants an answer.
func mustCount(t *testing.T, c *Counter) Count {
	t.Helper()
	count, err := c.Count(within(t))
	if err != nil {
		t.Fatal(err)
	}
	return count
}

func standalone(t *testing.T, opts servers.RedisOptions) (*servers.Redis, ClientOptions) {
	t.Helper()
	server := servers.MustRedis(t, opts)
	return server, ClientOptions{Mode: Standalone, Addresses: []string{server.Addr()}}
}
