package cases

import (
	"fmt"
	"testing"
	"time"

	"autoscale.io/scalers/scalertest/servers"
)

func fallbackCases() []Case {
	return []Case{
		{ID: "FB-01", Symptom: "the fallback comes at the first failure, or never", Holds: "it comes at the failure that was asked for, and goes with the first success", Run: fallbackThreshold},
		{ID: "FB-03", Symptom: "at zero with a failing source the fallback is never applied", Holds: "it wakes the workload", Run: fallbackFromZero},
		{ID: "FB-04", Symptom: "failures before the query itself do not count", Holds: "every way of not getting a number counts", Run: fallbackFromTheStart},
		{ID: "FB-05", Symptom: "the fallback lowers a busy workload", Holds: "it is one vote of several, and never lowers unless chosen so", Run: fallbackVotes},
		{ID: "FB-07", Symptom: "waking up in the morning needs the source", Holds: "the floor is reached without it", Run: floorWithoutSource},
		{ID: "SZ-13", Symptom: "a source that the workload itself serves is empty at zero, so it never wakes", Holds: "not being able to read is UNKNOWN, and a fallback wakes it", Run: servedByItself},
	}
}

const after3 = "{after: 3, replicas: 6}"

func fallbackThreshold(t *testing.T, w *World) {
	source := w.behind(10)
	w.Create("worker", 2, quick(Settings{"trigger.orders": source.trigger, "fallback": after3, "polling-interval": "2s"}))
	w.awaitValue("worker", "orders", "10")
	source.set(t, servers.Refuse)
	w.awaitKnown("worker", "orders", "0")
	failed := time.Now()
	w.AwaitReplicas("worker", 6, soon)
	w.AwaitEvent("worker", "FallbackInUse", "^trigger orders could not be read 3 times in a row; its fallback asks for 6 replicas")
	if took := time.Since(failed); took < 3*time.Second { // two more reads, 2 s apart, of which errors may shorten each by a tenth
		t.Errorf("the fallback came %s after the first failure was seen, want two polls", took)
	}
	w.awaitCondition("worker", "Fallback", "True", "TriggerUnknown")
	source.set(t, servers.Pass)
	w.AwaitReplicas("worker", 2, soon)
	w.AwaitEvent("worker", "FallbackEnded", "no fallback is in use any more")
	w.WantCounts("worker", 2, 6, 2)
}

func fallbackFromZero(t *testing.T, w *World) {
	source := w.behind(0)
	for _, least := range []string{"0", "1"} {
		w.Create("min-"+least, 0, quick(Settings{"min-replicas": "0", "trigger.orders": source.trigger, "fallback": "{after: 2, replicas: 2}"}))
		w.awaitValue("min-"+least, "orders", "0")
	}
	source.set(t, servers.Refuse)
	w.awaitKnown("min-1", "orders", "0")
	if err := w.Annotate("min-1", Settings{"min-replicas": "1"}); err != nil {
		t.Fatal(err)
	}
	for _, least := range []string{"0", "1"} {
		w.AwaitReplicas("min-"+least, 2, soon)
	}
	source.set(t, servers.Pass)
	w.AwaitReplicas("min-0", 0, soon)
	w.AwaitReplicas("min-1", 1, soon)
}

func fallbackFromTheStart(t *testing.T, w *World) {
	plain, locked := servers.MustRedis(t, servers.RedisOptions{}), servers.MustRedis(t, servers.RedisOptions{Password: "s3cret"})
	silent := w.behind(0)
	silent.set(t, servers.Silent)
	refused := w.behind(0)
	refused.set(t, servers.Refuse)
	ways := map[string]string{
		"refused": refused.trigger,
		"silent":  silent.trigger,
		"no-name": "{type: redis-streams, address: \"redis.invalid:6379\", stream: jobs, target: 5}",
		"secret":  fmt.Sprintf("{type: redis-streams, address: %q, stream: jobs, target: 5, passwordFrom: {secret: none, key: password}}", plain.Addr()),
		"tls":     fmt.Sprintf("{type: redis-streams, address: %q, stream: jobs, target: 5, tls: {serverName: redis}}", plain.Addr()),
		"wrong":   fmt.Sprintf("{type: redis-streams, address: %q, stream: jobs, target: 5, password: wrong}", locked.Addr()),
	}
	for name, trigger := range ways {
		w.Create(name, 1, quick(Settings{"trigger.orders": trigger, "fallback": "{after: 2, replicas: 4}"}))
	}
	for name := range ways {
		w.AwaitReplicas(name, 4, soon)
		w.AwaitEvent(name, "TriggerUnknown", "trigger orders")
		w.WantCounts(name, 1, 4)
	}
}

func fallbackVotes(t *testing.T, w *World) {
	stream, other := w.Stream("s"), w.behind(20)
	w.group(w.redis.Client(), stream, "0")
	w.add(w.redis.Client(), stream, 40)
	behaviors := map[string]string{"never-lowers": "", "static": ", behavior: static"}
	for name, behavior := range behaviors {
		w.Create(name, 8, quick(Settings{
			"trigger.a": w.trigger(stream, group), "trigger.b": other.trigger, "fallback": "{after: 2, replicas: 3" + behavior + "}",
		}))
		w.awaitValue(name, "b", "20")
	}
	other.set(t, servers.Refuse)
	for name := range behaviors {
		w.awaitCondition(name, "Fallback", "True", "TriggerUnknown")
		w.AwaitDecisions(name, 4)
		w.WantCounts(name, 8)
	}
	w.read(w.redis.Client(), stream, 40, true) // only the fallback votes now
	w.AwaitReplicas("static", 3, soon)
	w.AwaitDecisions("never-lowers", 4)
	w.WantCounts("never-lowers", 8)
}

func floorWithoutSource(t *testing.T, w *World) {
	source := w.behind(0)
	w.Create("worker", 3, quick(Settings{"min-replicas": "2", "trigger.orders": source.trigger, "pause": "0"}))
	w.AwaitReplicas("worker", 0, soon)
	source.set(t, servers.Refuse)
	w.awaitKnown("worker", "orders", "0")
	w.AwaitDecisions("worker", 3)
	if err := w.Annotate("worker", Settings{"pause": ""}); err != nil {
		t.Fatal(err)
	}
	w.AwaitReplicas("worker", 2, 5*time.Second)
	w.WantCounts("worker", 3, 0, 2)
}

// servedByItself has a source that goes away with the last replica and comes back with the first.
func servedByItself(t *testing.T, w *World) {
	source := w.behind(0)
	w.Create("stuck", 1, quick(Settings{"cooldown": "1s", "trigger.orders": source.trigger}))
	w.Create("worker", 1, quick(Settings{"cooldown": "1s", "trigger.orders": source.trigger, "fallback": "{after: 3, replicas: 1}"}))
	w.AwaitReplicas("worker", 0, soon)
	w.AwaitReplicas("stuck", 0, soon)
	source.set(t, servers.Refuse)
	w.AwaitReplicas("worker", 1, soon)
	w.AwaitEvent("stuck", "TriggerUnknown", "trigger orders")
	w.AwaitDecisions("stuck", 3)
	w.WantCounts("stuck", 1, 0)
	w.add(source.client, "jobs", 28)
	source.set(t, servers.Pass)
	w.AwaitReplicas("worker", 6, soon)
}
