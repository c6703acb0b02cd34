package shards

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// drain is how long the handing back of a bucket waits for the writes under way.
const drain = time.Second

// bucket is one bucket. Its fields but leads belong to the goroutine that balances.
type bucket struct {
	name string
	// stop ends the elector; nil when there is none. since is when it was started.
	stop  context.CancelFunc
	since time.Time
	// ended is closed when the elector and the work have ended; rested is when that was noticed.
	ended  chan struct{}
	rested time.Time
	leads  atomic.Bool
}

// running says whether there is an elector.
func (b *bucket) running() bool {
	if b.stop == nil {
		return false
	}
	select {
	case <-b.ended:
		b.stop()
		b.stop, b.rested = nil, time.Now()
		return false
	default:
		return true
	}
}

// want starts or stops the elector. holder is whose the bucket is, empty for nobody's.
func (s *Shards) want(ctx context.Context, b *bucket, wanted bool, holder string) {
	ours, free := holder == s.Identity, holder == ""
	if b.running() {
		if !wanted || !ours && !free || s.stuck(b) {
			b.stop()
		}
		return
	}
	switch {
	case wanted && (ours || free):
		s.start(ctx, b, s.lead)
	case ours && !wanted && time.Since(b.rested) > s.Times.RetryPeriod:
		s.start(ctx, b, s.handBack)
	}
}

// stuck says that the elector did not come through. The next try is not left to it, as its pauses are longer.
func (s *Shards) stuck(b *bucket) bool {
	return !b.leads.Load() && s.known(b) && time.Since(b.since) > s.Times.RetryPeriod
}

// known says whether the watch shows the Lease of a bucket. One that was made without the label is known to its elector alone, which then has to see it expire.
func (s *Shards) known(b *bucket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	lease, known := s.view.leases[s.bucketLease(b.name)]
	return known && !lease.gone
}

func (s *Shards) start(ctx context.Context, b *bucket, do func(context.Context, *bucket)) {
	ctx, b.stop = context.WithCancel(ctx)
	b.since, b.ended = time.Now(), make(chan struct{})
	s.work.Go(func() {
		defer s.poke()
		defer close(b.ended)
		do(ctx, b)
	})
}

// lead stands for election in a bucket until ctx ends or the Lease is lost, and works on it while it is held.
func (s *Shards) lead(ctx context.Context, b *bucket) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	term := newTerm(ctx, b.name, s.Times.RenewDeadline, cancel)
	defer s.life.drop(term)
	worked := make(chan struct{})
	name := s.bucketLease(b.name)
	guarded := s.lock(name)
	guarded.lives, guarded.recheck = s.life.lasts, recheckAfter*s.Times.Duration
	guarded.renewed = func(asked time.Time) { s.life.carry(term, asked) }
	guarded.release = func(ctx context.Context) error {
		term.end(drain)
		select {
		case <-worked:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("hand back bucket %s: the work on it has not ended: %w", b.name, ctx.Err())
		}
	}
	elector, err := s.elector(guarded, true, func() {
		defer close(worked)
		b.leads.Store(true)
		defer b.leads.Store(false)
		s.poke()
		s.Log.V(1).Info("took a bucket", "bucket", b.name)
		s.Work(term.ctx, b.name)
	})
	if err != nil {
		s.Log.Error(err, "the times of the lease do not fit together", "lease", name)
		<-ctx.Done()
		return
	}
	elector.Run(ctx)
	term.end(0)
	if term.begun() {
		<-worked
		s.Log.V(1).Info("gave up a bucket", "bucket", b.name)
	}
}

// handBack gives up a bucket that is ours by its Lease and has no elector: the answer to the write that took it, or to the one that should have handed it back, was
// lost or not waited for. It would stay ours for as long as this replica lives, and nobody would work on it.
func (s *Shards) handBack(ctx context.Context, b *bucket) {
	guarded := s.lock(s.bucketLease(b.name))
	ctx = context.WithoutCancel(ctx) // each call has its deadline, and another lost answer helps nobody
	record, _, err := guarded.Get(ctx)
	if err == nil && record.HolderIdentity == s.Identity {
		s.Log.Info("handing back a bucket that was taken by a write without an answer", "bucket", b.name)
		now := metav1.Now()
		err = guarded.Update(ctx, resourcelock.LeaderElectionRecord{
			LeaderTransitions: record.LeaderTransitions, LeaseDurationSeconds: 1, AcquireTime: now, RenewTime: now,
		})
	}
	if err != nil {
		s.Log.Info("cannot hand back a bucket; it is tried again", "bucket", b.name, "error", err.Error())
	}
}

func (s *Shards) elector(l *lock, release bool, started func()) (*leaderelection.LeaderElector, error) {
	return leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: l, LeaseDuration: s.Times.Duration, RenewDeadline: s.Times.RenewDeadline, RetryPeriod: s.Times.RetryPeriod, ReleaseOnCancel: release,
		Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: func(context.Context) { started() }, OnStoppedLeading: func() {}},
	})
}

// expired says whether the Lease of a bucket has run out in exactly this term, and its holder has died. What the watch shows of the holder may be late, so that is
// asked for: a holder that has not renewed its own Lease by then has ended its terms before, and begins none without taking the Lease of the bucket anew.
func (s *Shards) expired(ctx context.Context, bucket string, t term) bool {
	own := s.memberLease(t.holder)
	s.mu.Lock()
	dead := s.view.leases[bucket].term.same(t) && s.view.holderOf(time.Now(), bucket, s.memberLease) == ""
	last := s.view.leases[own].term
	s.mu.Unlock()
	if !dead {
		return false
	}
	lease, err := s.Kube.CoordinationV1().Leases(s.Namespace).Get(ctx, own, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return true
	}
	return err == nil && termOf(&lease.Spec).same(last)
}

// recheckAfter is for how many times its duration the Lease of a bucket is not written while the replica's own stands for it.
const recheckAfter = 4

// tries is how many calls fit into the renew deadline when each hangs.
const tries = 3

func (s *Shards) lock(name string) *lock {
	return &lock{
		Interface: &resourcelock.LeaseLock{
			LeaseMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: name}, Client: s.Kube.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: s.Identity}, Labels: map[string]string{Label: s.Class},
		},
		timeout: s.Times.RenewDeadline / tries,
		expired: func(ctx context.Context, t term) bool { return s.expired(ctx, name, t) },
		renewed: func(time.Time) {},
		release: func(context.Context) error { return nil },
	}
}
