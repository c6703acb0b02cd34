package shards

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationinformers "k8s.io/client-go/informers/coordination/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/leaderelection"
)

// Label is on the Leases of an install; its value is the class.
const Label = "autoscale.io/leases"

// Times are those of client-go's leader election. RetryPeriod < RenewDeadline < Duration.
type Times struct {
	// Duration is how long the buckets of a replica that died stay without a writer. Whole seconds.
	Duration time.Duration
	// RenewDeadline is when a holder that cannot renew stops writing; less than Duration.
	RenewDeadline time.Duration
	// RetryPeriod is the time between two renewals.
	RetryPeriod time.Duration
}

// DefaultTimes hand a dead holder's buckets over within 15 seconds.
func DefaultTimes() Times {
	return Times{Duration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 4 * time.Second}
}

// Validate says what does not fit together.
func (t Times) Validate() error {
	switch {
	case t.Duration < time.Second || t.Duration%time.Second != 0:
		return fmt.Errorf("lease duration: got %s, want whole seconds, at least 1s, such as 15s", t.Duration)
	case t.RenewDeadline >= t.Duration:
		return fmt.Errorf("lease renew deadline: got %s, want less than the lease duration of %s", t.RenewDeadline, t.Duration)
	case t.RetryPeriod <= 0 || float64(t.RetryPeriod)*leaderelection.JitterFactor >= float64(t.RenewDeadline):
		return fmt.Errorf("lease retry period: got %s, want more than 0s and less than %s, that is 1/%v of the renew deadline",
			t.RetryPeriod, time.Duration(float64(t.RenewDeadline)/leaderelection.JitterFactor).Round(time.Millisecond), leaderelection.JitterFactor)
	}
	return nil
}

// Options are what Shards work with. All but Class and Observe must be set.
type Options struct {
	Log  logr.Logger
	Kube kubernetes.Interface
	// Namespace is that of the Leases.
	Namespace string
	// Identity is this replica among those that share; unique.
	Identity string
	// Class tells the Leases of one install from those of another in the same namespace. Defaults to none.
	Class string
	// Buckets are the names of all buckets, in their order, the same for all replicas.
	Buckets []string
	Times   Times
	// Work works on one bucket until ctx ends, which is soon after the bucket must not be written for any more. Its writes must use contexts derived from ctx.
	Work func(ctx context.Context, bucket string)
	// Observe is told how many buckets this replica holds and how many replicas it sees, itself among them. Defaults to nothing.
	Observe func(held, replicas int)
}

// Shards is one replica's part in the sharing.
type Shards struct {
	Options
	buckets []*bucket
	// again asks to balance.
	again chan struct{}
	work  sync.WaitGroup
	life  *life

	mu   sync.Mutex
	view *view
	// buried are the versions of Leases whose deletion was asked for.
	buried map[string]string
}

// New returns Shards. They do nothing before Run.
func New(o Options) *Shards {
	if o.Observe == nil {
		o.Observe = func(int, int) {}
	}
	s := &Shards{Options: o, again: make(chan struct{}, 1), buried: map[string]string{}, life: newLife(o.Times.RenewDeadline)}
	// With the default times a renewal of this replica's own is heard in that time.
	s.view = newView(o.Times.Duration/2, time.Now())
	for _, name := range o.Buckets {
		s.buckets = append(s.buckets, &bucket{name: name})
	}
	return s
}

// Run takes part until ctx ends, and returns when every bucket has been handed back.
func (s *Shards) Run(ctx context.Context) error {
	informer := coordinationinformers.NewFilteredLeaseInformer(s.Kube, s.Namespace, 0, cache.Indexers{},
		func(o *metav1.ListOptions) { o.LabelSelector = Label + "=" + s.Class })
	if err := informer.SetWatchErrorHandlerWithContext(s.watchFailed); err != nil {
		return fmt.Errorf("watch leases: %w", err)
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: s.see, UpdateFunc: func(_, lease any) { s.see(lease) }, DeleteFunc: s.miss})
	if err != nil {
		return fmt.Errorf("watch leases: %w", err)
	}
	s.work.Go(func() { informer.RunWithContext(ctx) })
	if cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		s.work.Go(func() { s.join(ctx) })
		select {
		case <-s.life.begun: // what others see of a bucket that is taken is that its holder lives
			s.balanceUntil(ctx)
		case <-ctx.Done():
		}
	}
	s.work.Wait()
	s.Observe(0, 0)
	return nil
}

func (s *Shards) watchFailed(ctx context.Context, r *cache.Reflector, err error) {
	s.Log.Info("cannot watch leases, so no workload is taken over; it is tried again. Is the Role autoscaler up to date?",
		"namespace", s.Namespace, "error", err.Error())
	cache.DefaultWatchErrorHandler(ctx, r, err)
}

func (s *Shards) see(object any) {
	if lease, ok := object.(*coordinationv1.Lease); ok {
		s.mu.Lock()
		s.view.see(time.Now(), lease)
		s.mu.Unlock()
		s.poke()
	}
}

func (s *Shards) miss(object any) {
	if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	if lease, ok := object.(*coordinationv1.Lease); ok {
		s.mu.Lock()
		s.view.miss(time.Now(), lease.Name)
		s.mu.Unlock()
		s.poke()
	}
}

func (s *Shards) poke() {
	select {
	case s.again <- struct{}{}:
	default:
	}
}

// balanceUntil balances whenever something has changed, was asked for or expires.
func (s *Shards) balanceUntil(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-s.again:
		}
		timer.Reset(s.balance(ctx))
	}
}

// balance looks who lives and who holds what, starts and stops electors, and returns when to do so again at the latest.
func (s *Shards) balance(ctx context.Context) time.Duration {
	now := time.Now()
	s.mu.Lock()
	members, dead := s.members(now)
	holders := make([]string, len(s.buckets))
	for i, b := range s.buckets {
		holders[i] = s.view.holderOf(now, s.bucketLease(b.name), s.memberLease)
	}
	next := s.view.next(now, s.Times.RetryPeriod)
	s.mu.Unlock()
	held := 0
	for i, wanted := range share(members, holders) {
		b := s.buckets[i]
		s.want(ctx, b, wanted == s.Identity, holders[i])
		if b.leads.Load() {
			held++
		}
	}
	s.Observe(held, len(members))
	if len(dead) > 0 && slices.Min(members) == s.Identity {
		s.work.Go(func() { s.bury(ctx, dead) })
	}
	return next
}

// members are the identities of the replicas that live, this one among them, and the Leases of those that died long ago, each once. The caller holds s.mu.
func (s *Shards) members(now time.Time) (live []string, dead map[string]string) {
	buckets := map[string]bool{}
	for _, b := range s.buckets {
		buckets[s.bucketLease(b.name)] = true
	}
	found := map[string]bool{s.Identity: true}
	dead = map[string]string{}
	for name, lease := range s.view.leases {
		switch holder := s.view.holder(now, name); {
		case buckets[name] || lease.gone || name == s.memberLease(s.Identity):
		case holder != "":
			found[holder] = true
		case s.view.clock(now).Sub(lease.changed) > buryAfter*s.Times.Duration && s.buried[name] != lease.version:
			dead[name] = lease.version
			s.buried[name] = lease.version
		}
	}
	return slices.Collect(maps.Keys(found)), dead
}

func (s *Shards) bucketLease(bucket string) string {
	name := "autoscaler-bucket-" + bucket
	if s.Class != "" {
		name += "-" + s.Class
	}
	return name
}
