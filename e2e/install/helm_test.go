package install_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"autoscale.io/e2e/product"
)

// upgrade is one of the chart, with what is there afterwards.
type upgrade struct {
	name   string
	values map[string]any
	// reuse keeps the values of before.
	reuse    bool
	replicas int32
	policy   bool
}

// wantUpgraded looks at the install before the new pods have had a say.
func (l *lab) wantUpgraded(t *testing.T, u upgrade, bundle []byte) {
	t.Helper()
	if after := l.bundle(t); len(after) == 0 || !bytes.Equal(after, bundle) {
		t.Errorf("%s: the webhook's authority has changed from\n%s\nto\n%s", u.name, bundle, after)
	}
	if got := l.get(t, product.Namespace, "autoscaler"); *got.Spec.Replicas != u.replicas || got.Status.UpdatedReplicas != u.replicas {
		t.Errorf("%s: %d replicas, %d of them updated; want %d", u.name, *got.Spec.Replicas, got.Status.UpdatedReplicas, u.replicas)
	}
	_, err := l.run(t.Context(), "--namespace", product.Namespace, "get", "networkpolicy", "autoscaler")
	if found := err == nil; found != u.policy {
		t.Errorf("%s: there is a network policy: %v", u.name, found)
	}
}

// withHelm installs the chart, upgrades it four times, each with a new process as the pods would be new, and uninstalls it.
func withHelm(t *testing.T, l *lab) {
	chart := chartIn(t, product.Namespace)
	if err := chart.Connect(l.cluster.Kubeconfig()); err != nil {
		t.Fatal(err)
	}
	if err := chart.Install(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := l.run(context.Background(), "delete", "namespace", product.Namespace); err != nil {
			t.Error(err)
		}
	})
	// From here on the pods of the upgrades have to keep to it.
	l.must(t, "label", "namespace", product.Namespace, "pod-security.kubernetes.io/enforce=restricted")
	running := l.start(t, "first")
	l.namespace(t, "shop")
	seen := l.record(t, "shop")
	before := l.awaitWebhook(t, "shop")
	l.create(t, "shop", "web")
	l.awaitReplicas(t, "shop", "web", wanted)
	l.sleeper(t, "shop", "asleep")
	for _, u := range []upgrade{
		{"nothing new", nil, false, 2, false},
		{"new values", map[string]any{"replicas": 3, "podLabels": map[string]any{"team": "platform"}}, false, 3, false},
		{"reused values", nil, true, 3, false},
		{"reused and new values", map[string]any{"networkPolicy": true, "podLabels": map[string]any{"team": "base"}}, true, 3, true},
	} {
		if err := chart.Upgrade(t.Context(), u.values, u.reuse); err != nil {
			t.Fatalf("%s: %v", u.name, err)
		}
		l.wantUpgraded(t, u, before)
		next := l.start(t, u.name)
		if err := running.Stop(); err != nil {
			t.Error(err)
		}
		running = next
		if after := l.awaitWebhook(t, "shop"); !bytes.Equal(after, before) {
			t.Errorf("%s: the new process has changed the webhook's authority from\n%s\nto\n%s", u.name, before, after)
		}
	}
	if err := chart.Uninstall(); err != nil {
		t.Fatal(err)
	}
	if err := running.Stop(); err != nil {
		t.Error(err)
	}
	l.wantNothing(t)
	seen.want(t, "web", written, wanted)
	seen.want(t, "asleep", written, 1, 0)
	l.wantFree(t, "shop", "web", time.Second)
	seen.want(t, "web", written, wanted, 5)
}
