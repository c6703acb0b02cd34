package cases

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"autoscale.io/e2e/product"
	"autoscale.io/scalers/scalertest/ports"
	"autoscale.io/scalers/scalertest/servers"
)

func decideCases() []Case {
	return []Case{
		{ID: "HA-01", Symptom: "one trigger says down, the other cannot be read, and the count falls", Holds: "the count holds, and still rises by the one that can be read", Run: oneUnknown},
		{ID: "HA-02", Symptom: "one broken metric stops all scaling, also up", Holds: "up is allowed while another trigger cannot be read", Run: brokenSideMetric},
		{ID: "HA-11", Symptom: "after a restart or a change of the leader the first low sample scales down at once", Holds: "the windows begin full", Alone: true, Run: restartKeepsWindows},
		{ID: "HA-13", Symptom: "a workload whose source or Secret comes later is scaled by a default that nobody chose, for good", Holds: "the count holds until the source is there, then it is right", Run: lateSource},
		{ID: "HA-14", Symptom: "an edit of the configuration drops a busy workload to its minimum", Holds: "the count moves by the new arithmetic only", Run: edits},
		{ID: "HA-15", Symptom: "a scale-down during a rollout takes more pods than the rollout promised", Holds: "no scale-down while a rollout replaces pods; up is allowed", Run: duringRollout},
		{ID: "CM-01", Symptom: "the surge of a rollout is read back as the count, and each deploy grows the fleet", Holds: "the present count is that of the spec", Run: surge},
	}
}

// behind is a Redis of the case's own behind a proxy, with a group on the stream jobs, and a trigger on it with a target of 5.
type behind struct {
	proxy   *servers.Proxy
	client  *redis.Client
	trigger string
}

func (w *World) behind(items int) behind {
	w.t.Helper()
	server := servers.MustRedis(w.t, servers.RedisOptions{})
	b := behind{proxy: servers.MustProxy(w.t, server.Addr()), client: server.Client()}
	b.trigger = fmt.Sprintf("{type: redis-streams, address: %q, stream: jobs, consumerGroup: workers, target: 5}", b.proxy.Addr())
	w.group(b.client, "jobs", "0")
	if items > 0 {
		w.add(b.client, "jobs", items)
	}
	return b
}

func (b behind) set(t *testing.T, mode servers.Mode) {
	t.Helper()
	if err := b.proxy.Set(mode); err != nil {
		t.Fatal(err)
	}
}

func oneUnknown(t *testing.T, w *World) {
	stream, other := w.Stream("s"), w.behind(40)
	w.group(w.redis.Client(), stream, "0")
	w.add(w.redis.Client(), stream, 5)
	w.Create("worker", 8, quick(Settings{"trigger.a": w.trigger(stream, group), "trigger.b": other.trigger}))
	w.awaitValue("worker", "b", "40")
	other.set(t, servers.Refuse)
	w.awaitKnown("worker", "b", "0")
	w.AwaitDecisions("worker", 5)
	w.WantCounts("worker", 8)
	w.add(w.redis.Client(), stream, 55)
	w.AwaitReplicas("worker", 10, soon)
	w.WantCounts("worker", 8, 10)
}

func brokenSideMetric(t *testing.T, w *World) {
	stream, other := w.Stream("s"), w.behind(0)
	w.group(w.redis.Client(), stream, "0")
	other.set(t, servers.Refuse)
	w.Create("worker", 1, quick(Settings{"min-replicas": "1", "trigger.a": w.trigger(stream, group), "trigger.b": other.trigger}))
	w.Create("asleep", 0, quick(Settings{"trigger.a": w.trigger(stream, group), "trigger.b": other.trigger}))
	for _, name := range []string{"worker", "asleep"} {
		w.awaitKnown(name, "b", "0")
	}
	w.add(w.redis.Client(), stream, 200)
	for name, from := range map[string]int32{"worker": 1, "asleep": 0} {
		w.AwaitReplicas(name, 10, soon)
		w.WantCounts(name, from, 10)
	}
}

// restartKeepsWindows kills the autoscaler twice: it starts again, and then another replica takes over from it.
func restartKeepsWindows(t *testing.T, w *World) {
	const window = 15 * time.Second
	client := w.redis.Client()
	survives := func(name string, goOn func()) {
		t.Helper()
		stream := w.Stream(name)
		w.group(client, stream, "0")
		w.add(client, stream, 50)
		w.Create(name, 10, quick(Settings{
			"min-replicas": "1", "trigger.orders": w.trigger(stream, group),
			"behavior": fmt.Sprintf("{scaleDown: {stabilizationWindowSeconds: %d}}", int(window.Seconds())),
		}))
		w.awaitValue(name, "orders", "50")
		w.read(client, stream, 50, true)
		w.awaitValue(name, "orders", "0")
		w.AwaitDecisions(name, 3)
		if err := w.scaler.Kill(); err != nil {
			t.Fatal(err)
		}
		killed := time.Now()
		goOn()
		w.AwaitReplicas(name, 1, time.Minute)
		w.WantCounts(name, 10, 1)
		if after := w.firstFall(name).Sub(killed); after < window {
			t.Errorf("%s fell %s after the autoscaler was killed, before the window of %s was over", name, after, window)
		}
	}
	survives("restart", w.restart)
	var standby *product.Autoscaler
	survives("new-leader", func() {
		address, err := ports.Reserve()
		if err != nil {
			t.Fatal(err)
		}
		if standby, err = w.product.Start(t.Context(), "standby", append(flags(), "--webhook-port="+address.Digits())...); err != nil {
			t.Fatal(err)
		}
	})
	w.restart()
	if err := standby.Stop(); err != nil {
		t.Fatal(err)
	}
	w.Create("after", 0, quick(Settings{"trigger.orders": w.trigger(w.Stream("restart"), "")}))
	w.AwaitDecisions("after", 1) // the first replica leads again
}

func lateSource(t *testing.T, w *World) {
	source := w.behind(28)
	source.set(t, servers.Refuse)
	if err := source.client.ConfigSet(t.Context(), "requirepass", "s3cret").Err(); err != nil {
		t.Fatal(err)
	}
	trigger := source.trigger[:len(source.trigger)-1] + ", passwordFrom: {secret: redis, key: password}}"
	w.Create("busy", 3, quick(Settings{"trigger.orders": trigger}))
	w.Create("asleep", 0, quick(Settings{"trigger.orders": trigger}))
	w.AwaitEvent("busy", "TriggerUnknown", `secrets "redis" not found`)
	w.AwaitDecisions("busy", 3)
	source.set(t, servers.Pass)
	w.AwaitDecisions("busy", 3)
	w.secret("redis", "s3cret")
	for name, from := range map[string]int32{"busy": 3, "asleep": 0} {
		w.AwaitReplicas(name, 6, 10*time.Second)
		w.WantCounts(name, from, 6)
	}
}

func edits(t *testing.T, w *World) {
	stream := w.Stream("s")
	w.group(w.redis.Client(), stream, "0")
	w.add(w.redis.Client(), stream, 50)
	w.Create("worker", 1, quick(Settings{"min-replicas": "1", "trigger.orders": w.trigger(stream, group)}))
	w.AwaitReplicas("worker", 10, soon)
	aside := fmt.Sprintf("{type: redis-streams, address: %q, stream: aside, target: 5, passwordFrom: {secret: none, key: password}}", w.redis.Addr())
	for _, edit := range []Settings{
		{"polling-interval": "2s"}, {"polling-interval": "1s"}, {"cooldown": "1s"}, {"max-replicas": "12"}, {"trigger.a": aside}, {"trigger.a": ""},
		{"behavior": "{scaleDown: {stabilizationWindowSeconds: 0, policies: [{type: Percent, value: 100, periodSeconds: 1}]}}"},
	} {
		if err := w.Annotate("worker", edit); err != nil {
			t.Fatal(err)
		}
		w.AwaitDecisions("worker", 3)
		w.WantCounts("worker", 1, 10)
	}
	if err := w.Annotate("worker", Settings{"trigger.orders": fmt.Sprintf("{type: redis-streams, address: %q, stream: %q, target: 6, consumerGroup: workers}", w.redis.Addr(), stream)}); err != nil {
		t.Fatal(err)
	}
	w.AwaitReplicas("worker", 9, soon)
	w.AwaitDecisions("worker", 3)
	w.WantCounts("worker", 1, 10, 9)
}

// slowRollout is a Deployment whose rollouts take a while: a new pod counts as available after some seconds.
func (w *World) slowRollout(name string, replicas int32, surge string, settings Settings) {
	w.t.Helper()
	d := w.deployment(name, replicas, settings)
	d.Spec.MinReadySeconds = 3
	w.surging(d, surge)
}

// surging creates a workload whose rollouts never take a pod before there is another, and waits until it is available.
func (w *World) surging(d *appsv1.Deployment, surge string) {
	w.t.Helper()
	none, more := intstr.FromInt32(0), intstr.Parse(surge)
	d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: &none, MaxSurge: &more}}
	w.create(d)
	w.await(d.Name+" is available", 2*time.Minute, func(context.Context) error {
		if got := w.Get(d.Name).Status.AvailableReplicas; got != *d.Spec.Replicas {
			return fmt.Errorf("%d of %d", got, *d.Spec.Replicas)
		}
		return nil
	})
}

// rollOut changes the image.
func (w *World) rollOut(name, image string) {
	w.t.Helper()
	if out, err := w.kubectlArgs("set", "image", "deployment/"+name, "worker="+image); err != nil {
		w.t.Fatal(out, err)
	}
	w.await("the rollout of "+name+" begins", soon, func(context.Context) error {
		if d := w.Get(name); d.Status.UpdatedReplicas == 0 || d.Status.UpdatedReplicas == d.Status.Replicas {
			return fmt.Errorf("%d of %d pods are new", d.Status.UpdatedReplicas, d.Status.Replicas)
		}
		return nil
	})
}

func duringRollout(t *testing.T, w *World) {
	stream, client := w.Stream("s"), w.redis.Client()
	w.group(client, stream, "0")
	w.add(client, stream, 20)
	w.slowRollout("worker", 4, "1", quick(Settings{"min-replicas": "1", "trigger.orders": w.trigger(stream, group)}))
	w.rollOut("worker", "two")
	w.read(client, stream, 20, true)
	w.await("the reason of the decision is RollingOut", soon, func(ctx context.Context) error {
		_, err := w.metric(ctx, "autoscale_workload_desired_replicas", "worker", `reason="RollingOut"`)
		return err
	})
	w.add(client, stream, 30)
	w.AwaitReplicas("worker", 6, soon)
	w.read(client, stream, 30, true)
	w.await("the end of the rollout", time.Minute, func(context.Context) error {
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

func surge(t *testing.T, w *World) {
	stream := w.Stream("s")
	w.group(w.redis.Client(), stream, "0")
	w.add(w.redis.Client(), stream, 5)
	level := fmt.Sprintf("{type: redis-streams, address: %q, stream: %q, consumerGroup: workers, target: 5, metricType: Value}", w.redis.Addr(), stream)
	w.slowRollout("worker", 4, "100%", quick(Settings{"min-replicas": "1", "trigger.orders": level}))
	w.fewerPodsThanReplicas(level)
	w.rollOut("worker", "two")
	most := int32(0)
	w.await("the end of the rollout", time.Minute, func(context.Context) error {
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
func (w *World) fewerPodsThanReplicas(trigger string) {
	w.t.Helper()
	d := w.deployment("short", 4, quick(Settings{"min-replicas": "1", "trigger.orders": trigger}))
	d.Spec.Template.Spec.ServiceAccountName = "nobody"
	w.create(d)
	w.AwaitDecisions("short", 4)
	if got := w.Get("short").Status.Replicas; got != 0 {
		w.t.Errorf("it has %d pods, so its status is not below its spec", got)
	}
	w.WantCounts("short", 4)
}
