package redisstreams

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"autoscale.io/scalers"
	"autoscale.io/scalers/scalertest"
	"autoscale.io/scalers/scalertest/servers"
)

func onCluster(cluster *servers.RedisCluster, stream string) string {
	return fmt.Sprintf("{type: redis-streams, mode: cluster, address: %q, stream: %q, consumerGroup: g, target: 1}", strings.Join(cluster.Addrs(), ","), stream)
}

func TestSlotsAreThoseOfTheServer(t *testing.T) {
	cluster := servers.MustRedisCluster(t, 3, servers.RedisOptions{})
	for _, key := range []string{"", "orders", "{orders}.paid", "a{orders}b", "{}orders", "{orders", "orders}", "}{orders}", "{{orders}}", "{a}{b}", "Größe"} {
		want, err := cluster.Client().ClusterKeySlot(within(t), key).Result()
		if got := slotOf(key); err != nil || int64(got) != want {
			t.Errorf("%q: got slot %d, want %d; %v", key, got, want, err)
		}
	}
}

// TestStreamsOfAClusterWake: each on the master that has it, also when several share a slot.
func TestStreamsOfAClusterWake(t *testing.T) {
	cluster := servers.MustRedisCluster(t, 3, servers.RedisOptions{})
	b := scalertest.NewBench(t, Definition)
	all := map[string]*hearing{}
	for _, stream := range []string{"a", "b", "c", "{c}.more", "{c}.still"} {
		all[stream] = hear(t, b, onCluster(cluster, stream))
	}
	for stream, h := range all {
		add(t, cluster.Client(), stream, 2)
		h.awaitWake(t)
		if got := h.read(t); got != 2 {
			t.Errorf("stream %s: read %v after the wake, want 2", stream, got)
		}
	}
	for stream, h := range all {
		if len(h.wakes) > 0 {
			t.Errorf("stream %s woke without an entry of its own", stream)
		}
	}
}

// TestSlotsBeyondTheBoundArePolled: each slot that is listened to takes a connection. One that is let go makes room for another.
func TestSlotsBeyondTheBoundArePolled(t *testing.T) {
	cluster := servers.MustRedisCluster(t, 1, servers.RedisOptions{})
	b := scalertest.NewBench(t, Definition)
	var sources []*scalers.Source
	wakes := 0
	for i := range maxListeners + 3 {
		source := b.Open(t, onCluster(cluster, fmt.Sprint("s", i)), nil)
		sources = append(sources, source)
		if source.Wakes() {
			wakes++
		}
	}
	if wakes != maxListeners {
		t.Errorf("%d sources wake, want %d", wakes, maxListeners)
	}
	i := slices.IndexFunc(sources, (*scalers.Source).Wakes)
	scalertest.Close(t, sources[i])
	if !b.Open(t, onCluster(cluster, "late"), nil).Wakes() {
		t.Error("a slot that was let go made no room")
	}
	if !b.Open(t, onCluster(cluster, "{late}"), nil).Wakes() {
		t.Error("a stream in a slot that is listened to does not wake")
	}
}
