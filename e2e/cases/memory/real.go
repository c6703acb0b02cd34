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
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"autoscale.io/e2e/world"
	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/stories"
)

// realCluster is a real cluster to which one story is told. The event source is a Redis stream, of which all entries count.
type realCluster struct {
	*world.World
	name, stream string

	mu   sync.Mutex
	last *unstructured.Unstructured
	seen []string
}

var _ stories.Cluster = (*realCluster)(nil)

// newRealCluster records every change of the workload of a story until the test ends.
func newRealCluster(t *testing.T, w *world.World, number int) *realCluster {
	own := *w
	own.T = t
	r := &realCluster{World: &own, name: fmt.Sprintf("%s-%d", stories.Worker, number)}
	r.stream = r.Stream(r.name)
	deployments := w.Dynamic().Resource(schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}).Namespace(w.Namespace)
	watch, err := deployments.Watch(t.Context(), metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", r.name).String()})
	if err != nil {
		t.Fatal(err)
	}
	var watching sync.WaitGroup
	watching.Go(func() {
		for event := range watch.ResultChan() {
			if object, ok := event.Object.(*unstructured.Unstructured); ok {
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

func (r *realCluster) see(object *unstructured.Unstructured) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if change := stories.Change(r.last, object); change != "" {
		r.seen = append(r.seen, change)
	}
	r.last = object
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

func (r *realCluster) Create(replicas int32, more scalingtest.Settings) {
	settings := world.Quick(world.Settings(more))
	settings["trigger.orders"] = r.Trigger(r.stream, ", measure: length")
	r.World.Create(r.name, replicas, settings)
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

func (r *realCluster) Annotate(settings scalingtest.Settings) {
	if err := r.World.Annotate(r.name, world.Settings(settings)); err != nil {
		r.T.Fatal(err)
	}
}

func (r *realCluster) Release() { r.Annotate(stories.Gone(r.Get(r.name).Annotations)) }

func (r *realCluster) Scale(replicas int32) { r.ScaleByHand(r.name, replicas) }

func (r *realCluster) Restart() {
	r.Kill()
	r.World.Restart()
	r.AwaitWebhook(true)
}

func (r *realCluster) AwaitReplicas(replicas int32) {
	r.World.AwaitReplicas(r.name, replicas, world.Soon)
}

func (r *realCluster) AwaitUnknown() { r.AwaitKnown(r.name, "orders", "0") }

func (r *realCluster) AwaitDecisions() {
	// More than a second, which is the shortest period of a scaling policy.
	began := time.Now()
	for time.Since(began) < 2*time.Second {
		r.World.AwaitDecisions(r.name, 5)
	}
}
