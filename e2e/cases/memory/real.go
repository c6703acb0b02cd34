package memory

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"autoscale.io/e2e/world"
	"autoscale.io/scaling/scalingtest/stories"
)

// bystander is a workload that no story is about. The autoscaler still decides about it when it has released another.
const bystander = "bystander"

// realCluster is a real cluster to which one story is told. The event source is a Redis stream, of which all entries
// count.
type realCluster struct {
	*world.World
	name, stream string
	kind         stories.Kind
	objects      dynamic.ResourceInterface
	released     bool

	mu sync.Mutex
	// last are the workload and the Jobs made of it as the watch showed them last, by name.
	last map[string]*unstructured.Unstructured
	seen []string
}

var _ stories.Cluster = (*realCluster)(nil)

// newRealCluster records every change of the workload of a story, and of the Jobs made of it, until the test ends.
func newRealCluster(t *testing.T, w *world.World, number int, kind stories.Kind) *realCluster {
	own := *w
	own.T = t
	r := &realCluster{World: &own, name: fmt.Sprintf("%s-%d", stories.Worker, number), kind: kind}
	r.last = map[string]*unstructured.Unstructured{}
	r.stream = r.Stream(r.name)
	r.objects = w.Dynamic().Resource(resourceOf(kind)).Namespace(w.Namespace)
	watch, err := r.objects.Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var watching sync.WaitGroup
	watching.Go(func() {
		for event := range watch.ResultChan() {
			if object, ok := event.Object.(*unstructured.Unstructured); ok && r.concerns(object) {
				r.see(object)
			}
		}
	})
	t.Cleanup(func() {
		watch.Stop()
		watching.Wait()
	})
	return r
}

func resourceOf(kind stories.Kind) schema.GroupVersionResource {
	switch kind {
	case stories.StatefulSet:
		return schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "statefulsets"}
	case stories.Job, stories.Template:
		return schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}
	}
	return schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
}

// concerns says whether an object is the workload or a Job made of it.
func (r *realCluster) concerns(object *unstructured.Unstructured) bool {
	return object.GetName() == r.name || stories.Made(object, r.name)
}

func (r *realCluster) see(object *unstructured.Unstructured) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := object.GetName()
	change := stories.Change(r.last[name], object, func(field ...string) string { return stories.Owner(object, field...) })
	if name != r.name {
		change = stories.OfMade(change)
	}
	if change != "" {
		r.seen = append(r.seen, change)
	}
	r.last[name] = object
}

// latest is an object as the watch showed it last; nil before.
func (r *realCluster) latest(name string) *unstructured.Unstructured {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last[name]
}

func (r *realCluster) changes() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	// The class tells the autoscaler of the case from the shared one; in memory there is one alone.
	var without []string
	for _, change := range r.seen {
		change = strings.ReplaceAll(change, "without autoscale.io/class, ", "")
		without = append(without, strings.ReplaceAll(change, "autoscale.io/class, ", ""))
	}
	return without
}

// awaitChanges waits until as many changes were seen as are wanted.
func (r *realCluster) awaitChanges(want []string) {
	r.T.Helper()
	r.Await(fmt.Sprintf("%d changes", len(want)), world.Soon, func(context.Context) error {
		if got := r.changes(); len(got) < len(want) {
			return fmt.Errorf("there were\n%s\nin memory\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		return nil
	})
}

// settle waits for some decisions after all that is wanted, and until the watch has shown what they led to.
func (r *realCluster) settle() {
	r.T.Helper()
	r.AwaitDecisions()
	r.Await("the watch shows everything", world.Soon, func(ctx context.Context) error {
		list, err := r.objects.List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range list.Items {
			live := &list.Items[i]
			if seen := r.latest(live.GetName()); r.concerns(live) && (seen == nil || seen.GetResourceVersion() != live.GetResourceVersion()) {
				return fmt.Errorf("it does not show version %s of %s", live.GetResourceVersion(), live.GetName())
			}
		}
		return nil
	})
}

func (r *realCluster) Backlog(messages int) {
	ctx := r.T.Context()
	_, err := r.Redis.Client().TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Del(ctx, r.stream)
		for range messages {
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: r.stream, Values: []string{"job", "x"}})
		}
		return nil
	})
	if err != nil {
		r.T.Fatal(err)
	}
}

// Break puts something else in the place of the stream.
func (r *realCluster) Break() {
	ctx := r.T.Context()
	_, err := r.Redis.Client().TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Del(ctx, r.stream)
		pipe.Set(ctx, r.stream, "no stream", 0)
		return nil
	})
	if err != nil {
		r.T.Fatal(err)
	}
}

func (r *realCluster) Restart() {
	r.Kill()
	r.World.Restart()
	r.AwaitWebhook(true)
}

func (r *realCluster) AwaitUnknown() { r.AwaitKnown(r.name, "orders", "0") }

// AwaitDecisions waits for longer than a second, which is the shortest period of a scaling policy.
func (r *realCluster) AwaitDecisions() {
	of := r.name
	if r.released {
		of = bystander
	}
	began := time.Now()
	for time.Since(began) < 2*time.Second {
		r.World.AwaitDecisions(of, 5)
	}
}
