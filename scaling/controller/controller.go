package controller

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	crcontroller "sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"autoscale.io/annotations"
	"autoscale.io/scaling/decisions"
	"autoscale.io/scaling/jobs"
	"autoscale.io/scaling/poll"
	"autoscale.io/scaling/report"
	"autoscale.io/scaling/rivals"
	"autoscale.io/scaling/shards"
	"autoscale.io/scaling/target"
)

// Options are what a Controller works with. Fields without a default must be set.
type Options struct {
	Log       logr.Logger
	Kube      kubernetes.Interface
	Target    *target.Client
	Types     annotations.Types
	Poller    *poll.Poller
	Decisions *decisions.Store
	Events    report.Events
	Metrics   *report.Metrics
	Rivals    *rivals.Rivals
	// Kinds are managed from the start; AddKind adds to them.
	Kinds     []Kind
	Namespace string // of the leases
	// Identity is this process among those that share the leases; unique.
	Identity string
	// Class is the install's class; workloads of other classes are left alone. Defaults to none.
	Class string
	// SweepInterval is the time between two sweeps. Defaults to 3 minutes.
	SweepInterval time.Duration
	// Lease times a bucket's lease. Defaults to shards.DefaultTimes.
	Lease shards.Times
	// Workers is the number of workloads reconciled at a time. Defaults to 64, so that the writes of many that wake together are not held up by those that others
	// make because of them.
	Workers int
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

func (o *Options) setDefaults() {
	if o.SweepInterval == 0 {
		o.SweepInterval = 3 * time.Minute
	}
	if o.Lease == (shards.Times{}) {
		o.Lease = shards.DefaultTimes()
	}
	if o.Workers == 0 {
		o.Workers = 64
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// Controller is the loop of one process.
type Controller struct {
	Options

	queue priorityqueue.PriorityQueue[decisions.Key]
	ready chan struct{}
	// sweepSoon asks for a sweep soon.
	sweepSoon chan struct{}

	// podWatches are the watches of pods under way; each ends with its lease.
	podWatches sync.WaitGroup

	mu      sync.Mutex
	tracked map[decisions.Key]*workload
	// owned holds the context of each bucket that this process leads, by the label's value; it ends with the lease, and is that of a shards.Term.
	owned map[string]context.Context
	// children are the Jobs of the templates of each bucket that has any.
	children map[string]*jobs.Children
	// kinds is replaced when one is added, and more is closed then.
	kinds []Kind
	more  chan struct{}
}

// New returns a Controller. It does nothing before Run.
func New(o Options) *Controller {
	o.setDefaults()
	return &Controller{
		Options: o, ready: make(chan struct{}), sweepSoon: make(chan struct{}, 1),
		tracked: map[decisions.Key]*workload{}, owned: map[string]context.Context{},
		children: map[string]*jobs.Children{},
		kinds:    o.Kinds, more: make(chan struct{}),
	}
}

// Priorities in the queue: a waiting workload that must grow goes before everything else.
const (
	priorityScaleOut = 100
	priorityNormal   = 0
)

// Changed is called by the store of decisions: it queues the workload, one that must grow before the others.
func (c *Controller) Changed(key decisions.Key) {
	select {
	case <-c.ready:
	default:
		return // not running yet; the first reconcile looks at the decision anyway
	}
	priority := priorityNormal
	if entry := c.Decisions.Get(key); entry != nil && (entry.Replicas > entry.From || entry.Order != nil) {
		priority = priorityScaleOut
	}
	c.queue.AddWithOpts(priorityqueue.AddOpts{Priority: &priority}, key)
}

// Run works until ctx ends, and returns when every lease has been handed back.
func (c *Controller) Run(ctx context.Context) error {
	loop, err := crcontroller.NewTypedUnmanaged("workload", crcontroller.TypedOptions[decisions.Key]{
		Reconciler:              c,
		MaxConcurrentReconciles: c.Workers,
		SkipNameValidation:      ptr.To(true), // a test has several autoscaler replicas in one process
		LogConstructor: func(key *decisions.Key) logr.Logger {
			if key == nil {
				return c.Log
			}
			return c.Log.WithValues("workload", key.String())
		},
		NewQueue: func(name string, limiter workqueue.TypedRateLimiter[decisions.Key]) workqueue.TypedRateLimitingInterface[decisions.Key] {
			c.queue = priorityqueue.New(name, func(o *priorityqueue.Opts[decisions.Key]) { o.RateLimiter, o.Log = limiter, c.Log })
			return c.queue
		},
	})
	if err != nil {
		return fmt.Errorf("set up the loop: %w", err)
	}
	started := source.TypedFunc[decisions.Key](func(context.Context, workqueue.TypedRateLimitingInterface[decisions.Key]) error {
		close(c.ready)
		return nil
	})
	if err := loop.Watch(started); err != nil {
		return fmt.Errorf("set up the loop: %w", err)
	}
	var (
		work   sync.WaitGroup
		shared error
	)
	work.Go(func() {
		c.Rivals.Sync(ctx)
		shared = c.shareBuckets(ctx)
	})
	work.Go(func() { c.sweep(ctx) })
	err = loop.Start(ctx)
	work.Wait()
	c.podWatches.Wait()
	return errors.Join(err, shared)
}
