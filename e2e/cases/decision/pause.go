package decision

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"autoscale.io/e2e/world"
)

func pauseCases() []world.Case {
	return []world.Case{
		{ID: "AN-02", Symptom: "a paused workload bounces, or never resumes", Holds: "no write while paused but to reach the fixed count; after it normal within a poll", In: world.Soak, Own: true, Run: pauseLife},
		{ID: "GO-06", Symptom: "a pause that Git removed goes on for good", Holds: "the annotations of the moment count, however often they change", In: world.Soak, Alone: true, Run: pauseCycles},
		{ID: "GO-09", Symptom: "what happens to a count that was set by hand depends on luck", Holds: "one rule: zero stays, any other count is answered, a pause holds", In: world.Soak, Run: byHand},
	}
}

func pauseLife(t *testing.T, w *world.World) {
	stream, client := w.Stream("s"), w.Redis.Client()
	w.Group(client, stream, "0")
	w.Add(client, stream, 10)
	settings := func(pause string) world.Settings {
		return world.Quick(world.Settings{"pause": pause, "cooldown": "4s", "trigger.orders": w.Trigger(stream, world.Group)})
	}
	for name, pause := range map[string]string{"hold": "true", "fixed": "3", "in": "scale-in", "out": "scale-out"} {
		w.Create(name, 2, settings(pause))
	}
	paused := func() {
		t.Helper()
		want := map[string][]int32{"hold": {2}, "fixed": {2, 3}, "in": {2, 8}, "out": {2}}
		for name, counts := range want {
			w.AwaitReplicas(name, counts[len(counts)-1], world.Soon)
		}
		w.AwaitDecisionsOf(3, slices.Sorted(maps.Keys(want))...)
		for name, counts := range want {
			w.WantCounts(name, counts...)
		}
	}
	w.Add(client, stream, 30)
	paused()
	for _, name := range []string{"hold", "fixed", "in", "out"} {
		if err := w.Annotate(name, world.Settings{"max-replicas": "9", "cooldown": "3s"}); err != nil {
			t.Fatal(err)
		}
	}
	paused()
	w.Kill()
	w.Restart()
	paused()
	if err := w.Annotate("hold", world.Settings{"pause": ""}); err != nil { // with a backlog
		t.Fatal(err)
	}
	w.AwaitReplicas("hold", 8, 5*time.Second)
	w.Read(client, stream, 40, true)
	w.AwaitReplicas("hold", 0, world.Soon)
	w.AwaitReplicas("out", 0, world.Soon) // only the other direction is held
	w.AwaitDecisions("in", 3)
	resumed := time.Now()
	for _, name := range []string{"fixed", "in"} { // idle
		if err := w.Annotate(name, world.Settings{"pause": ""}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"fixed", "in"} {
		w.AwaitReplicas(name, 0, world.Soon)
		if last, _ := w.Changes.Last(name); last.At.Sub(resumed) < 3*time.Second {
			t.Errorf("%s went to zero %s after the pause, before a whole cooldown", name, last.At.Sub(resumed))
		}
	}
}

func pauseCycles(t *testing.T, w *world.World) {
	stream, client := w.Stream("s"), w.Redis.Client()
	w.Group(client, stream, "0")
	w.Add(client, stream, 10)
	w.Create("worker", 2, world.Quick(world.Settings{"trigger.orders": w.Trigger(stream, world.Group)}))
	w.AwaitValue("worker", "orders", "10")
	for i := range 20 { // beside others that keep the autoscaler busy
		w.Create(fmt.Sprint("other-", i), 1, world.Quick(world.Settings{"trigger.orders": w.Trigger(stream, world.Group)}))
	}
	for i := range 60 {
		if i == 30 { // every watch breaks and begins anew
			w.RestartAPIServer()
		}
		for _, pause := range []string{"true", ""} {
			if err := w.Annotate("worker", world.Settings{"pause": pause}); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.WantCounts("worker", 2)
	w.Add(client, stream, 20)
	w.AwaitReplicas("worker", 6, world.Soon)
	w.AwaitCondition("worker", "Paused", "False", "NotPaused")
	if err := w.Annotate("worker", world.Settings{"pause": "true"}); err != nil {
		t.Fatal(err)
	}
	w.AwaitCondition("worker", "Paused", "True", "Paused")
	w.Add(client, stream, 20)
	w.AwaitDecisions("worker", 3)
	w.WantCounts("worker", 2, 6)
}

func byHand(t *testing.T, w *world.World) {
	stream, client := w.Stream("s"), w.Redis.Client()
	w.Group(client, stream, "0")
	w.Add(client, stream, 50)
	w.Create("active", 10, world.Quick(world.Settings{
		"trigger.orders": w.Trigger(stream, world.Group),
		"behavior":       "{scaleDown: {stabilizationWindowSeconds: 0, policies: [{type: Pods, value: 3, periodSeconds: 2}]}}",
	}))
	w.AwaitValue("active", "orders", "50")
	w.ScaleByHand("active", 20) // above the maximum: answered by the policies
	w.AwaitEvent("active", "ScaledByOther", `^kubectl \(scale\) changed replicas from 10 to 20$`)
	w.AwaitCounts("active", 10, 20, 17, 14, 11, 10)
	w.ScaleByHand("active", 4) // within the bounds: answered at once
	w.AwaitCounts("active", 10, 20, 17, 14, 11, 10, 4, 10)
	w.ScaleByHand("active", 0)
	w.AwaitDecisions("active", 3)
	w.WantCounts("active", 10, 20, 17, 14, 11, 10, 4, 10, 0)
	w.AwaitCondition("active", "Active", "False", "ZeroByUser")
	w.ScaleByHand("active", 1)
	w.AwaitReplicas("active", 10, world.Soon)

	idle := w.Stream("idle")
	w.Group(client, idle, "0")
	w.Create("inactive", 1, world.Quick(world.Settings{"cooldown": "1h", "trigger.orders": w.Trigger(idle, world.Group)}))
	w.AwaitValue("inactive", "orders", "0")
	w.ScaleByHand("inactive", 0)
	w.AwaitCondition("inactive", "Active", "False", "ZeroByUser")
	w.Add(client, idle, 5)
	w.AwaitValue("inactive", "orders", "5")
	w.AwaitDecisions("inactive", 3)
	w.WantCounts("inactive", 1, 0)

	w.Create("paused", 2, world.Quick(world.Settings{"pause": "true", "trigger.orders": w.Trigger(stream, world.Group)}))
	w.AwaitValue("paused", "orders", "50")
	for _, count := range []int32{20, 0, 3} {
		w.ScaleByHand("paused", count)
		w.AwaitReplicas("paused", count, world.Soon)
		w.AwaitDecisions("paused", 3)
	}
	w.WantCounts("paused", 2, 20, 0, 3)
}
