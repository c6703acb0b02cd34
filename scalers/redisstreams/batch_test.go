package redisstreams

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"autoscale.io/scalers/scalertest/servers"
)

// TestCountsOfOneMomentShareAPipeline: a hundred reads make a few round trips, and each gets its own answer.
func TestCountsOfOneMomentShareAPipeline(t *testing.T) {
	const n = 100
	server, options := standalone(t, servers.RedisOptions{})
	client := connect(t, options)
	sent := &commands{}
	client.AddHook(sent)
	shared := &batch{client: client}
	counters := make([]*Counter, n)
	for i := range counters {
		stream := fmt.Sprint("s", i)
		add(t, server.Client(), stream, i)
		counters[i] = newCounter(shared, Query{Stream: stream, Group: "g", Measure: Backlog, Limit: 1000})
	}
	do(t, client, "PING") // the connection is open
	sent.sent = ""
	start := make(chan struct{})
	var all sync.WaitGroup
	for i, counter := range counters {
		all.Go(func() {
			<-start
			if got, err := counter.Count(within(t)); err != nil || got.Value != int64(i) {
				t.Errorf("stream %d: got %+v, %v", i, got, err)
			}
		})
	}
	close(start)
	all.Wait()
	if trips := strings.Count(sent.sent, "["); trips > n/4 {
		t.Errorf("%d round trips for %d counts: %s", trips, n, sent.sent)
	}
}

// TestOneRefusalInAPipelineIsNobodyElses: errors belong to commands.
func TestOneRefusalInAPipelineIsNobodyElses(t *testing.T) {
	server, options := standalone(t, servers.RedisOptions{})
	add(t, server.Client(), "s", 3)
	do(t, server.Client(), "SET", "text", "x")
	shared := &batch{client: connect(t, options)}
	good, bad := newCounter(shared, query(Backlog)), newCounter(shared, Query{Stream: "text", Group: "g", Measure: Backlog})
	var both sync.WaitGroup
	both.Go(func() {
		if got, err := good.Count(within(t)); err != nil || got.Value != 3 {
			t.Errorf("got %+v, %v, want 3", got, err)
		}
	})
	both.Go(func() {
		const want = `key "text" is no stream: WRONGTYPE Operation against a key holding the wrong kind of value`
		if _, err := bad.Count(within(t)); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	})
	both.Wait()
}

// TestNobodyWaitsLongerThanItsOwnDeadline: one is patient, and the server silent.
func TestNobodyWaitsLongerThanItsOwnDeadline(t *testing.T) {
	server, options := standalone(t, servers.RedisOptions{})
	proxy := servers.MustProxy(t, server.Addr())
	options.Addresses = []string{proxy.Addr()}
	shared := &batch{client: connect(t, options)}
	if err := proxy.Set(servers.Silent); err != nil {
		t.Fatal(err)
	}
	patient, hasty := context.Background(), context.Background()
	patient, cancelPatient := context.WithTimeout(patient, 3*time.Second)
	hasty, cancelHasty := context.WithTimeout(hasty, 50*time.Millisecond)
	defer cancelHasty()
	var one sync.WaitGroup
	one.Go(func() {
		if err := shared.do(patient, redis.NewCmd(patient, "PING")); err == nil {
			t.Error("the silent server has answered")
		}
	})
	began := time.Now()
	err := shared.do(hasty, redis.NewCmd(hasty, "PING"))
	// The margin is for a busy machine. The patient one waits for longer.
	if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took > 2*time.Second {
		t.Errorf("%v after %s, want the end of its own 50ms", err, took)
	}
	cancelPatient()
	one.Wait()
}
