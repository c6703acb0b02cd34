package cases

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
	"autoscale.io/scalers/scalertest/servers"
	"autoscale.io/scaling/shards"
)

// replicas are some of one install, of a class of its own, so that the shared autoscaler takes no part. What they write is recorded.
type replicas struct {
	w     *World
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

func (w *World) replicas(class string) *replicas {
	r := &replicas{w: w, class: class, log: &writeLog{class: class}, stream: w.Stream("level")}
	w.t.Cleanup(func() {
		if r.unrecorded {
			return
		}
		if len(r.log.tenures()) != annotations.Buckets {
			w.t.Errorf("leases of %d buckets were seen, want %d", len(r.log.tenures()), annotations.Buckets)
		}
		for _, fault := range r.log.faults(renewDeadline) {
			w.t.Error(fault)
		}
	})
	return r
}

// start adds a replica; args are more flags, which win.
func (r *replicas) start(name string, args ...string) *replica {
	w := r.w
	w.t.Helper()
	api := w.apiProxy()
	api.server.Config.Handler = r.log.by(w.Namespace+"-"+name, api.server.Config.Handler)
	upstream, err := url.Parse(api.server.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	one := &replica{name: w.Namespace + "-" + name, proxy: servers.MustProxy(w.t, upstream.Host)}
	path := filepath.Join(w.t.TempDir(), "kubeconfig")
	if err := cluster.WriteKubeconfig(path, &rest.Config{Host: "http://" + one.proxy.Addr()}); err != nil {
		w.t.Fatal(err)
	}
	one.Autoscaler = r.run(name, path, args...)
	w.t.Cleanup(func() { _ = one.proxy.Set(servers.Pass) }) // so that it can hand over
	return one
}

// run adds a replica that reaches the API server in a way of its own.
func (r *replicas) run(name, kubeconfig string, args ...string) *product.Autoscaler {
	r.w.t.Helper()
	return r.w.start(r.class, name, append(append(flags(), "--kubeconfig="+kubeconfig, "--sweep-interval=1s"), args...)...)
}

// held is how many buckets each replica holds by their leases; what has run out counts still.
func (r *replicas) held(ctx context.Context) (map[string]int, error) {
	leases, err := r.w.kube.CoordinationV1().Leases(product.Namespace).List(ctx, metav1.ListOptions{LabelSelector: shards.Label + "=" + r.class})
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
	r.w.t.Helper()
	r.w.await(fmt.Sprintf("%d replicas share the buckets", len(among)), within, func(ctx context.Context) error {
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
func (r *replicas) deploy(n int, more Settings) {
	w := r.w
	w.t.Helper()
	r.level = 1
	w.add(w.redis.Client(), r.stream, 5)
	for i := range n {
		name := fmt.Sprintf("w%02d", i)
		settings := quick(Settings{"class": r.class, "max-replicas": "100", "trigger.orders": w.trigger(r.stream, "")})
		for key, value := range more {
			settings[key] = value
		}
		w.Create(name, 1, settings)
		r.workers = append(r.workers, name)
	}
	for _, name := range r.workers {
		r.w.wantManaged(name) // by the sweep
	}
}

// push makes every workload grow by one.
func (r *replicas) push() {
	r.w.t.Helper()
	r.level++
	r.w.add(r.w.redis.Client(), r.stream, 5)
}

// awaitLevel waits until every workload has the count that push has asked for.
func (r *replicas) awaitLevel(within time.Duration) {
	r.w.t.Helper()
	r.w.await(fmt.Sprintf("every workload at %d replicas", r.level), within, func(context.Context) error {
		for _, name := range r.workers {
			if got, ok := r.w.changes.last(name); !ok || got.replicas != r.level {
				return fmt.Errorf("%s has %d", name, got.replicas)
			}
		}
		return nil
	})
}

// wantNoFall checks that no workload has ever fallen.
func (r *replicas) wantNoFall() {
	r.w.t.Helper()
	for _, name := range r.workers {
		if counts := r.w.changes.counts(name); !slices.IsSorted(counts) {
			r.w.t.Errorf("%s had the counts %v, want no fall", name, counts)
		}
	}
}

// settled has two replicas that share, with workloads that both have written for.
func settled(t *testing.T, w *World, class string, n int) (*replicas, *replica, *replica) {
	t.Helper()
	r := w.replicas(class)
	a, b := r.start("a"), r.start("b")
	r.deploy(n, nil)
	r.awaitShared(soon, a, b)
	r.push()
	r.awaitLevel(soon)
	return r, a, b
}
