// Package world is what field cases work with: one cluster, one installed autoscaler and one Redis for all of them, and
// for each case a namespace of its own, a record of all replica counts in it, and methods that do what users and tools do.
//
// It owns their start and their end, and how many cases run at a time. It knows no case: those are the packages below
// cases. What only one family needs belongs into that family.
package world

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"autoscale.io/annotations"
	"autoscale.io/e2e/product"
	"autoscale.io/scalers/scalertest/ports"
	"autoscale.io/scalers/scalertest/servers"
)

// RestartAPIServer restarts the API server of all; only for cases that run alone.
func (w *World) RestartAPIServer() {
	w.T.Helper()
	w.needsAlone("restart the API server")
	from := time.Now()
	if err := w.Cluster.APIServer.Restart(w.T.Context()); err != nil {
		w.T.Fatal(err)
	}
	w.addStart(span{from, time.Now()})
}

// Flags are those of an autoscaler here: Leases that a busy machine does not take away, and that do not hold up for long
// who takes over; a sweep every few seconds, since some cases do without the webhook.
func Flags() []string {
	return []string{"--lease-duration=10s", "--lease-renew-deadline=8s", "--lease-retry-period=1s", "--sweep-interval=5s", extraKinds}
}

// StartAutoscaler runs an autoscaler beside the shared one. It has a class of its own, so neither takes part in what is the other's, and serves no webhook, so it adopts what
// carries its class by the sweep. args are more flags, which win.
func (w *World) StartAutoscaler(class, name string, args ...string) *product.Autoscaler {
	w.T.Helper()
	return w.startIn(w.Product, class, name, args...)
}

func (w *World) startIn(p *product.Product, class, name string, args ...string) *product.Autoscaler {
	w.T.Helper()
	a, err := p.Start(w.T.Context(), w.Namespace+"-"+name, append([]string{"--class=" + class, "--webhook=false"}, args...)...)
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() {
		if w.T.Failed() {
			w.T.Logf("the end of the log of %s:\n%s", a.Name(), a.LogTail())
		}
		_ = a.Stop() // the case has its result
		if err := cleanLog(a.Log()); err != nil {
			w.T.Error(err)
		}
	})
	return a
}

// With is the case with another autoscaler in the place of the shared one, for what is read off its metrics.
func (w *World) With(a *product.Autoscaler) *World {
	other := *w
	other.Scaler = a
	return &other
}

// World is what one case works with: the shared parts and a namespace of its own.
type World struct {
	*common
	T         *testing.T
	Namespace string
	// Scaler is the shared autoscaler, or one of the case's own.
	Scaler *product.Autoscaler
	// Class is that of the case's own autoscaler: the workloads that the methods of World make are of that class, so the
	// shared autoscaler and its webhook leave them alone, and the case's own adopts them by its sweep, within a second.
	// It is empty while Scaler is the shared one.
	Class   string
	Redis   *servers.Redis
	Changes *recorder

	alone bool
}

// Own starts an autoscaler for this case alone, which replaces the shared one from now on.
func (w *World) Own() {
	w.T.Helper()
	w.Class = w.Namespace
	w.Scaler = w.StartAutoscaler(w.Class, "own", append(Flags(), "--sweep-interval=1s")...)
}

// OwnInstall installs the manifests once more for this case alone and starts an autoscaler from there, which replaces the
// shared one from now on. It has an account and permissions of its own, whose cluster-wide names end with what is
// returned, and a webhook of its own.
func (w *World) OwnInstall() (ending string) {
	w.T.Helper()
	name := "own-" + w.Namespace
	webhook, err := ports.Reserve()
	if err != nil {
		w.T.Fatal(err)
	}
	p, err := w.Product.Another(w.T.Context(), product.Another{Name: name, Webhook: webhook.String(), Only: []string{w.Namespace}})
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() {
		if err := p.Uninstall(context.Background()); err != nil {
			w.T.Error(err)
		}
	})
	w.Class = name
	w.Scaler = w.startIn(p, w.Class, "own", append(Flags(), "--sweep-interval=1s", "--webhook=true",
		"--webhook-port="+webhook.Digits(), "--certs=self-signed", "--cert-hosts="+ports.Loopback)...)
	w.AwaitWebhook(true)
	return "-" + name
}

// annotations are those of a workload with settings, of the class of the case's autoscaler.
func (w *World) annotations(settings Settings) map[string]string {
	all := settings.Annotations()
	if class := annotations.Prefix + "class"; w.Class != "" && len(all) > 0 && all[class] == "" {
		all[class] = w.Class
	}
	return all
}

// enter gives a case its namespace and begins to record the replica counts in it.
func (c *common) enter(t *testing.T, one Case) *World {
	t.Helper()
	name, err := c.Cluster.Namespace(t.Context(), strings.ToLower(one.ID))
	if err != nil {
		t.Fatal(err)
	}
	if one.Refused {
		c.excuse(name)
	}
	w := &World{common: c, T: t, Namespace: name, Scaler: c.autoscaler, Redis: c.redis, alone: one.Alone}
	w.Changes = record(t, c.Kube, name)
	if one.Own {
		w.Own()
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("counts seen:\n" + w.Changes.String())
			w.dumpEvents()
		}
		// The test's own context has ended by now.
		if err := c.Cluster.DeleteNamespace(context.Background(), name); err != nil {
			t.Log(err)
		}
	})
	return w
}

// dumpEvents logs the events of the autoscaler, a bounded number of them.
func (w *World) dumpEvents() {
	const most = 200
	events, err := w.Kube.EventsV1().Events(w.Namespace).List(context.Background(), metav1.ListOptions{})
	if err != nil {
		return
	}
	for _, e := range events.Items[max(0, len(events.Items)-most):] {
		if e.ReportingController == "autoscale.io" {
			w.T.Logf("event %s/%s %s: %s", e.Regarding.Kind, e.Regarding.Name, e.Reason, e.Note)
		}
	}
}

// Stream is a Redis key of this case alone.
func (w *World) Stream(name string) string { return w.Namespace + ":" + name }

// Settings are annotations without their prefix.
type Settings map[string]string

// Quick are settings that make a case short: a read every half second, no window on the way down, a cooldown of a few seconds.
func Quick(more Settings) Settings {
	s := Settings{
		"min-replicas": "0", "max-replicas": "10", "polling-interval": product.TestInterval, "cooldown": "3s",
		"behavior": "{scaleDown: {stabilizationWindowSeconds: 0}}",
	}
	for key, value := range more {
		if value == "" {
			delete(s, key)
			continue
		}
		s[key] = value
	}
	return s
}

// Annotations are the settings with their prefix.
func (s Settings) Annotations() map[string]string {
	full := map[string]string{}
	for key, value := range s {
		full["autoscale.io/"+key] = value
	}
	return full
}

// Trigger is a redis-streams trigger on the shared Redis with a target of 5, plus more parameters in flow YAML.
func (w *World) Trigger(stream, more string) string { return TriggerAt(w.Redis.Addr(), stream, more) }

// TriggerAt is Trigger on another Redis.
func TriggerAt(address, stream, more string) string {
	return fmt.Sprintf("{type: redis-streams, address: %q, stream: %q, target: 5%s}", address, stream, more)
}

// Deployment is a manifest as a user would write it.
func (w *World) Deployment(name string, replicas int32, settings Settings) *appsv1.Deployment {
	labels := map[string]string{"app": name[:min(len(name), 60)]}
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.Namespace, Annotations: w.annotations(settings)},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "worker", Image: "worker"}}},
			},
		},
	}
}

// Create creates a Deployment and fails the test when it is refused.
func (w *World) Create(name string, replicas int32, settings Settings) *appsv1.Deployment {
	w.T.Helper()
	d, err := w.Kube.AppsV1().Deployments(w.Namespace).Create(w.T.Context(), w.Deployment(name, replicas, settings), metav1.CreateOptions{})
	if err != nil {
		w.T.Fatalf("create %s: %v", name, err)
	}
	return d
}

// Get reads a Deployment.
func (w *World) Get(name string) *appsv1.Deployment {
	w.T.Helper()
	d, err := w.Kube.AppsV1().Deployments(w.Namespace).Get(w.T.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.T.Fatalf("get %s: %v", name, err)
	}
	return d
}

// Annotate changes annotations as kubectl annotate does; an empty value removes one.
func (w *World) Annotate(name string, settings Settings) error {
	var parts []string
	for key, value := range settings {
		text := "null"
		if value != "" {
			text = fmt.Sprintf("%q", value)
		}
		parts = append(parts, fmt.Sprintf("%q:%s", "autoscale.io/"+key, text))
	}
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%s}}}`, strings.Join(parts, ","))
	_, err := w.Kube.AppsV1().Deployments(w.Namespace).Patch(w.T.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl-annotate"})
	return err
}

// ScaleByHand does what kubectl scale does.
func (w *World) ScaleByHand(name string, replicas int32) {
	w.T.Helper()
	patch := fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas)
	_, err := w.Kube.AppsV1().Deployments(w.Namespace).Patch(w.T.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl"}, "scale")
	if err != nil {
		w.T.Fatalf("scale %s: %v", name, err)
	}
}

// Await polls a condition until it holds; the message of the last failure ends the test.
func (w *World) Await(what string, within time.Duration, condition func(context.Context) error) {
	w.T.Helper()
	w.AwaitEvery(50*time.Millisecond, what, within, condition)
}

// AwaitEvery is await for a condition that costs something.
func (w *World) AwaitEvery(pause time.Duration, what string, within time.Duration, condition func(context.Context) error) {
	w.T.Helper()
	var last error
	err := wait.PollUntilContextTimeout(w.T.Context(), pause, within, true, func(ctx context.Context) (bool, error) {
		now := condition(ctx)
		if now == nil || last == nil || ctx.Err() == nil { // that the time is over says nothing of what was wrong
			last = now
		}
		return now == nil, nil
	})
	if err != nil {
		w.T.Fatalf("%s: not within %s: %v", what, within, last)
	}
}

// extraKinds are what the autoscaler manages in these tests beside its defaults, and the rights that this takes: everything that a careless installer might give.
const (
	extraKinds = "--kinds=deployments.apps,statefulsets.apps,replicasets.apps,jobs.batch,cronjobs.batch,rollouts.argoproj.io"
	extraRole  = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: autoscaler-extra-kinds}
rules:
  - {apiGroups: [apps], resources: [replicasets], verbs: [get, list, watch, patch]}
  - {apiGroups: [apps], resources: [replicasets/scale], verbs: [get, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: autoscaler-extra-kinds}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: autoscaler-extra-kinds}
subjects: [{kind: ServiceAccount, name: autoscaler, namespace: autoscale-system}]
`
)
