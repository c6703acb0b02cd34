package redis

import (
	"fmt"
	"testing"

	"autoscale.io/e2e/world"
	"autoscale.io/scalers/redisstreams"
	"autoscale.io/scalers/scalertest/servers"
)

func redisCases() []world.Case {
	return []world.Case{
		{ID: "RS-01", Symptom: "Redis cannot tell the lag of a group made with $ and answers nil, which a client turns into 0: the backlog never wakes the workload", Holds: "a nil lag is counted exactly", In: world.Test, Run: nilLag},
		{ID: "RS-02", Symptom: "a newer client turns the same nil into -1, which cancels another stream's entry", Holds: "a nil lag never becomes a number", In: world.Test, Run: nilLagBesideAnother},
		{ID: "RS-03", Symptom: "deleting entries makes the lag nil or too high", Holds: "deleted entries do not count", In: world.Test, Run: deletedEntries},
		{ID: "RS-04", Symptom: "after a trim the lag stays above zero for ever, so replicas never go away", Holds: "zero is reached when nothing is readable", In: world.Test, Run: trimmedStream},
		{ID: "RS-06", Symptom: "on a Redis Cluster a missing stream makes the counts of other workloads wrong", Holds: "a missing stream touches nobody else", In: world.Test, Run: missingStreamOnCluster},
		{ID: "RS-07", Symptom: "an error of XINFO is swallowed and the whole history is counted: max replicas at once", Holds: "an error holds the count and names the permission", In: world.Test, Run: missingPermission},
		{ID: "RS-08", Symptom: "the group is made by the consumer, the consumer is at zero, and the scaler needs the group", Holds: "a missing group counts the stream", In: world.Test, Run: missingGroup},
		{ID: "RS-09", Symptom: "only delivered entries are counted, so a deep stream never scales out", Holds: "unread and pending count by default", In: world.Test, Run: unreadAndPending},
		{ID: "RS-10", Symptom: "the lag is 0 while workers still work, and they are ended mid-message", Holds: "pending entries keep the workload up", In: world.Test, Run: pendingKeepsUp},
		{ID: "RS-11", Symptom: "an activation of 0 is refused or replaced, so a single message starts nothing", Holds: "0 is valid and any message activates", In: world.Test, Run: activationBoundary},
		{ID: "RS-13", Symptom: "the scaler needs INFO, which least-privilege users and hosted services refuse", Holds: "a minimal ACL user is enough", In: world.Test, Run: minimalACL},
	}
}

// lag is what XINFO GROUPS says itself; known is false for nil.
func lag(w *world.World, stream string) (lag int64, known bool) {
	w.T.Helper()
	reply, err := w.Redis.Client().Do(w.T.Context(), "XINFO", "GROUPS", stream).Slice()
	if err != nil {
		w.T.Fatal(err)
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

func nilLag(t *testing.T, w *world.World) {
	stream, client := w.Stream("s"), w.Redis.Client()
	w.Add(client, stream, 3)
	w.Group(client, stream, "$")
	w.Create("worker", 0, world.Quick(world.Settings{"trigger.orders": w.Trigger(stream, world.Group)}))
	w.Add(client, stream, 50)
	if lag, known := lag(w, stream); known {
		t.Fatalf("this server answers a lag of %d; the case needs nil", lag)
	}
	w.AwaitReplicas("worker", 10, world.Soon)
	w.WantCounts("worker", 0, 10)
}

func nilLagBesideAnother(t *testing.T, w *world.World) {
	unknown, one, client := w.Stream("unknown"), w.Stream("one"), w.Redis.Client()
	w.Add(client, unknown, 3)
	w.Group(client, unknown, "$")
	w.Add(client, unknown, 1)
	w.Read(client, unknown, 1, true)
	w.Add(client, unknown, 2)
	if err := client.XDel(t.Context(), unknown, ids(w, unknown)[3:]...).Err(); err != nil {
		t.Fatal(err)
	}
	w.Group(client, one, "0")
	w.Add(client, one, 1)
	w.Create("worker", 0, world.Quick(world.Settings{"trigger.a": w.Trigger(unknown, world.Group), "trigger.b": w.Trigger(one, world.Group)}))
	w.AwaitReplicas("worker", 1, world.Soon)
	w.AwaitValue("worker", "a", "0")
	w.AwaitValue("worker", "b", "1")
	w.AwaitDecisions("worker", 3)
	w.WantCounts("worker", 0, 1)
}

// ids lists the entries of a stream.
func ids(w *world.World, stream string) []string {
	w.T.Helper()
	entries, err := w.Redis.Client().XRange(w.T.Context(), stream, "-", "+").Result()
	if err != nil {
		w.T.Fatal(err)
	}
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.ID)
	}
	return ids
}

func deletedEntries(t *testing.T, w *world.World) {
	client := w.Redis.Client()
	first, second := w.Stream("first"), w.Stream("second")
	for _, stream := range []string{first, second} {
		w.Group(client, stream, "0")
		w.Add(client, stream, 4)
		w.Read(client, stream, 2, true)
	}
	added := ids(w, first)
	if err := client.XDel(t.Context(), first, added[2]).Err(); err != nil {
		t.Fatal(err)
	}
	w.Create("first", 1, world.Quick(world.Settings{"trigger.orders": w.Trigger(first, world.Group)}))
	w.AwaitValue("first", "orders", "1")
	w.Read(client, first, 1, true)
	w.AwaitValue("first", "orders", "0")
	w.AwaitReplicas("first", 0, world.Soon)

	if err := client.XDel(t.Context(), second, ids(w, second)[:3]...).Err(); err != nil {
		t.Fatal(err)
	}
	w.Create("second", 1, world.Quick(world.Settings{"trigger.orders": w.Trigger(second, world.Group)}))
	w.AwaitValue("second", "orders", "1")
}

func trimmedStream(t *testing.T, w *world.World) {
	stream, client := w.Stream("s"), w.Redis.Client()
	w.Group(client, stream, "0")
	w.Add(client, stream, 5)
	w.Read(client, stream, 1, true)
	if err := client.XTrimMaxLen(t.Context(), stream, 1).Err(); err != nil {
		t.Fatal(err)
	}
	w.Read(client, stream, 1, true)
	if lag, known := lag(w, stream); !known || lag == 0 {
		t.Fatalf("this server answers a lag of %d (known: %v); the case needs one above 0", lag, known)
	}
	w.Create("worker", 2, world.Quick(world.Settings{"trigger.orders": w.Trigger(stream, world.Group)}))
	w.AwaitReplicas("worker", 0, world.Soon)
	w.WantCounts("worker", 2, 1, 0)
}

func missingStreamOnCluster(t *testing.T, w *world.World) {
	cluster := servers.MustRedisCluster(t, 3, servers.RedisOptions{})
	address := fmt.Sprintf("%q", cluster.Addrs())
	trigger := func(stream string) string {
		return fmt.Sprintf("{type: redis-cluster-streams, addresses: [%s], stream: %q, consumerGroup: workers, target: 1}", quoted(cluster.Addrs()), stream)
	}
	client := cluster.Client()
	if err := client.XGroupCreateMkStream(t.Context(), "present", "workers", "0").Err(); err != nil {
		t.Fatal(err, address)
	}
	w.Add(client, "present", 3)
	w.Create("present", 0, world.Quick(world.Settings{"trigger.orders": trigger("present")}))
	w.Create("missing", 1, world.Quick(world.Settings{"trigger.orders": trigger("missing"), "cooldown": "5m"}))
	w.AwaitReplicas("present", 3, world.Soon)
	w.AwaitEvent("missing", "TriggerNote", "does not exist")
	w.AwaitDecisions("present", 5)
	w.AwaitValue("present", "orders", "3")
	w.AwaitValue("missing", "orders", "0")
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

func missingPermission(t *testing.T, w *world.World) {
	stream := "jobs"
	server := servers.MustRedis(t, servers.RedisOptions{Users: []string{"limited on >s3cret ~* +xlen +xpending +info +ping +hello +auth"}})
	w.Group(server.Client(), stream, "0")
	w.Add(server.Client(), stream, 200)
	w.Read(server.Client(), stream, 200, true)
	w.Secret("redis", "s3cret")
	w.Create("worker", 2, world.Quick(world.Settings{"trigger.orders": fmt.Sprintf(
		"{type: redis-streams, address: %q, stream: jobs, consumerGroup: workers, target: 1, username: limited, passwordFrom: {secret: redis, key: password}}", server.Addr())}))
	w.AwaitEvent("worker", "TriggerUnknown", "(?i)xinfo")
	w.AwaitDecisions("worker", 6)
	w.WantCounts("worker", 2)
}

func missingGroup(t *testing.T, w *world.World) {
	stream := w.Stream("s")
	w.Add(w.Redis.Client(), stream, 20)
	w.Create("worker", 0, world.Quick(world.Settings{"trigger.orders": w.Trigger(stream, world.Group)}))
	w.AwaitReplicas("worker", 4, world.Soon)
	pending := w.Deployment("pending", 0, world.Quick(world.Settings{"trigger.orders": w.Trigger(stream, world.Group+", measure: pending")}))
	w.WantRefused(pending, "autoscale.io/trigger.orders: measure: .*pending.*")
}

func unreadAndPending(t *testing.T, w *world.World) {
	stream, client := w.Stream("s"), w.Redis.Client()
	w.Group(client, stream, "0")
	w.Add(client, stream, 22)
	w.Read(client, stream, 3, false)
	w.Create("worker", 1, world.Quick(world.Settings{"trigger.orders": w.Trigger(stream, world.Group)}))
	w.AwaitValue("worker", "orders", "22")
	w.AwaitReplicas("worker", 5, world.Soon)
}

func pendingKeepsUp(t *testing.T, w *world.World) {
	stream, client := w.Stream("s"), w.Redis.Client()
	w.Group(client, stream, "0")
	w.Add(client, stream, 3)
	w.Create("worker", 1, world.Quick(world.Settings{"cooldown": "1s", "trigger.orders": w.Trigger(stream, world.Group+", measure: lag")}))
	added := w.Read(client, stream, 3, false)
	w.AwaitValue("worker", "orders", "0")
	w.AwaitDecisions("worker", 5)
	w.WantCounts("worker", 1)
	w.Ack(client, stream, added)
	w.AwaitReplicas("worker", 0, world.Soon)
}

func activationBoundary(t *testing.T, w *world.World) {
	client := w.Redis.Client()
	for name, activation := range map[string]string{"unset": "", "zero": ", activation: 0", "one": ", activation: 1"} {
		w.Group(client, w.Stream(name), "0")
		w.Create(name, 0, world.Quick(world.Settings{"trigger.orders": w.Trigger(w.Stream(name), world.Group+activation)}))
		w.AwaitValue(name, "orders", "0")
		w.Add(client, w.Stream(name), 1)
	}
	w.AwaitReplicas("unset", 1, world.Soon)
	w.AwaitReplicas("zero", 1, world.Soon)
	w.AwaitValue("one", "orders", "1")
	w.AwaitDecisions("one", 2)
	w.WantCounts("one", 0)
	w.Add(client, w.Stream("one"), 1)
	w.AwaitReplicas("one", 1, world.Soon)
}

// minimalUser has the ACL that the documentation gives.
const minimalUser = "autoscaler on >s3cret resetkeys ~jobs " + redisstreams.MinimalACL

func minimalACL(t *testing.T, w *world.World) {
	server := servers.MustRedis(t, servers.RedisOptions{Users: []string{minimalUser}})
	w.Group(server.Client(), "jobs", "0")
	w.Add(server.Client(), "jobs", 12)
	w.Secret("redis", "s3cret")
	w.Create("worker", 0, world.Quick(world.Settings{"trigger.orders": fmt.Sprintf(
		"{type: redis-streams, address: %q, stream: jobs, consumerGroup: workers, target: 5, username: autoscaler, passwordFrom: {secret: redis, key: password}}", server.Addr())}))
	w.AwaitReplicas("worker", 3, world.Soon)
}
