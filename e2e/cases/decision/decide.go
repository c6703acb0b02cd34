package decision

import (
	"context"
	"fmt"
	"testing"
	"time"

	"autoscale.io/e2e/product"
	"autoscale.io/e2e/world"
	"autoscale.io/scalers/scalertest/servers"
)

func decideCases() []world.Case {
	return []world.Case{
		{ID: "HA-01", Symptom: "one trigger says down, the other cannot be read, and the count falls", Holds: "the count holds, and still rises by the one that can be read", In: world.Test, Run: oneUnknown},
		{ID: "HA-02", Symptom: "one broken metric stops all scaling, also up", Holds: "up is allowed while another trigger cannot be read", In: world.Soak, Run: brokenSideMetric},
		{ID: "HA-11", Symptom: "after a restart or a change of the leader the first low sample scales down at once", Holds: "the windows begin full", In: world.Soak, Own: true, Run: restartKeepsWindows},
		{ID: "HA-13", Symptom: "a workload whose source or Secret comes later is scaled by a default that nobody chose, for good", Holds: "the count holds until the source is there, then it is right", In: world.Soak, Run: lateSource},
		{ID: "HA-14", Symptom: "an edit of the configuration drops a busy workload to its minimum", Holds: "the count moves by the new arithmetic only", In: world.Soak, Run: edits},
		{ID: "HA-15", Symptom: "a scale-down during a rollout takes more pods than the rollout promised", Holds: "no scale-down while a rollout replaces pods; up is allowed", In: world.Soak, Run: duringRollout},
		{ID: "CM-01", Symptom: "the surge of a rollout is read back as the count, and each deploy grows the fleet", Holds: "the present count is that of the spec", In: world.Soak, Run: surge},
	}
}

func oneUnknown(t *testing.T, w *world.World) {
	stream, other := w.Stream("s"), w.Behind(40)
	w.Group(w.Redis.Client(), stream, "0")
	w.Add(w.Redis.Client(), stream, 5)
	w.Create("worker", 8, world.Quick(world.Settings{"trigger.a": w.Trigger(stream, world.Group), "trigger.b": other.Trigger}))
	w.AwaitValue("worker", "b", "40")
	other.Set(t, servers.Refuse)
	w.AwaitKnown("worker", "b", "0")
	w.AwaitDecisions("worker", 5)
	w.WantCounts("worker", 8)
	w.Add(w.Redis.Client(), stream, 55)
	w.AwaitReplicas("worker", 10, world.Soon)
	w.WantCounts("worker", 8, 10)
}

func brokenSideMetric(t *testing.T, w *world.World) {
	stream, other := w.Stream("s"), w.Behind(0)
	w.Group(w.Redis.Client(), stream, "0")
	other.Set(t, servers.Refuse)
	w.Create("worker", 1, world.Quick(world.Settings{"min-replicas": "1", "trigger.a": w.Trigger(stream, world.Group), "trigger.b": other.Trigger}))
	w.Create("asleep", 0, world.Quick(world.Settings{"trigger.a": w.Trigger(stream, world.Group), "trigger.b": other.Trigger}))
	for _, name := range []string{"worker", "asleep"} {
		w.AwaitKnown(name, "b", "0")
	}
	w.Add(w.Redis.Client(), stream, 200)
	for name, from := range map[string]int32{"worker": 1, "asleep": 0} {
		w.AwaitReplicas(name, 10, world.Soon)
		w.WantCounts(name, from, 10)
	}
}

// restartKeepsWindows kills the autoscaler twice: it starts again, and then another replica takes over from it.
func restartKeepsWindows(t *testing.T, w *world.World) {
	const window = 6 * time.Second
	client := w.Redis.Client()
	survives := func(name string, goOn func()) {
		t.Helper()
		stream := w.Stream(name)
		w.Group(client, stream, "0")
		w.Add(client, stream, 50)
		w.Create(name, 10, world.Quick(world.Settings{
			"min-replicas": "1", "trigger.orders": w.Trigger(stream, world.Group),
			"behavior": fmt.Sprintf("{scaleDown: {stabilizationWindowSeconds: %d}}", int(window.Seconds())),
		}))
		w.AwaitValue(name, "orders", "50")
		w.Read(client, stream, 50, true)
		w.AwaitValue(name, "orders", "0")
		w.AwaitDecisions(name, 3)
		w.Kill()
		killed := time.Now()
		goOn()
		w.AwaitReplicas(name, 1, time.Minute)
		w.WantCounts(name, 10, 1)
		if after := w.FirstFall(name).Sub(killed); after < window {
			t.Errorf("%s fell %s after the autoscaler was killed, before the window of %s was over", name, after, window)
		}
	}
	survives("restart", w.Restart)
	var standby *product.Autoscaler
	survives("new-leader", func() {
		standby = w.StartAutoscaler(w.Class, "standby", append(world.Flags(), "--sweep-interval=1s")...)
	})
	w.Restart()
	if err := standby.Stop(); err != nil {
		t.Fatal(err)
	}
	w.Create("after", 0, world.Quick(world.Settings{"trigger.orders": w.Trigger(w.Stream("restart"), "")}))
	w.AwaitDecisions("after", 1) // the first replica leads again
}

func lateSource(t *testing.T, w *world.World) {
	source := w.Behind(28)
	source.Set(t, servers.Refuse)
	if err := source.Client.ConfigSet(t.Context(), "requirepass", "s3cret").Err(); err != nil {
		t.Fatal(err)
	}
	trigger := source.Trigger[:len(source.Trigger)-1] + ", passwordFrom: {secret: redis, key: password}}"
	w.Create("busy", 3, world.Quick(world.Settings{"trigger.orders": trigger}))
	w.Create("asleep", 0, world.Quick(world.Settings{"trigger.orders": trigger}))
	w.AwaitEvent("busy", "TriggerUnknown", `secrets "redis" not found`)
	w.AwaitDecisions("busy", 3)
	source.Set(t, servers.Pass)
	w.AwaitDecisions("busy", 3)
	w.Secret("redis", "s3cret")
	for name, from := range map[string]int32{"busy": 3, "asleep": 0} {
		w.AwaitReplicas(name, 6, 10*time.Second)
		w.WantCounts(name, from, 6)
	}
}

func edits(t *testing.T, w *world.World) {
	stream := w.Stream("s")
	w.Group(w.Redis.Client(), stream, "0")
	w.Add(w.Redis.Client(), stream, 50)
	w.Create("worker", 1, world.Quick(world.Settings{"min-replicas": "1", "trigger.orders": w.Trigger(stream, world.Group)}))
	w.AwaitReplicas("worker", 10, world.Soon)
	aside := fmt.Sprintf("{type: redis-streams, address: %q, stream: aside, target: 5, passwordFrom: {secret: none, key: password}}", w.Redis.Addr())
	for _, edit := range []world.Settings{
		{"polling-interval": "2s"}, {"polling-interval": "1s"}, {"cooldown": "1s"}, {"max-replicas": "12"}, {"trigger.a": aside}, {"trigger.a": ""},
		{"behavior": "{scaleDown: {stabilizationWindowSeconds: 0, policies: [{type: Percent, value: 100, periodSeconds: 1}]}}"},
	} {
		if err := w.Annotate("worker", edit); err != nil {
			t.Fatal(err)
		}
		w.AwaitDecisions("worker", 3)
		w.WantCounts("worker", 1, 10)
	}
	if err := w.Annotate("worker", world.Settings{"trigger.orders": fmt.Sprintf("{type: redis-streams, address: %q, stream: %q, target: 6, consumerGroup: workers}", w.Redis.Addr(), stream)}); err != nil {
		t.Fatal(err)
	}
	w.AwaitReplicas("worker", 9, world.Soon)
	w.AwaitDecisions("worker", 3)
	w.WantCounts("worker", 1, 10, 9)
}

// slowRollout is a Deployment whose rollouts take a while: a new pod counts as available after some seconds.
func slowRollout(w *world.World, name string, replicas int32, surge string, settings world.Settings) {
	w.T.Helper()
	d := w.Deployment(name, replicas, settings)
	d.Spec.MinReadySeconds = 3
	w.Surging(d, surge)
}

func duringRollout(t *testing.T, w *world.World) {
	stream, client := w.Stream("s"), w.Redis.Client()
	w.Group(client, stream, "0")
	w.Add(client, stream, 20)
	slowRollout(w, "worker", 4, "1", world.Quick(world.Settings{"min-replicas": "1", "trigger.orders": w.Trigger(stream, world.Group)}))
	w.RollOut("worker", "two")
	w.Read(client, stream, 20, true)
	w.Await("the reason of the decision is RollingOut", world.Soon, func(ctx context.Context) error {
		_, err := w.Metric(ctx, "autoscale_workload_desired_replicas", "worker", `reason="RollingOut"`)
		return err
	})
	w.Add(client, stream, 30)
	w.AwaitReplicas("worker", 6, world.Soon)
	w.Read(client, stream, 30, true)
	w.Await("the end of the rollout", time.Minute, func(context.Context) error {
		d := w.Get("worker")
		rolling := d.Status.ObservedGeneration == d.Generation && d.Status.UpdatedReplicas < d.Status.Replicas
		if rolling && (*d.Spec.Replicas < 6 || d.Status.AvailableReplicas < 4) {
			t.Fatalf("during the rollout it has %d replicas and %d of them are available: %+v", *d.Spec.Replicas, d.Status.AvailableReplicas, d.Status)
		}
		if *d.Spec.Replicas != 1 {
			return fmt.Errorf("%d replicas, %d of %d pods are new", *d.Spec.Replicas, d.Status.UpdatedReplicas, d.Status.Replicas)
		}
		return nil
	})
	w.WantCounts("worker", 4, 6, 1)
}

func surge(t *testing.T, w *world.World) {
	stream := w.Stream("s")
	w.Group(w.Redis.Client(), stream, "0")
	w.Add(w.Redis.Client(), stream, 5)
	level := fmt.Sprintf("{type: redis-streams, address: %q, stream: %q, consumerGroup: workers, target: 5, metricType: Value}", w.Redis.Addr(), stream)
	slowRollout(w, "worker", 4, "100%", world.Quick(world.Settings{"min-replicas": "1", "trigger.orders": level}))
	fewerPodsThanReplicas(w, level)
	w.RollOut("worker", "two")
	most := int32(0)
	w.Await("the end of the rollout", time.Minute, func(context.Context) error {
		d := w.Get("worker")
		most = max(most, d.Status.Replicas)
		if d.Status.ObservedGeneration != d.Generation || d.Status.UpdatedReplicas != d.Status.Replicas || d.Status.AvailableReplicas != 4 {
			return fmt.Errorf("%d of %d pods are new", d.Status.UpdatedReplicas, d.Status.Replicas)
		}
		return nil
	})
	if most <= 4 {
		t.Errorf("the rollout had at most %d pods, so there was no surge to see", most)
	}
	w.AwaitDecisions("worker", 3)
	w.WantCounts("worker", 4)
}

// fewerPodsThanReplicas has a workload whose status stays below its spec, since a pod like its own cannot be made.
func fewerPodsThanReplicas(w *world.World, trigger string) {
	w.T.Helper()
	d := w.Deployment("short", 4, world.Quick(world.Settings{"min-replicas": "1", "trigger.orders": trigger}))
	d.Spec.Template.Spec.ServiceAccountName = "nobody"
	w.CreateDeployment(d)
	w.AwaitDecisions("short", 4)
	if got := w.Get("short").Status.Replicas; got != 0 {
		w.T.Errorf("it has %d pods, so its status is not below its spec", got)
	}
	w.WantCounts("short", 4)
}
