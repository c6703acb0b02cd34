package cases

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"autoscale.io/scalers/redisstreams"
	"autoscale.io/scalers/scalertest/servers"
)

// soon is how long a reaction may take: some polls of a second on a busy machine.
const soon = 30 * time.Second

func redisCases() []Case {
	return []Case{
		{ID: "RS-01", Symptom: "Redis cannot tell the lag of a group made with $ and answers nil, which a client turns into 0: the backlog never wakes the workload", Holds: "a nil lag is counted exactly", Run: nilLag},
		{ID: "RS-02", Symptom: "a newer client turns the same nil into -1, which cancels another stream's entry", Holds: "a nil lag never becomes a number", Run: nilLagBesideAnother},
		{ID: "RS-03", Symptom: "deleting entries makes the lag nil or too high", Holds: "deleted entries do not count", Run: deletedEntries},
		{ID: "RS-04", Symptom: "after a trim the lag stays above zero for ever, so replicas never go away", Holds: "zero is reached when nothing is readable", Run: trimmedStream},
		{ID: "RS-06", Symptom: "on a Redis Cluster a missing stream makes the counts of other workloads wrong", Holds: "a missing stream touches nobody else", Run: missingStreamOnCluster},
		{ID: "RS-07", Symptom: "an error of XINFO is swallowed and the whole history is counted: max replicas at once", Holds: "an error holds the count and names the permission", Run: missingPermission},
		{ID: "RS-08", Symptom: "the group is made by the consumer, the consumer is at zero, and the scaler needs the group", Holds: "a missing group counts the stream", Run: missingGroup},
		{ID: "RS-09", Symptom: "only delivered entries are counted, so a deep stream never scales out", Holds: "unread and pending count by default", Run: unreadAndPending},
		{ID: "RS-10", Symptom: "the lag is 0 while workers still work, and they are ended mid-message", Holds: "pending entries keep the workload up", Run: pendingKeepsUp},
		{ID: "RS-11", Symptom: "an activation of 0 is refused or replaced, so a single message starts nothing", Holds: "0 is valid and any message activates", Run: activationBoundary},
		{ID: "RS-13", Symptom: "the scaler needs INFO, which least-privilege users and hosted services refuse", Holds: "a minimal ACL user is enough", Run: minimalACL},
	}
}

const group = ", consumerGroup: workers"

// add appends n entries in one transaction, so that no poll sees a part of them.
func (w *World) add(client redis.UniversalClient, stream string, n int) {
	w.t.Helper()
	_, err := client.TxPipelined(w.t.Context(), func(pipe redis.Pipeliner) error {
		for range n {
			pipe.XAdd(w.t.Context(), &redis.XAddArgs{Stream: stream, Values: []string{"job", "x"}})
		}
		return nil
	})
	if err != nil {
		w.t.Fatalf("XADD %s: %v", stream, err)
	}
}

// read delivers n entries to a consumer of the group workers and acknowledges them when ack is set; it returns their IDs.
func (w *World) read(client redis.UniversalClient, stream string, n int, ack bool) []string {
	w.t.Helper()
	got, err := client.XReadGroup(w.t.Context(), &redis.XReadGroupArgs{Group: "workers", Consumer: "c1", Streams: []string{stream, ">"}, Count: int64(n), Block: -1}).Result()
	if err != nil || len(got) != 1 || len(got[0].Messages) != n {
		w.t.Fatalf("XREADGROUP of %d from %s: %v, %v", n, stream, got, err)
	}
	var ids []string
	for _, m := range got[0].Messages {
		ids = append(ids, m.ID)
	}
	if ack {
		w.ack(client, stream, ids)
	}
	return ids
}

func (w *World) ack(client redis.UniversalClient, stream string, ids []string) {
	w.t.Helper()
	if err := client.XAck(w.t.Context(), stream, "workers", ids...).Err(); err != nil {
		w.t.Fatalf("XACK %s: %v", stream, err)
	}
}

func (w *World) group(client redis.UniversalClient, stream, from string) {
	w.t.Helper()
	if err := client.XGroupCreateMkStream(w.t.Context(), stream, "workers", from).Err(); err != nil {
		w.t.Fatalf("XGROUP CREATE %s: %v", stream, err)
	}
}

// lag is what XINFO GROUPS says itself; known is false for nil.
func (w *World) lag(stream string) (lag int64, known bool) {
	w.t.Helper()
	reply, err := w.redis.Client().Do(w.t.Context(), "XINFO", "GROUPS", stream).Slice()
	if err != nil {
		w.t.Fatal(err)
	}
	switch fields := reply[0].(type) {
	case map[any]any:
		lag, known = fields["lag"].(int64)
	case []any:
		for i := 0; i+1 < len(fields); i += 2 {
			if fields[i] == "lag" {
				lag, known = fields[i+1].(int64)
			}
		}
	}
	return lag, known
}

func nilLag(t *testing.T, w *World) {
	stream, client := w.Stream("s"), w.redis.Client()
	w.add(client, stream, 3)
	w.group(client, stream, "$")
	w.Create("worker", 0, quick(Settings{"trigger.orders": w.trigger(stream, group)}))
	w.add(client, stream, 50)
	if lag, known := w.lag(stream); known {
		t.Fatalf("this server answers a lag of %d; the case needs nil", lag)
	}
	w.AwaitReplicas("worker", 10, soon)
	w.WantCounts("worker", 0, 10)
}

func nilLagBesideAnother(t *testing.T, w *World) {
	unknown, one, client := w.Stream("unknown"), w.Stream("one"), w.redis.Client()
	w.add(client, unknown, 3)
	w.group(client, unknown, "$")
	w.add(client, unknown, 1)
	w.read(client, unknown, 1, true)
	w.add(client, unknown, 2)
	if err := client.XDel(t.Context(), unknown, w.ids(unknown)[3:]...).Err(); err != nil {
		t.Fatal(err)
	}
	w.group(client, one, "0")
	w.add(client, one, 1)
	w.Create("worker", 0, quick(Settings{"trigger.a": w.trigger(unknown, group), "trigger.b": w.trigger(one, group)}))
	w.AwaitReplicas("worker", 1, soon)
}

// ids lists the entries of a stream.
func (w *World) ids(stream string) []string {
	w.t.Helper()
	entries, err := w.redis.Client().XRange(w.t.Context(), stream, "-", "+").Result()
	if err != nil {
		w.t.Fatal(err)
	}
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.ID)
	}
	return ids
}

func (w *World) awaitValue(name, trigger, want string) {
	w.t.Helper()
	w.await(fmt.Sprintf("trigger %s of %s at %s", trigger, name, want), soon, func(ctx context.Context) error {
		got, err := w.metric(ctx, "autoscale_trigger_value", name, `trigger="`+trigger+`"`)
		if err == nil && got != want {
			err = fmt.Errorf("it is %s", got)
		}
		return err
	})
}

func deletedEntries(t *testing.T, w *World) {
	client := w.redis.Client()
	first, second := w.Stream("first"), w.Stream("second")
	for _, stream := range []string{first, second} {
		w.group(client, stream, "0")
		w.add(client, stream, 4)
		w.read(client, stream, 2, true)
	}
	ids := w.ids(first)
	if err := client.XDel(t.Context(), first, ids[2]).Err(); err != nil {
		t.Fatal(err)
	}
	w.Create("first", 1, quick(Settings{"trigger.orders": w.trigger(first, group)}))
	w.awaitValue("first", "orders", "1")
	w.read(client, first, 1, true)
	w.awaitValue("first", "orders", "0")
	w.AwaitReplicas("first", 0, soon)

	if err := client.XDel(t.Context(), second, w.ids(second)[:3]...).Err(); err != nil {
		t.Fatal(err)
	}
	w.Create("second", 1, quick(Settings{"trigger.orders": w.trigger(second, group)}))
	w.awaitValue("second", "orders", "1")
}

func trimmedStream(t *testing.T, w *World) {
	stream, client := w.Stream("s"), w.redis.Client()
	w.group(client, stream, "0")
	w.add(client, stream, 5)
	w.read(client, stream, 1, true)
	if err := client.XTrimMaxLen(t.Context(), stream, 1).Err(); err != nil {
		t.Fatal(err)
	}
	w.read(client, stream, 1, true)
	if lag, known := w.lag(stream); !known || lag == 0 {
		t.Fatalf("this server answers a lag of %d (known: %v); the case needs one above 0", lag, known)
	}
	w.Create("worker", 2, quick(Settings{"trigger.orders": w.trigger(stream, group)}))
	w.AwaitReplicas("worker", 0, soon)
	w.WantCounts("worker", 2, 1, 0)
}

func missingStreamOnCluster(t *testing.T, w *World) {
	cluster := servers.MustRedisCluster(t, 3, servers.RedisOptions{})
	address := fmt.Sprintf("%q", cluster.Addrs())
	trigger := func(stream string) string {
		return fmt.Sprintf("{type: redis-cluster-streams, addresses: [%s], stream: %q, consumerGroup: workers, target: 1}", quoted(cluster.Addrs()), stream)
	}
	client := cluster.Client()
	if err := client.XGroupCreateMkStream(t.Context(), "present", "workers", "0").Err(); err != nil {
		t.Fatal(err, address)
	}
	w.add(client, "present", 3)
	w.Create("present", 0, quick(Settings{"trigger.orders": trigger("present")}))
	w.Create("missing", 1, quick(Settings{"trigger.orders": trigger("missing"), "cooldown": "5m"}))
	w.AwaitReplicas("present", 3, soon)
	w.AwaitEvent("missing", "TriggerNote", "does not exist")
	w.AwaitDecisions("present", 5)
	w.awaitValue("present", "orders", "3")
	w.awaitValue("missing", "orders", "0")
	w.WantCounts("present", 0, 3)
	w.WantCounts("missing", 1)
}

func quoted(texts []string) string {
	out := ""
	for i, text := range texts {
		if i > 0 {
			out += ", "
		}
		out += fmt.Sprintf("%q", text)
	}
	return out
}

func missingPermission(t *testing.T, w *World) {
	stream := "jobs"
	server := servers.MustRedis(t, servers.RedisOptions{Users: []string{"limited on >s3cret ~* +xlen +xpending +info +ping +hello +auth"}})
	w.group(server.Client(), stream, "0")
	w.add(server.Client(), stream, 200)
	w.read(server.Client(), stream, 200, true)
	w.secret("redis", "s3cret")
	w.Create("worker", 2, quick(Settings{"trigger.orders": fmt.Sprintf(
		"{type: redis-streams, address: %q, stream: jobs, consumerGroup: workers, target: 1, username: limited, passwordFrom: {secret: redis, key: password}}", server.Addr())}))
	w.AwaitEvent("worker", "TriggerUnknown", "(?i)xinfo")
	w.AwaitDecisions("worker", 6)
	w.WantCounts("worker", 2)
}

func missingGroup(t *testing.T, w *World) {
	stream := w.Stream("s")
	w.add(w.redis.Client(), stream, 20)
	w.Create("worker", 0, quick(Settings{"trigger.orders": w.trigger(stream, group)}))
	w.AwaitReplicas("worker", 4, soon)
	pending := w.deployment("pending", 0, quick(Settings{"trigger.orders": w.trigger(stream, group+", measure: pending")}))
	w.wantRefused(pending, "autoscale.io/trigger.orders: measure: .*pending.*")
}

func unreadAndPending(t *testing.T, w *World) {
	stream, client := w.Stream("s"), w.redis.Client()
	w.group(client, stream, "0")
	w.add(client, stream, 22)
	w.read(client, stream, 3, false)
	w.Create("worker", 1, quick(Settings{"trigger.orders": w.trigger(stream, group)}))
	w.awaitValue("worker", "orders", "22")
	w.AwaitReplicas("worker", 5, soon)
}

func pendingKeepsUp(t *testing.T, w *World) {
	stream, client := w.Stream("s"), w.redis.Client()
	w.group(client, stream, "0")
	w.add(client, stream, 3)
	w.Create("worker", 1, quick(Settings{"cooldown": "1s", "trigger.orders": w.trigger(stream, group+", measure: lag")}))
	ids := w.read(client, stream, 3, false)
	w.awaitValue("worker", "orders", "0")
	w.AwaitDecisions("worker", 5)
	w.WantCounts("worker", 1)
	w.ack(client, stream, ids)
	w.AwaitReplicas("worker", 0, soon)
}

func activationBoundary(t *testing.T, w *World) {
	client := w.redis.Client()
	for name, activation := range map[string]string{"unset": "", "zero": ", activation: 0", "one": ", activation: 1"} {
		w.group(client, w.Stream(name), "0")
		w.Create(name, 0, quick(Settings{"trigger.orders": w.trigger(w.Stream(name), group+activation)}))
		w.awaitValue(name, "orders", "0")
		w.add(client, w.Stream(name), 1)
	}
	w.AwaitReplicas("unset", 1, soon)
	w.AwaitReplicas("zero", 1, soon)
	w.awaitValue("one", "orders", "1")
	w.AwaitDecisions("one", 2)
	w.WantCounts("one", 0)
	w.add(client, w.Stream("one"), 1)
	w.AwaitReplicas("one", 1, soon)
}

// minimalUser has the ACL that the documentation gives.
const minimalUser = "autoscaler on >s3cret resetkeys ~jobs " + redisstreams.MinimalACL

func minimalACL(t *testing.T, w *World) {
	server := servers.MustRedis(t, servers.RedisOptions{Users: []string{minimalUser}})
	w.group(server.Client(), "jobs", "0")
	w.add(server.Client(), "jobs", 12)
	w.secret("redis", "s3cret")
	w.Create("worker", 0, quick(Settings{"trigger.orders": fmt.Sprintf(
		"{type: redis-streams, address: %q, stream: jobs, consumerGroup: workers, target: 5, username: autoscaler, passwordFrom: {secret: redis, key: password}}", server.Addr())}))
	w.AwaitReplicas("worker", 3, soon)
}
