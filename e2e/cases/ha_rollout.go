package cases

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/scalers/scalertest/servers"
)

// as is the case with a replica in the place of the shared autoscaler.
func (w *World) as(a *replica) *World { return w.with(a.Autoscaler) }

// restartsUnseen kills replicas while workloads are in every state, and lets them and another one go on.
func restartsUnseen(t *testing.T, w *World) {
	const each = 4
	client, r := w.redis.Client(), w.replicas("unseen")
	a := r.start("a")
	busy, idle, away := w.Stream("busy"), w.Stream("idle"), w.behind(0)
	w.add(client, busy, 20)
	w.group(client, idle, "0")
	w.add(client, idle, 20)
	states := map[string]Settings{
		"paused":   {"min-replicas": "1", "pause": "true", "trigger.orders": w.trigger(busy, "")},
		"unpaused": {"min-replicas": "1", "pause": "true", "trigger.orders": w.trigger(busy, "")},
		"full":     {"min-replicas": "1", "max-replicas": "3", "trigger.orders": w.trigger(busy, "")},
		"cooling":  {"cooldown": "10m", "trigger.orders": w.trigger(idle, group)},
		"fallback": {"min-replicas": "1", "fallback": "{after: 1, replicas: 6}", "trigger.orders": away.trigger},
	}
	want := map[string]int32{"paused": 2, "unpaused": 4, "full": 3, "cooling": 1, "fallback": 6}
	var names []string
	for state, settings := range states {
		settings["class"] = r.class
		for i := range each {
			name := fmt.Sprintf("%s-%d", state, i)
			names = append(names, name)
			w.Create(name, 2, quick(settings))
		}
	}
	for i := range each {
		name := fmt.Sprintf("unpaused-%d", i)
		w.as(a).AwaitDecisions(name, 1)
		if err := w.Annotate(name, Settings{"pause": ""}); err != nil {
			t.Fatal(err)
		}
	}
	away.set(t, servers.Refuse)
	w.read(client, idle, 20, true)
	state := func(name string) string { return name[:strings.IndexByte(name, '-')] }
	for _, name := range names {
		w.AwaitReplicas(name, want[state(name)], soon)
	}
	quiet := func(by *replica) {
		t.Helper()
		for state := range states {
			w.as(by).AwaitDecisions(state+"-0", 3)
		}
		for _, name := range names {
			if last, _ := w.changes.last(name); last.replicas != want[state(name)] {
				t.Errorf("%s had the counts %v, want it left at %d", name, w.changes.counts(name), want[state(name)])
			}
		}
	}
	before := w.changes.String()
	if err := errors.Join(a.Kill(), a.Restart(t.Context())); err != nil {
		t.Fatal(err)
	}
	quiet(a)
	if err := a.Kill(); err != nil {
		t.Fatal(err)
	}
	quiet(r.start("b"))
	if after := len(w.changes.String()); after != len(before) {
		t.Errorf("counts have changed:\n%s\nbefore:\n%s", w.changes, before)
	}
}

// teardown deletes namespaces whose workloads are managed, with nobody there any more who manages them.
func teardown(t *testing.T, w *World) {
	const n = 100
	r := w.replicas("teardown")
	a := r.start("a")
	w.add(w.redis.Client(), r.stream, 10)
	namespaces := make([]string, n)
	for i := range namespaces {
		name, err := w.cluster.Namespace(t.Context(), "le-08")
		if err != nil {
			t.Fatal(err)
		}
		namespaces[i] = name
		d := w.deployment("worker", 1, quick(Settings{"class": r.class, "trigger.orders": w.trigger(r.stream, "")}))
		d.Namespace = name
		if _, err := w.kube.AppsV1().Deployments(name).Create(t.Context(), d, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range namespaces {
		w.await("the workload in "+name+" is managed and scaled", soon, func(ctx context.Context) error {
			d, err := w.kube.AppsV1().Deployments(name).Get(ctx, "worker", metav1.GetOptions{})
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
		if err := w.cluster.DeleteNamespace(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	w.await("no namespace is left", time.Minute, func(ctx context.Context) error {
		for _, name := range namespaces {
			if ns, err := w.kube.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{}); err == nil {
				return fmt.Errorf("%s is there still: %v", name, ns.Status.Conditions)
			}
		}
		return nil
	})
}
