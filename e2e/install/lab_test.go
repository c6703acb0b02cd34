package install_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"autoscale.io/e2e/cluster"
	"autoscale.io/e2e/cluster/clustertest"
	"autoscale.io/e2e/product"
	"autoscale.io/scalers/scalertest/servers"
)

const (
	soon = 30 * time.Second
	// written is the count in the manifest of a workload, wanted the one that its trigger asks for.
	written, wanted = int32(2), int32(6)
)

// lab is a cluster without an autoscaler, and what is installed into it and taken away again by one test after another.
type lab struct {
	cluster *cluster.Cluster
	kube    kubernetes.Interface
	kubectl string
	binary  string
	redis   *servers.Redis
}

// TestSoakOnAPIServer are the installs on a real API server. Each leaves nothing behind for the next.
func TestSoakOnAPIServer(t *testing.T) {
	binaries, err := cluster.Build(t.Context(), cluster.BuildOptions{Progress: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{kubectl: binaries.Path(cluster.Kubectl), redis: servers.MustRedis(t, servers.RedisOptions{})}
	l.cluster = clustertest.Start(t, cluster.Options{Binaries: binaries})
	if l.kube, err = kubernetes.NewForConfig(l.cluster.Config()); err != nil {
		t.Fatal(err)
	}
	if l.binary, err = product.Build(t.Context(), t.TempDir(), os.Stderr); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		run  func(*testing.T, *lab)
	}{
		{"EveryChoiceIsAccepted", everyChoiceIsAccepted},
		{"Kubectl", withKubectl},
		{"Helm", withHelm},
		{"ByNamespace", byNamespace},
		{"Vanished", vanished},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, l) })
	}
}

// run is kubectl with an administrator's rights; an error holds all that it has said.
func (l *lab) run(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, l.kubectl, append([]string{"--kubeconfig", l.cluster.Kubeconfig()}, args...)...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

func (l *lab) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := l.run(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// await polls a condition until it holds; the message of the last failure ends the test.
func await(t *testing.T, what string, condition func(context.Context) error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, soon, true, func(ctx context.Context) (bool, error) {
		last = condition(ctx)
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("%s: not within %s: %v", what, soon, last)
	}
}

// start runs the autoscaler with the arguments of the Deployment that is installed, and leads the Service to it. Its leases are short and its sweeps frequent, so that
// a test need not wait for them.
func (l *lab) start(t *testing.T, name string) *product.Autoscaler {
	t.Helper()
	d, err := l.kube.AppsV1().Deployments(product.Namespace).Get(t.Context(), "autoscaler", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var args []string
	for _, arg := range d.Spec.Template.Spec.Containers[0].Args {
		args = append(args, strings.ReplaceAll(arg, "$(POD_NAME)", name))
	}
	p, err := product.Attach(t.Context(), l.cluster, l.binary, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Reach(t.Context()); err != nil {
		t.Fatal(err)
	}
	a, err := p.Start(t.Context(), name, append(args, "--sweep-interval=2s", "--lease-duration=4s", "--lease-renew-deadline=3s", "--lease-retry-period=500ms")...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Kill(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log("the autoscaler's log ends:\n" + a.LogTail())
		}
	})
	return a
}

// namespace makes one that ends with the test.
func (l *lab) namespace(t *testing.T, name string) {
	t.Helper()
	l.must(t, "create", "namespace", name)
	t.Cleanup(func() {
		if _, err := l.run(context.Background(), "delete", "namespace", name); err != nil {
			t.Error(err)
		}
	})
}

// backlog fills a stream so that a trigger on it wants as many replicas as wanted says.
func (l *lab) backlog(t *testing.T, stream string) {
	t.Helper()
	client := l.redis.Client()
	if err := client.XGroupCreateMkStream(t.Context(), stream, "workers", "0").Err(); err != nil {
		t.Fatal(err)
	}
	for range 5*wanted - 2 {
		if err := client.XAdd(t.Context(), &redis.XAddArgs{Stream: stream, Values: []string{"job", "x"}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// deployment is a workload with a backlog, as a user would write it.
func (l *lab) deployment(t *testing.T, namespace, name string) *appsv1.Deployment {
	t.Helper()
	stream := t.Name() + ":" + namespace + ":" + name
	l.backlog(t, stream)
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Annotations: map[string]string{
			"autoscale.io/max-replicas": "10", "autoscale.io/polling-interval": "1s",
			"autoscale.io/trigger.orders": fmt.Sprintf("{type: redis-streams, address: %q, stream: %q, consumerGroup: workers, target: 5}", l.redis.Addr(), stream),
		}},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(written), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "worker", Image: "worker"}}}},
		},
	}
}

func (l *lab) create(t *testing.T, namespace, name string) {
	t.Helper()
	if _, err := l.kube.AppsV1().Deployments(namespace).Create(t.Context(), l.deployment(t, namespace, name), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (l *lab) get(t *testing.T, namespace, name string) *appsv1.Deployment {
	t.Helper()
	d, err := l.kube.AppsV1().Deployments(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// patch merges into a Deployment as a person would.
func (l *lab) patch(t *testing.T, namespace, name, patch string, subresources ...string) {
	t.Helper()
	options := metav1.PatchOptions{FieldManager: "kubectl"}
	if _, err := l.kube.AppsV1().Deployments(namespace).Patch(t.Context(), name, types.MergePatchType, []byte(patch), options, subresources...); err != nil {
		t.Fatal(err)
	}
}

func (l *lab) awaitReplicas(t *testing.T, namespace, name string, replicas int32) {
	t.Helper()
	await(t, fmt.Sprintf("%s has %d replicas", name, replicas), func(ctx context.Context) error {
		d, err := l.kube.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
		if err == nil && *d.Spec.Replicas != replicas {
			return fmt.Errorf("it has %d", *d.Spec.Replicas)
		}
		return err
	})
}

// counts are all that the Deployments of a namespace ever had, in their order.
type counts struct {
	mu   sync.Mutex
	seen map[string][]int32
}

// record watches a namespace until the test ends.
func (l *lab) record(t *testing.T, namespace string) *counts {
	t.Helper()
	c := &counts{seen: map[string][]int32{}}
	factory := informers.NewSharedInformerFactoryWithOptions(l.kube, 0, informers.WithNamespace(namespace))
	informer := factory.Apps().V1().Deployments().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: c.add, UpdateFunc: func(_, object any) { c.add(object) }})
	if err != nil {
		t.Fatal(err)
	}
	factory.StartWithContext(t.Context())
	factory.WaitForCacheSyncWithContext(t.Context())
	return c
}

func (c *counts) add(object any) {
	d := object.(*appsv1.Deployment)
	c.mu.Lock()
	defer c.mu.Unlock()
	if seen := c.seen[d.Name]; len(seen) == 0 || seen[len(seen)-1] != *d.Spec.Replicas {
		c.seen[d.Name] = append(seen, *d.Spec.Replicas)
	}
}

// want waits until the last of these counts is seen, and compares them all.
func (c *counts) want(t *testing.T, name string, counts ...int32) {
	t.Helper()
	var got []int32
	await(t, fmt.Sprintf("the watch sees %s at %d", name, counts[len(counts)-1]), func(context.Context) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		got = slices.Clone(c.seen[name])
		if len(got) == 0 || got[len(got)-1] != counts[len(counts)-1] {
			return fmt.Errorf("it has seen %v", got)
		}
		return nil
	})
	if !slices.Equal(got, counts) {
		t.Errorf("%s has had the counts %v, want %v", name, got, counts)
	}
}
