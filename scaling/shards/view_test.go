package shards

import (
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// scene is a view on a clock of its own, and the clock of another machine, which may be anything.
type scene struct {
	*view
	t          *testing.T
	now, other time.Time
}

func newScene(t *testing.T, skew time.Duration) *scene {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return &scene{newView(8*time.Second, now), t, now, now.Add(skew)}
}

func (s *scene) pass(d time.Duration) { s.now, s.other = s.now.Add(d), s.other.Add(d) }

// renew is seen when another machine has renewed a lease of 15 s.
func (s *scene) renew(name, holder string) {
	s.see(s.now, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: coordinationv1.LeaseSpec{
		HolderIdentity: ptr.To(holder), LeaseDurationSeconds: ptr.To[int32](15), RenewTime: &metav1.MicroTime{Time: s.other},
	}})
}

func (s *scene) want(name, holder string) {
	s.t.Helper()
	if got := s.holder(s.now, name); got != holder {
		s.t.Errorf("after %s: %s is held by %q, want %q", s.now.Format("04:05"), name, got, holder)
	}
}

// passWhileHearing passes time in which this process's own renewals are heard.
func (s *scene) passWhileHearing(d time.Duration) {
	for ; d > 0; d -= time.Second {
		s.pass(time.Second)
		s.renew("own", "me")
	}
}

func TestALeaseExpiresOnTheClockOfThisMachine(t *testing.T) {
	for _, skew := range []time.Duration{0, -2 * time.Minute, 2 * time.Minute, -24 * time.Hour} {
		s := newScene(t, skew)
		s.renew("bucket", "other")
		s.want("bucket", "other")
		s.passWhileHearing(14 * time.Second)
		s.want("bucket", "other")
		s.renew("bucket", "other")
		s.passWhileHearing(14 * time.Second)
		s.want("bucket", "other")
		s.passWhileHearing(time.Second)
		s.want("bucket", "")
		s.renew("bucket", "other")
		s.want("bucket", "other")
	}
}

func TestALeaseSeenAgainIsNotRenewed(t *testing.T) {
	s := newScene(t, 0)
	s.renew("bucket", "other")
	at := s.other
	s.passWhileHearing(10 * time.Second)
	s.other = at
	s.renew("bucket", "other") // a label has changed, or the watch began anew
	s.passWhileHearing(5 * time.Second)
	s.want("bucket", "")
}

func TestNobodyDiesWhileNothingIsHeard(t *testing.T) {
	s := newScene(t, 0)
	s.renew("bucket", "other")
	s.renew("own", "me")
	s.pass(10 * time.Minute)
	s.want("bucket", "other")
	s.renew("own", "me") // the first sign of life after the outage
	s.want("bucket", "other")
	s.passWhileHearing(6 * time.Second) // of its 15 s, the patience of 8 s has gone
	s.want("bucket", "other")
	s.passWhileHearing(time.Second)
	s.want("bucket", "")
}

// own is the name of a replica's own Lease.
func own(holder string) string { return "replica-" + holder }

func (s *scene) wantBucket(holder string) {
	s.t.Helper()
	if got := s.holderOf(s.now, "bucket", own); got != holder {
		s.t.Errorf("after %s: the bucket is held by %q, want %q", s.now.Format("04:05"), got, holder)
	}
}

func TestABucketIsHeldAsLongAsItsHolderLives(t *testing.T) {
	s := newScene(t, 0)
	s.wantBucket("")
	s.renew(own("other"), "other")
	s.renew("bucket", "other")
	for range 10 {
		s.passWhileHearing(14 * time.Second)
		s.wantBucket("other")
		s.renew(own("other"), "other")
	}
	s.passWhileHearing(15 * time.Second)
	s.wantBucket("")
	s.renew("bucket", "") // handed back
	s.renew(own("other"), "other")
	s.wantBucket("")
}

// TestABucketWhoseHolderIsNotKnown: a replica that starts has not seen for how long.
func TestABucketWhoseHolderIsNotKnown(t *testing.T) {
	s := newScene(t, 0)
	s.renew("bucket", "other")
	s.passWhileHearing(14 * time.Second)
	s.wantBucket("other")
	s.passWhileHearing(time.Second)
	s.wantBucket("")
}

// TestALeaseThatAPersonDeletes: its holder knows nothing of that, and goes on for as long as it may.
func TestALeaseThatAPersonDeletes(t *testing.T) {
	s := newScene(t, 0)
	s.renew("bucket", "other")
	s.passWhileHearing(time.Minute)
	s.renew(own("other"), "other")
	s.passWhileHearing(5 * time.Second)
	s.miss(s.now, own("other"))
	s.want(own("other"), "") // it does not count as one of those that share
	s.wantBucket("other")
	s.passWhileHearing(10 * time.Second)
	s.wantBucket("")
	s.next(s.now, time.Minute)
	if _, ok := s.leases[own("other")]; ok {
		t.Error("it is kept for ever")
	}
}

func TestALeaseThatComesBackIsNew(t *testing.T) {
	s := newScene(t, 0)
	s.renew(own("other"), "other")
	at := s.other
	s.miss(s.now, own("other"))
	s.passWhileHearing(10 * time.Second)
	s.other = at
	s.renew(own("other"), "other")
	s.passWhileHearing(10 * time.Second)
	s.want(own("other"), "other")
}

func TestNextIsWhenTheFirstExpires(t *testing.T) {
	s := newScene(t, 0)
	s.renew("bucket", "other")
	s.passWhileHearing(12 * time.Second)
	if got := s.next(s.now, 4*time.Second); got != 3*time.Second {
		t.Errorf("the next look is in %s, want 3s", got)
	}
	s.miss(s.now, "bucket")
	s.want("bucket", "")
	s.passWhileHearing(3 * time.Second)
	if got := s.next(s.now, 4*time.Second); got != 4*time.Second {
		t.Errorf("the next look is in %s, want 4s", got)
	}
}
