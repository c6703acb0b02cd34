package bench

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"autoscale.io/annotations"
	"autoscale.io/e2e/product"
)

// fleet is a number of like workloads of one install, in one namespace.
type fleet struct {
	*lab
	namespace, class string
	keys             []types.NamespacedName
}

// group is the consumer group of every stream.
const group = "workers"

// member is what one workload of a fleet has of its own.
type member struct {
	name     string
	replicas int32
	notes    map[string]string
	template map[string]string
	// missed says that the webhook was away when it was created, so that the autoscaler has to find and adopt it.
	missed bool
}

// create makes n workloads.
func (l *lab) create(ctx context.Context, class string, n int, each func(i int) member) (*fleet, error) {
	namespace, err := l.cluster.Namespace(ctx, "bench")
	if err != nil {
		return nil, err
	}
	f := &fleet{lab: l, namespace: namespace, class: class}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for i := range n {
		m := each(i)
		f.keys = append(f.keys, types.NamespacedName{Namespace: namespace, Name: m.name})
		group.Go(func() error {
			_, err := l.kube.AppsV1().Deployments(namespace).Create(groupCtx, f.deployment(m), metav1.CreateOptions{})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("create %d workloads: %w", n, err)
	}
	return f, nil
}

func (f *fleet) deployment(m member) *appsv1.Deployment {
	labels, notes := map[string]string{"app": m.name}, map[string]string{}
	for key, value := range m.notes {
		notes[annotations.Prefix+key] = value
	}
	if f.class != "" {
		notes[annotations.Prefix+"class"] = f.class
	}
	var own map[string]string
	if len(m.notes) > 0 && !m.missed { // what the webhook would add
		bucket := annotations.BucketOf("apps", "Deployment", f.namespace, m.name)
		own = map[string]string{annotations.Bucket: annotations.BucketLabel(f.class, bucket)}
		notes[annotations.StateKey] = annotations.State{Replicas: &m.replicas}.String()
	}
	pod := corev1.PodSpec{Containers: []corev1.Container{{
		Name: "worker", Image: "worker",
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")}},
	}}}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: m.name, Labels: own, Annotations: notes},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(m.replicas), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: m.template}, Spec: pod},
		},
	}
}

func stream(name string) string { return "bench:" + name }

// onStream is a workload with a stream of its own: ten entries a replica, and default settings but the bounds. With work it has one entry that was read and never
// acknowledged, so that it stays at one replica.
func (l *lab) onStream(name string, least int32) member {
	return member{
		name: name, replicas: least,
		notes: map[string]string{
			"min-replicas": strconv.Itoa(int(least)), "max-replicas": "50",
			"trigger.orders": fmt.Sprintf("{type: redis-streams, address: %q, stream: %q, consumerGroup: %s, target: 10}", l.redis.Addr(), stream(name), group),
		},
	}
}

// groups makes the consumer groups of streams.
func (l *lab) groups(ctx context.Context, names ...string) error {
	_, err := l.redis.Client().Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, name := range names {
			pipe.XGroupCreateMkStream(ctx, stream(name), group, "0")
		}
		return nil
	})
	return err
}

// add adds n entries to each stream, all in one go, and returns when that began.
func (l *lab) add(ctx context.Context, n int, names ...string) (time.Time, error) {
	began := time.Now()
	_, err := l.redis.Client().Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, name := range names {
			for range n {
				pipe.XAdd(ctx, &redis.XAddArgs{Stream: stream(name), Values: []string{"job", "x"}})
			}
		}
		return nil
	})
	return began, err
}

// hold gives each stream one entry that somebody works on.
func (l *lab) hold(ctx context.Context, names ...string) error {
	if _, err := l.add(ctx, 1, names...); err != nil {
		return err
	}
	_, err := l.redis.Client().Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, name := range names {
			pipe.XReadGroup(ctx, &redis.XReadGroupArgs{Group: group, Consumer: "one", Streams: []string{stream(name), ">"}, Count: 1, Block: -1})
		}
		return nil
	})
	return err
}

// polled waits until the autoscaler has decided on n workloads. It looks a hundred times at most: a look at the metrics of thousands takes time and memory in the
// autoscaler.
func polled(ctx context.Context, a *product.Autoscaler, n int, within time.Duration) error {
	have := 0
	err := wait.PollUntilContextTimeout(ctx, within/100, within, true, func(ctx context.Context) (bool, error) {
		text, err := a.Metrics(ctx)
		if err != nil {
			return false, nil
		}
		have = strings.Count(text, "\nautoscale_workload_replicas{")
		return have >= n, nil
	})
	if err != nil {
		return fmt.Errorf("the autoscaler has decided on %d of %d workloads within %s: %w", have, n, within, err)
	}
	return nil
}

func names(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s-%04d", prefix, i)
	}
	return all
}

func (f *fleet) key(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: f.namespace, Name: name}
}

func (f *fleet) keysOf(names []string) []types.NamespacedName {
	keys := make([]types.NamespacedName, len(names))
	for i, name := range names {
		keys[i] = f.key(name)
	}
	return keys
}

// remove deletes the workloads of a fleet.
func (l *lab) remove(ctx context.Context, f *fleet) error {
	err := l.kube.AppsV1().Deployments(f.namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("delete workloads: %w", err)
	}
	return nil
}
