package ha

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/e2e/world"
	"autoscale.io/scalers/scalertest/servers"
)

// as is the case with a replica in the place of the shared autoscaler.
func as(w *world.World, a *replica) *world.World { return w.With(a.Autoscaler) }

// restartsUnseen kills replicas while workloads are in every state, and lets them and another one go on.
func restartsUnseen(t *testing.T, w *world.World) {
	const each = 4
	client, r := w.Redis.Client(), newReplicas(w, "unseen")
	a := r.start("a")
	busy, idle, away := w.Stream("busy"), w.Stream("idle"), w.Behind(0)
	w.Add(client, busy, 20)
	w.Group(client, idle, "0")
	w.Add(client, idle, 20)
	states := map[string]world.Settings{
		"paused":   {"min-replicas": "1", "pause": "true", "trigger.orders": w.Trigger(busy, "")},
		"unpaused": {"min-replicas": "1", "pause": "true", "trigger.orders": w.Trigger(busy, "")},
		"full":     {"min-replicas": "1", "max-replicas": "3", "trigger.orders": w.Trigger(busy, "")},
		"cooling":  {"cooldown": "10m", "trigger.orders": w.Trigger(idle, world.Group)},
		"fallback": {"min-replicas": "1", "fallback": "{after: 1, replicas: 6}", "trigger.orders": away.Trigger},
	}
	want := map[string]int32{"paused": 2, "unpaused": 4, "full": 3, "cooling": 1, "fallback": 6}
	var names []string
	for state, settings := range states {
		settings["class"] = r.class
		for i := range each {
			name := fmt.Sprintf("%s-%d", state, i)
			names = append(names, name)
			w.Create(name, 2, world.Quick(settings))
		}
	}
	for i := range each {
		name := fmt.Sprintf("unpaused-%d", i)
		as(w, a).AwaitDecisions(name, 1)
		if err := w.Annotate(name, world.Settings{"pause": ""}); err != nil {
			t.Fatal(err)
		}
	}
	away.Set(t, servers.Refuse)
	w.Read(client, idle, 20, true)
	state := func(name string) string { return name[:strings.IndexByte(name, '-')] }
	for _, name := range names {
		w.AwaitReplicas(name, want[state(name)], world.Soon)
	}
	quiet := func(by *replica) {
		t.Helper()
		for state := range states {
			as(w, by).AwaitDecisions(state+"-0", 3)
		}
		for _, name := range names {
			if last, _ := w.Changes.Last(name); last.Replicas != want[state(name)] {
				t.Errorf("%s had the counts %v, want it left at %d", name, w.Changes.Counts(name), want[state(name)])
			}
		}
	}
	before := w.Changes.String()
	if err := errors.Join(a.Kill(), a.Restart(t.Context())); err != nil {
		t.Fatal(err)
	}
	quiet(a)
	if err := a.Kill(); err != nil {
		t.Fatal(err)
	}
	quiet(r.start("b"))
	if after := len(w.Changes.String()); after != len(before) {
		t.Errorf("counts have changed:\n%s\nbefore:\n%s", w.Changes, before)
	}
}

// teardown deletes namespaces whose workloads are managed, with nobody there any more who manages them.
func teardown(t *testing.T, w *world.World) {
	const n = 100
	r := newReplicas(w, "teardown")
	a := r.start("a")
	w.Add(w.Redis.Client(), r.stream, 10)
	namespaces := make([]string, n)
	for i := range namespaces {
		name, err := w.Cluster.Namespace(t.Context(), "le-08")
		if err != nil {
			t.Fatal(err)
		}
		namespaces[i] = name
		d := w.Deployment("worker", 1, world.Quick(world.Settings{"class": r.class, "trigger.orders": w.Trigger(r.stream, "")}))
		d.Namespace = name
		if _, err := w.Kube.AppsV1().Deployments(name).Create(t.Context(), d, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range namespaces {
		w.Await("the workload in "+name+" is managed and scaled", world.Soon, func(ctx context.Context) error {
			d, err := w.Kube.AppsV1().Deployments(name).Get(ctx, "worker", metav1.GetOptions{})
			if err != nil {
				return err
			}
			if n := *d.Spec.Replicas; n != 2 {
				return fmt.Errorf("it has %d replicas", n)
			}
			if len(d.Finalizers) > 0 {
				t.Errorf("%s has finalizers %v", name, d.Finalizers)
			}
			return nil
		})
	}
	if err := a.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, name := range namespaces {
		if err := w.Cluster.DeleteNamespace(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	w.Await("no namespace is left", time.Minute, func(ctx context.Context) error {
		for _, name := range namespaces {
			if ns, err := w.Kube.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{}); err == nil {
				return fmt.Errorf("%s is there still: %v", name, ns.Status.Conditions)
			}
		}
		return nil
	})
}
