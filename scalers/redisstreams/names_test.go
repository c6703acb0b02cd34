package redisstreams

import (
	"fmt"
	"testing"

	"autoscale.io/scalers/scalertest"
	"autoscale.io/scalers/scalertest/servers"
)

// AU-11: the names of streams and groups reach the server as they are.
func TestOddNames(t *testing.T) {
	server := servers.MustRedis(t, servers.RedisOptions{})
	client := server.Client()
	b := scalertest.NewBench(t, Definition)
	for i, odd := range scalertest.OddNames() {
		for range i + 1 {
			do(t, client, "XADD", odd, "*", "k", "v")
		}
		do(t, client, "XGROUP", "CREATE", odd, odd, "0")
		do(t, client, "XREADGROUP", "GROUP", odd, "c", "COUNT", 1, "STREAMS", odd, ">")
	}
	for i, odd := range scalertest.OddNames() {
		trigger := fmt.Sprintf("{type: redis-streams, address: %q, stream: %q, consumerGroup: %q, target: 1}", server.Addr(), odd, odd)
		source := b.Open(t, trigger, nil)
		scalertest.WantValue(t, source, float64(i+1))
		if keys := do(t, client, "DBSIZE"); keys != int64(len(scalertest.OddNames())) {
			t.Errorf("after %q there are %v keys", odd, keys)
		}
	}
}
