package decision

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"autoscale.io/e2e/world"
	"autoscale.io/scalers/scalertest/servers"
)

func fallbackCases() []world.Case {
	return []world.Case{
		{ID: "FB-01", Symptom: "the fallback comes at the first failure, or never", Holds: "it comes at the failure that was asked for, and goes with the first success", In: world.Test, Run: fallbackThreshold},
		{ID: "FB-03", Symptom: "at zero with a failing source the fallback is never applied", Holds: "it wakes the workload", In: world.Soak, Run: fallbackFromZero},
		{ID: "FB-04", Symptom: "failures before the query itself do not count", Holds: "every way of not getting a number counts", In: world.Test, Run: fallbackFromTheStart},
		{ID: "FB-05", Symptom: "the fallback lowers a busy workload", Holds: "it is one vote of several, and never lowers unless chosen so", In: world.Soak, Run: fallbackVotes},
		{ID: "FB-07", Symptom: "waking up in the morning needs the source", Holds: "the floor is reached without it", In: world.Soak, Run: floorWithoutSource},
		{ID: "SZ-13", Symptom: "a source that the workload itself serves is empty at zero, so it never wakes", Holds: "not being able to read is UNKNOWN, and a fallback wakes it", In: world.Test, Run: servedByItself},
	}
}

const after3 = "{after: 3, replicas: 6}"

func fallbackThreshold(t *testing.T, w *world.World) {
	source := w.Behind(10)
	w.Create("worker", 2, world.Quick(world.Settings{"trigger.orders": source.Trigger, "fallback": after3, "polling-interval": "2s"}))
	w.AwaitValue("worker", "orders", "10")
	source.Set(t, servers.Refuse)
	w.AwaitKnown("worker", "orders", "0")
	failed := time.Now()
	w.AwaitReplicas("worker", 6, world.Soon)
	w.AwaitEvent("worker", "FallbackInUse", "^trigger orders could not be read 3 times in a row; its fallback asks for 6 replicas")
	if took := time.Since(failed); took < 3*time.Second { // two more reads, 2 s apart, of which errors may shorten each by a tenth
		t.Errorf("the fallback came %s after the first failure was seen, want two polls", took)
	}
	w.AwaitCondition("worker", "Fallback", "True", "TriggerUnknown")
	source.Set(t, servers.Pass)
	w.AwaitReplicas("worker", 2, world.Soon)
	w.AwaitEvent("worker", "FallbackEnded", "no fallback is in use any more")
	w.WantCounts("worker", 2, 6, 2)
}

func fallbackFromZero(t *testing.T, w *world.World) {
	source := w.Behind(0)
	for _, least := range []string{"0", "1"} {
		w.Create("min-"+least, 0, world.Quick(world.Settings{"min-replicas": "0", "trigger.orders": source.Trigger, "fallback": "{after: 2, replicas: 2}"}))
		w.AwaitValue("min-"+least, "orders", "0")
	}
	source.Set(t, servers.Refuse)
	w.AwaitKnown("min-1", "orders", "0")
	if err := w.Annotate("min-1", world.Settings{"min-replicas": "1"}); err != nil {
		t.Fatal(err)
	}
	for _, least := range []string{"0", "1"} {
		w.AwaitReplicas("min-"+least, 2, world.Soon)
	}
	source.Set(t, servers.Pass)
	w.AwaitReplicas("min-0", 0, world.Soon)
	w.AwaitReplicas("min-1", 1, world.Soon)
}

func fallbackFromTheStart(t *testing.T, w *world.World) {
	plain, locked := servers.MustRedis(t, servers.RedisOptions{}), servers.MustRedis(t, servers.RedisOptions{Password: "s3cret"})
	silent := w.Behind(0)
	silent.Set(t, servers.Silent)
	refused := w.Behind(0)
	refused.Set(t, servers.Refuse)
	ways := map[string]string{
		"refused": refused.Trigger,
		"silent":  silent.Trigger,
		"no-name": "{type: redis-streams, address: \"redis.invalid:6379\", stream: jobs, target: 5}",
		"secret":  fmt.Sprintf("{type: redis-streams, address: %q, stream: jobs, target: 5, passwordFrom: {secret: none, key: password}}", plain.Addr()),
		"tls":     fmt.Sprintf("{type: redis-streams, address: %q, stream: jobs, target: 5, tls: {serverName: redis}}", plain.Addr()),
		"wrong":   fmt.Sprintf("{type: redis-streams, address: %q, stream: jobs, target: 5, password: wrong}", locked.Addr()),
	}
	for name, trigger := range ways {
		w.Create(name, 1, world.Quick(world.Settings{"trigger.orders": trigger, "fallback": "{after: 2, replicas: 4}"}))
	}
	for name := range ways {
		w.AwaitReplicas(name, 4, world.Soon)
		w.AwaitEvent(name, "TriggerUnknown", "trigger orders")
		w.WantCounts(name, 1, 4)
	}
}

func fallbackVotes(t *testing.T, w *world.World) {
	stream, other := w.Stream("s"), w.Behind(20)
	w.Group(w.Redis.Client(), stream, "0")
	w.Add(w.Redis.Client(), stream, 40)
	behaviors := map[string]string{"never-lowers": "", "static": ", behavior: static"}
	for name, behavior := range behaviors {
		w.Create(name, 8, world.Quick(world.Settings{
			"trigger.a": w.Trigger(stream, world.Group), "trigger.b": other.Trigger, "fallback": "{after: 2, replicas: 3" + behavior + "}",
		}))
		w.AwaitValue(name, "b", "20")
	}
	other.Set(t, servers.Refuse)
	for name := range behaviors {
		w.AwaitCondition(name, "Fallback", "True", "TriggerUnknown")
	}
	w.AwaitDecisionsOf(4, slices.Sorted(maps.Keys(behaviors))...)
	for name := range behaviors {
		w.WantCounts(name, 8)
	}
	w.Read(w.Redis.Client(), stream, 40, true) // only the fallback votes now
	w.AwaitReplicas("static", 3, world.Soon)
	w.AwaitDecisions("never-lowers", 4)
	w.WantCounts("never-lowers", 8)
}

func floorWithoutSource(t *testing.T, w *world.World) {
	source := w.Behind(0)
	w.Create("worker", 3, world.Quick(world.Settings{"min-replicas": "2", "trigger.orders": source.Trigger, "pause": "0"}))
	w.AwaitReplicas("worker", 0, world.Soon)
	source.Set(t, servers.Refuse)
	w.AwaitKnown("worker", "orders", "0")
	w.AwaitDecisions("worker", 3)
	if err := w.Annotate("worker", world.Settings{"pause": ""}); err != nil {
		t.Fatal(err)
	}
	w.AwaitReplicas("worker", 2, 5*time.Second)
	w.WantCounts("worker", 3, 0, 2)
}

// servedByItself has a source that goes away with the last replica and comes back with the first.
func servedByItself(t *testing.T, w *world.World) {
	source := w.Behind(0)
	w.Create("stuck", 1, world.Quick(world.Settings{"cooldown": "1s", "trigger.orders": source.Trigger}))
	w.Create("worker", 1, world.Quick(world.Settings{"cooldown": "1s", "trigger.orders": source.Trigger, "fallback": "{after: 3, replicas: 1}"}))
	w.AwaitReplicas("worker", 0, world.Soon)
	w.AwaitReplicas("stuck", 0, world.Soon)
	source.Set(t, servers.Refuse)
	w.AwaitReplicas("worker", 1, world.Soon)
	w.AwaitEvent("stuck", "TriggerUnknown", "trigger orders")
	w.AwaitDecisions("stuck", 3)
	w.WantCounts("stuck", 1, 0)
	w.Add(source.Client, "jobs", 28)
	source.Set(t, servers.Pass)
	w.AwaitReplicas("worker", 6, world.Soon)
}
