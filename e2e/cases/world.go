package cases

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"autoscale.io/e2e/cluster"
	"autoscale.io/e2e/product"
	"autoscale.io/e2e/rights"
	"autoscale.io/scalers/scalertest/servers"
)

// common is what all cases share: one cluster, one autoscaler, one Redis.
type common struct {
	cluster *cluster.Cluster
	product *product.Product
	scaler  *product.Autoscaler
	kube    kubernetes.Interface
	redis   *servers.Redis
	// kubectl is the real one.
	kubectlPath string
	// starts are those of the API server since the first.
	starts []span
}

var shared *common //nolint:gochecknoglobals // TestMain has no other way to hand it to the tests

// runWorld starts everything, runs the tests and ends everything.
func runWorld(m *testing.M) (code int, err error) {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "autoscale-cases-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	binaries, err := cluster.Build(ctx, cluster.BuildOptions{Progress: os.Stderr})
	if err != nil {
		return 1, err
	}
	requests, audit, err := rights.NewLog(dir, account)
	if err != nil {
		return 1, err
	}
	c, err := cluster.Start(ctx, cluster.Options{
		Binaries: binaries, MetricsServer: true, MetricResolution: 10 * time.Second,
		// The controllers' own limits would leave them behind for a minute after a case with a thousand Deployments, and every case after it would wait for them.
		Args: map[string][]string{cluster.APIServer: audit, cluster.ControllerManager: {"--kube-api-qps=1000", "--kube-api-burst=2000"}},
	})
	if err != nil {
		return 1, err
	}
	defer func() { _ = c.Stop() }() // the tests have their result already
	redis, err := servers.StartRedis(ctx, servers.RedisOptions{})
	if err != nil {
		return 1, err
	}
	defer redis.Stop()
	shared, err = start(ctx, c, redis, dir)
	if err != nil {
		return 1, err
	}
	shared.kubectlPath = binaries.Path(cluster.Kubectl)
	defer func() { _ = shared.scaler.Stop() }() // the tests have their result already
	code = m.Run()
	if code != 0 {
		fmt.Fprintln(os.Stderr, "the end of the autoscaler's log:\n"+shared.scaler.LogTail())
	}
	return code, errors.Join(cleanLog(shared.scaler.Log()), nothingRefused(requests, shared.starts))
}

// nothingRefused looks for requests of the autoscaler that its rights did not allow, in cases that leave them as they are.
func nothingRefused(log *rights.Log, starts []span) error {
	requests, err := log.Read()
	if err != nil {
		return err
	}
	var faults []error
	for _, r := range requests {
		wanted := slices.ContainsFunc(All(), func(c Case) bool { return c.Refused && strings.HasPrefix(r.Namespace, strings.ToLower(c.ID)+"-") })
		if r.Denied && !r.Asked && !wanted && !slices.ContainsFunc(starts, func(s span) bool { return s.holds(r.At) }) {
			faults = append(faults, fmt.Errorf("the autoscaler was refused at %s: %s in namespace %q", r.At.Format(time.TimeOnly), r.Grant, r.Namespace))
		}
	}
	return errors.Join(faults...)
}

// span is a time in which the API server started: it refuses everything until it has read its roles.
type span struct{ from, until time.Time }

func (s span) holds(at time.Time) bool { return !at.Before(s.from) && !at.After(s.until) }

func (w *World) restartAPIServer() {
	w.t.Helper()
	from := time.Now()
	if err := w.cluster.APIServer.Restart(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	shared.starts = append(shared.starts, span{from, time.Now()}) // cases that do this run alone
}

// cleanLog looks for what no case may cause: a panic, or with GOFLAGS=-race a data race.
func cleanLog(path string) error {
	log, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, word := range []string{"DATA RACE", "panic"} {
		if at := strings.Index(string(log), word); at >= 0 {
			return fmt.Errorf("the autoscaler's log has %q:\n%s", word, log[max(0, at-500):min(len(log), at+3000)])
		}
	}
	return nil
}

func start(ctx context.Context, c *cluster.Cluster, redis *servers.Redis, dir string) (*common, error) {
	kube, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		return nil, err
	}
	binary, err := product.Build(ctx, dir, os.Stderr)
	if err != nil {
		return nil, err
	}
	p, err := product.Install(ctx, c, binary, dir)
	if err != nil {
		return nil, err
	}
	if err := c.Apply(ctx, []byte(extraRole)); err != nil {
		return nil, err
	}
	scaler, err := p.Start(ctx, "autoscaler", flags()...)
	if err != nil {
		return nil, err
	}
	return &common{cluster: c, product: p, scaler: scaler, kube: kube, redis: redis}, nil
}

// flags of the autoscaler: short leases, since some cases kill it; a sweep every few seconds, since some do without the webhook.
func flags() []string {
	return []string{"--lease-duration=4s", "--lease-renew-deadline=3s", "--lease-retry-period=1s", "--sweep-interval=5s", extraKinds}
}

// start runs an autoscaler beside the shared one. It has a class of its own, so neither takes part in what is the other's, and serves no webhook, so it adopts what
// carries its class by the sweep. args are more flags, which win.
func (w *World) start(class, name string, args ...string) *product.Autoscaler {
	w.t.Helper()
	a, err := w.product.Start(w.t.Context(), w.Namespace+"-"+name, append([]string{"--class=" + class, "--webhook=false"}, args...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if w.t.Failed() {
			w.t.Logf("the end of the log of %s:\n%s", a.Name(), a.LogTail())
		}
		_ = a.Stop() // the case has its result
	})
	return a
}

// with is the case with another autoscaler in the place of the shared one, for what is read off its metrics.
func (w *World) with(a *product.Autoscaler) *World {
	parts, other := *w.common, *w
	parts.scaler, other.common = a, &parts
	return &other
}

// World is what one case works with: the shared parts and a namespace of its own.
type World struct {
	*common
	t         *testing.T
	Namespace string
	changes   *recorder
}

// enter gives a case its namespace and begins to record the counts in it.
func (c *common) enter(t *testing.T, id string) *World {
	t.Helper()
	name, err := c.cluster.Namespace(t.Context(), strings.ToLower(id))
	if err != nil {
		t.Fatal(err)
	}
	w := &World{common: c, t: t, Namespace: name}
	w.changes = record(t, c.kube, name)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("counts seen:\n" + w.changes.String())
			w.dumpEvents()
		}
		// The test's own context has ended by now.
		if err := c.cluster.DeleteNamespace(context.Background(), name); err != nil {
			t.Log(err)
		}
	})
	return w
}

func (w *World) dumpEvents() {
	events, err := w.kube.EventsV1().Events(w.Namespace).List(context.Background(), metav1.ListOptions{})
	if err != nil {
		return
	}
	for _, e := range events.Items {
		if e.ReportingController == "autoscale.io" {
			w.t.Logf("event %s/%s %s: %s", e.Regarding.Kind, e.Regarding.Name, e.Reason, e.Note)
		}
	}
}

// Stream is a Redis key of this case alone.
func (w *World) Stream(name string) string { return w.Namespace + ":" + name }

// Settings are annotations without their prefix.
type Settings map[string]string

// quick are settings that make a case short: one read a second, no window on the way down, a cooldown of a few seconds.
func quick(more Settings) Settings {
	s := Settings{
		"min-replicas": "0", "max-replicas": "10", "polling-interval": "1s", "cooldown": "3s",
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

func (s Settings) annotations() map[string]string {
	full := map[string]string{}
	for key, value := range s {
		full["autoscale.io/"+key] = value
	}
	return full
}

// trigger is a redis-streams trigger on the shared Redis with a target of 5, plus more parameters in flow YAML.
func (w *World) trigger(stream, more string) string { return triggerAt(w.redis.Addr(), stream, more) }

func triggerAt(address, stream, more string) string {
	return fmt.Sprintf("{type: redis-streams, address: %q, stream: %q, target: 5%s}", address, stream, more)
}

// deployment is a manifest as a user would write it.
func (w *World) deployment(name string, replicas int32, settings Settings) *appsv1.Deployment {
	labels := map[string]string{"app": name[:min(len(name), 60)]}
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.Namespace, Annotations: settings.annotations()},
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
	w.t.Helper()
	d, err := w.kube.AppsV1().Deployments(w.Namespace).Create(w.t.Context(), w.deployment(name, replicas, settings), metav1.CreateOptions{})
	if err != nil {
		w.t.Fatalf("create %s: %v", name, err)
	}
	return d
}

// Get reads a Deployment.
func (w *World) Get(name string) *appsv1.Deployment {
	w.t.Helper()
	d, err := w.kube.AppsV1().Deployments(w.Namespace).Get(w.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatalf("get %s: %v", name, err)
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
	_, err := w.kube.AppsV1().Deployments(w.Namespace).Patch(w.t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl-annotate"})
	return err
}

// ScaleByHand does what kubectl scale does.
func (w *World) ScaleByHand(name string, replicas int32) {
	w.t.Helper()
	patch := fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas)
	_, err := w.kube.AppsV1().Deployments(w.Namespace).Patch(w.t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl"}, "scale")
	if err != nil {
		w.t.Fatalf("scale %s: %v", name, err)
	}
}

// await polls a condition until it holds; the message of the last failure ends the test.
func (w *World) await(what string, within time.Duration, condition func(context.Context) error) {
	w.t.Helper()
	w.awaitEvery(50*time.Millisecond, what, within, condition)
}

// awaitEvery is await for a condition that costs something.
func (w *World) awaitEvery(pause time.Duration, what string, within time.Duration, condition func(context.Context) error) {
	w.t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(w.t.Context(), pause, within, true, func(ctx context.Context) (bool, error) {
		now := condition(ctx)
		if now == nil || last == nil || ctx.Err() == nil { // that the time is over says nothing of what was wrong
			last = now
		}
		return now == nil, nil
	})
	if err != nil {
		w.t.Fatalf("%s: not within %s: %v", what, within, last)
	}
}
