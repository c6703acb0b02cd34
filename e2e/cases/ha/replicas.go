package ha

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"autoscale.io/annotations"
	"autoscale.io/e2e/cluster"
	"autoscale.io/e2e/product"
	"autoscale.io/e2e/world"
	"autoscale.io/scalers/scalertest/servers"
	"autoscale.io/scaling/shards"
)

// replicas are some of one install, of a class of its own, so that the shared autoscaler takes no part. What they write is recorded.
type replicas struct {
	w     *world.World
	class string
	log   *writeLog
	// unrecorded says that the replicas reach the API server without being listened to.
	unrecorded bool
	// stream is what the workloads are scaled by, and level the count that they should have.
	stream  string
	level   int32
	workers []string
}

// replica is one of them, with a network of its own to the API server.
type replica struct {
	*product.Autoscaler
	name  string
	proxy *servers.Proxy
}

// Times of the leases of replicas; short, so that a case is.
const (
	leaseDuration = 4 * time.Second
	renewDeadline = 3 * time.Second
	// takeover is within when another replica must have taken over from one that died: the lease, the time until it is seen to be over, and air for a busy machine.
	takeover = leaseDuration + 4*time.Second
	// handover is within when another one must have taken over from one that was stopped; no lease can have run out by then.
	handover = 2500 * time.Millisecond
)

func newReplicas(w *world.World, class string) *replicas {
	r := &replicas{w: w, class: class, log: &writeLog{class: class}, stream: w.Stream("level")}
	w.T.Cleanup(func() {
		if r.unrecorded {
			return
		}
		if len(r.log.tenures()) != annotations.Buckets {
			w.T.Errorf("leases of %d buckets were seen, want %d", len(r.log.tenures()), annotations.Buckets)
		}
		for _, fault := range r.log.faults(renewDeadline) {
			w.T.Error(fault)
		}
	})
	return r
}

// start adds a replica; args are more flags, which win.
func (r *replicas) start(name string, args ...string) *replica {
	w := r.w
	w.T.Helper()
	api := w.APIProxy()
	api.Server.Config.Handler = r.log.by(w.Namespace+"-"+name, api.Server.Config.Handler)
	upstream, err := url.Parse(api.Server.URL)
	if err != nil {
		w.T.Fatal(err)
	}
	one := &replica{name: w.Namespace + "-" + name, proxy: servers.MustProxy(w.T, upstream.Host)}
	path := filepath.Join(w.T.TempDir(), "kubeconfig")
	if err := cluster.WriteKubeconfig(path, &rest.Config{Host: "http://" + one.proxy.Addr()}); err != nil {
		w.T.Fatal(err)
	}
	one.Autoscaler = r.run(name, path, args...)
	w.T.Cleanup(func() { _ = one.proxy.Set(servers.Pass) }) // so that it can hand over
	return one
}

// run adds a replica that reaches the API server in a way of its own.
func (r *replicas) run(name, kubeconfig string, args ...string) *product.Autoscaler {
	r.w.T.Helper()
	return r.w.StartAutoscaler(r.class, name, append(append(world.Flags(), "--kubeconfig="+kubeconfig, "--sweep-interval=1s",
		"--lease-duration="+leaseDuration.String(), "--lease-renew-deadline="+renewDeadline.String(), "--lease-retry-period=1s"), args...)...)
}

// held is how many buckets each replica holds by their leases; what has run out counts still.
func (r *replicas) held(ctx context.Context) (map[string]int, error) {
	leases, err := r.w.Kube.CoordinationV1().Leases(product.Namespace).List(ctx, metav1.ListOptions{LabelSelector: shards.Label + "=" + r.class})
	if err != nil {
		return nil, err
	}
	held := map[string]int{}
	for _, lease := range leases.Items {
		if holder := lease.Spec.HolderIdentity; holder != nil && *holder != "" && isBucket(lease.Name) {
			held[*holder]++
		}
	}
	return held, nil
}

func isBucket(lease string) bool { return strings.HasPrefix(lease, "autoscaler-bucket-") }

// awaitShared waits until these replicas, and no others, hold all buckets, and none of them more than one more than another.
func (r *replicas) awaitShared(within time.Duration, among ...*replica) {
	r.w.T.Helper()
	r.w.Await(fmt.Sprintf("%d replicas share the buckets", len(among)), within, func(ctx context.Context) error {
		held, err := r.held(ctx)
		if err != nil {
			return err
		}
		total, each := 0, annotations.Buckets/len(among)
		for _, one := range among {
			n := held[one.name]
			if n != each && n != each+1 {
				return fmt.Errorf("they hold %v, want %d or %d each", held, each, each+1)
			}
			total += n
		}
		if total != annotations.Buckets {
			return fmt.Errorf("they hold %v, want %d in all", held, annotations.Buckets)
		}
		return nil
	})
}

// deploy makes workloads whose count is what push says.
func (r *replicas) deploy(n int, more world.Settings) {
	w := r.w
	w.T.Helper()
	r.level = 1
	w.Add(w.Redis.Client(), r.stream, 5)
	for i := range n {
		name := fmt.Sprintf("w%02d", i)
		settings := world.Quick(world.Settings{"class": r.class, "max-replicas": "100", "trigger.orders": w.Trigger(r.stream, "")})
		for key, value := range more {
			settings[key] = value
		}
		w.Create(name, 1, settings)
		r.workers = append(r.workers, name)
	}
	for _, name := range r.workers {
		r.w.WantManaged(name) // by the sweep
	}
}

// push makes every workload grow by one.
func (r *replicas) push() {
	r.w.T.Helper()
	r.level++
	r.w.Add(r.w.Redis.Client(), r.stream, 5)
}

// awaitLevel waits until every workload has the count that push has asked for.
func (r *replicas) awaitLevel(within time.Duration) {
	r.w.T.Helper()
	r.w.Await(fmt.Sprintf("every workload at %d replicas", r.level), within, func(context.Context) error {
		for _, name := range r.workers {
			if got, ok := r.w.Changes.Last(name); !ok || got.Replicas != r.level {
				return fmt.Errorf("%s has %d", name, got.Replicas)
			}
		}
		return nil
	})
}

// wantNoFall checks that no workload has ever fallen.
func (r *replicas) wantNoFall() {
	r.w.T.Helper()
	for _, name := range r.workers {
		if counts := r.w.Changes.Counts(name); !slices.IsSorted(counts) {
			r.w.T.Errorf("%s had the counts %v, want no fall", name, counts)
		}
	}
}

// settled has two replicas that share, with workloads that both have written for.
func settled(t *testing.T, w *world.World, class string, n int) (*replicas, *replica, *replica) {
	t.Helper()
	r := newReplicas(w, class)
	a, b := r.start("a"), r.start("b")
	r.deploy(n, nil)
	r.awaitShared(world.Soon, a, b)
	r.push()
	r.awaitLevel(world.Soon)
	return r, a, b
}
