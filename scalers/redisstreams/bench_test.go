package redisstreams

import (
	"testing"

	"autoscale.io/scalers/scalertest"
	"autoscale.io/scalers/scalertest/servers"
)

// BenchmarkCount is the cost of one poll in the two states that workloads are in nearly always.
func BenchmarkCount(b *testing.B) {
	server := servers.MustRedis(b, servers.RedisOptions{})
	admin := server.Client()
	client := NewClient(ClientOptions{Mode: Standalone, Addresses: []string{server.Addr()}, Dial: scalertest.Dial})
	b.Cleanup(func() { _ = client.Close() })
	for _, command := range [][]any{
		{"XGROUP", "CREATE", "idle", "g", "0", "MKSTREAM"}, {"XADD", "idle", "*", "k", "v"}, {"XREADGROUP", "GROUP", "g", "c", "NOACK", "STREAMS", "idle", ">"},
		{"XGROUP", "CREATE", "backlog", "g", "0", "MKSTREAM"}, {"XADD", "backlog", "*", "k", "v"}, {"XADD", "backlog", "*", "k", "v"},
	} {
		if err := admin.Do(b.Context(), command...).Err(); err != nil {
			b.Fatal(err)
		}
	}
	for _, stream := range []string{"idle", "backlog"} {
		b.Run(stream, func(b *testing.B) {
			counter := NewCounter(client, Query{Stream: stream, Group: "g", Measure: Backlog})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := counter.Count(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
