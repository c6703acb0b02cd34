package scalingtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/klog/v2"

	"autoscale.io/scalers"
	"autoscale.io/scaling/controller"
	"autoscale.io/scaling/decisions"
	"autoscale.io/scaling/poll"
	"autoscale.io/scaling/report"
	"autoscale.io/scaling/rivals"
	"autoscale.io/scaling/scalingtest/apiserver"
	"autoscale.io/scaling/shards"
	"autoscale.io/scaling/target"
	"autoscale.io/webhook"
)

// Replica is one replica of the autoscaler, made of the parts that a process is made of.
type Replica struct {
	// Name is its identity.
	Name string
	// Decisions are its own and Metrics what it counts.
	Decisions *decisions.Store
	Metrics   *report.Metrics

	world   *World
	clients apiserver.Clients
	log     logr.Logger
	rivals  *rivals.Rivals
	usage   *target.Usage
	loop    *controller.Controller
	webhook *webhook.Handler
	// dead says that nothing it does reaches anybody any more.
	dead atomic.Bool
	stop context.CancelFunc
	done sync.WaitGroup
}

// Start starts an autoscaler replica.
func (w *World) Start(name string) *Replica {
	w.Helper()
	r := &Replica{Name: name, world: w, log: w.logger(name)}
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), r.log))
	r.stop = cancel
	if err := r.start(ctx); err != nil {
		w.Fatalf("start %s: %v", name, err)
	}
	w.replicas = append(w.replicas, r)
	w.Settle()
	return r
}

// start wires the parts as package app does.
func (r *Replica) start(ctx context.Context) (err error) {
	if r.clients, err = r.world.API.Clients(Autoscaler, func(next http.RoundTripper) http.RoundTripper { return shards.Fence(r.network(next)) }); err != nil {
		return err
	}
	c := r.clients
	access := &target.Client{Scales: c.Scales, Metadata: c.Metadata, Deployments: c.Kube.AppsV1(), Jobs: c.Kube.BatchV1()}
	if r.usage, err = target.NewUsage(target.UsageOptions{Kube: c.Kube, Metadata: c.Metadata, Metrics: c.Metrics, Log: r.log}); err != nil {
		return err
	}
	registry, err := r.world.sources.registry(r.usage)
	if err != nil {
		return err
	}
	r.rivals, err = rivals.New(rivals.Options{Kube: c.Kube, Dynamic: c.Dynamic, Log: r.log, Changed: func(t rivals.Target) { r.loop.RivalChanged(t) }})
	if err != nil {
		return err
	}
	r.Decisions = decisions.New(func(key decisions.Key) { r.loop.Changed(key) })
	r.Metrics = report.NewMetrics(r.Decisions)
	reading, stopReading := context.WithCancel(context.WithoutCancel(ctx))
	poller := poll.New(reading, poll.Deps{
		Registry: registry, Decisions: r.Decisions, Log: r.log, Now: time.Now,
		References: func(key decisions.Key, container string) scalers.References {
			return target.References{Core: c.Kube.CoreV1(), Dynamic: c.Dynamic, Key: key, Container: container}
		},
	})
	o := r.world.options
	kinds := o.Kinds
	if len(kinds) == 0 {
		kinds = DefaultKinds()
	}
	r.loop = controller.New(controller.Options{
		Log: r.log, Kube: c.Kube, Target: access, Types: registry, Poller: poller, Decisions: r.Decisions,
		Events: report.Events{Recorder: recorder{r}}, Metrics: r.Metrics, Rivals: r.rivals,
		Kinds: kinds, Namespace: SystemNamespace, Identity: r.Name, Class: o.Class, SweepInterval: o.SweepInterval, Lease: o.Lease,
	})
	r.webhook, err = webhook.NewHandler(webhook.Reviewer{
		Types: registry, Identity: Autoscaler, Class: o.Class, Scalable: r.loop.Manages, Rival: r.rivalOf, Now: time.Now,
	}, r.log, prometheus.NewRegistry())
	r.run(ctx, func(ctx context.Context) error {
		defer poller.Close()
		defer stopReading()
		return r.loop.Run(ctx)
	})
	return err
}

// AddKind begins to manage a kind, as a replica does when the API server has come to serve it.
func (r *Replica) AddKind(kind controller.Kind) { r.loop.AddKind(kind) }

// run starts the parts that work all the time.
func (r *Replica) run(ctx context.Context, loop func(context.Context) error) {
	for name, part := range map[string]func(context.Context) error{"rivals": r.rivals.Run, "usage": r.usage.Run, "loop": loop} {
		r.done.Go(func() {
			if err := part(ctx); err != nil {
				r.world.Errorf("%s: %s: %v", r.Name, name, err)
			}
		})
	}
}

func (r *Replica) rivalOf(group, kind, namespace, name string) string {
	return r.rivals.Of(rivals.Target{Group: group, Kind: kind, Namespace: namespace, Name: name})
}

// Stop ends a replica in good order, as on SIGTERM, and waits for it.
func (r *Replica) Stop() {
	r.stop()
	r.done.Wait()
	r.dead.Store(true)
}

// Kill ends a replica as SIGKILL does: nothing that it does reaches the API server any more, and its Leases stay.
func (r *Replica) Kill() {
	r.dead.Store(true)
	r.stop()
	r.world.Settle()
}

// Restart ends a replica in good order and starts another with its name.
func (r *Replica) Restart() *Replica {
	r.Stop()
	return r.world.Start(r.Name)
}

// Leader is the first autoscaler replica that lives.
func (w *World) Leader() *Replica {
	w.Helper()
	for _, r := range w.replicas {
		if !r.dead.Load() {
			return r
		}
	}
	w.Fatal("no autoscaler replica lives")
	return nil
}

// Kill kills the first replica that lives.
func (w *World) Kill() { w.Leader().Kill() }

// Restart restarts the first replica that lives.
func (w *World) Restart() { w.Leader().Restart() }

// errDead is what calls of a killed replica fail with.
var errDead = errors.New("connect: connection refused")

// network is the way of a replica to the API server.
func (r *Replica) network(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(q *http.Request) (*http.Response, error) {
		if r.dead.Load() {
			return nil, errDead
		}
		response, err := next.RoundTrip(q)
		if r.dead.Load() && err == nil {
			_ = response.Body.Close() // nobody gets the answer
			return nil, errDead
		}
		return response, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// logger keeps what a replica logs, for tests that fail.
func (w *World) logger(name string) logr.Logger {
	return funcr.New(func(_, line string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.logs = append(w.logs, fmt.Sprintf("%s %s %s", time.Now().Format("15:04:05.000"), name, line))
	}, funcr.Options{})
}
