package shards

import (
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// view is what this process has seen of the Leases, and when by its own clock.
//
// While nothing at all is heard, not even of this process's own renewals, others cannot be seen to renew either, so their time stands still: an outage of the API
// server makes nobody look dead.
type view struct {
	// patience is how long silence may last before time stands still.
	patience time.Duration
	// heard is when something was heard last.
	heard  time.Time
	leases map[string]seen
}

// seen is one Lease as last seen.
type seen struct {
	term    term
	version string
	// changed is when term was seen to change, later by the time that stood still since.
	changed time.Time
	// lasts is how long the Lease is valid without a change.
	lasts time.Duration
	// gone says that the Lease was deleted. It is kept while it would be valid: a person may have deleted it, and its holder know nothing of that.
	gone bool
}

// term is what changes when a Lease is taken or renewed; times are only ever compared for being the same.
type term struct {
	holder   string
	acquired metav1.MicroTime
	renewed  metav1.MicroTime
}

func newView(patience time.Duration, now time.Time) *view {
	return &view{patience: patience, heard: now, leases: map[string]seen{}}
}

// clock is the time by which Leases expire.
func (v *view) clock(now time.Time) time.Time {
	if latest := v.heard.Add(v.patience); now.After(latest) {
		return latest
	}
	return now
}

// hear takes in that the API server was heard.
func (v *view) hear(now time.Time) {
	if stood := now.Sub(v.clock(now)); stood > 0 {
		for name, lease := range v.leases {
			lease.changed = lease.changed.Add(stood)
			v.leases[name] = lease
		}
	}
	v.heard = now
}

// see takes in a Lease.
func (v *view) see(now time.Time, lease *coordinationv1.Lease) {
	v.hear(now)
	spec := &lease.Spec
	next := seen{
		version: lease.ResourceVersion, changed: now, lasts: time.Duration(ptr.Deref(spec.LeaseDurationSeconds, 0)) * time.Second,
		term: termOf(spec),
	}
	if before, ok := v.leases[lease.Name]; ok && !before.gone && before.term.same(next.term) {
		next.changed = before.changed
	}
	v.leases[lease.Name] = next
}

func termOf(spec *coordinationv1.LeaseSpec) term {
	return term{ptr.Deref(spec.HolderIdentity, ""), micro(spec.AcquireTime), micro(spec.RenewTime)}
}

func micro(t *metav1.MicroTime) metav1.MicroTime { return ptr.Deref(t, metav1.MicroTime{}) }

func (t term) same(o term) bool {
	return t.holder == o.holder && t.acquired.Equal(&o.acquired) && t.renewed.Equal(&o.renewed)
}

// miss takes in that a Lease is not there any more.
func (v *view) miss(now time.Time, name string) {
	v.hear(now)
	if lease, ok := v.leases[name]; ok {
		lease.gone = true
		v.leases[name] = lease
	}
}

// left is how long a Lease is still valid if it does not change; not above 0 when it has expired or was never seen.
func (v *view) left(now time.Time, name string) time.Duration {
	lease := v.leases[name]
	return lease.lasts - v.clock(now).Sub(lease.changed)
}

// holder is who holds a Lease that is there and has not expired; empty for nobody.
func (v *view) holder(now time.Time, name string) string {
	lease := v.leases[name]
	if lease.gone || v.left(now, name) <= 0 {
		return ""
	}
	return lease.term.holder
}

// holderOf is who holds a bucket: the holder of its Lease while that is valid, and then for as long as the holder lives, which its own Lease shows. own is the name of
// that Lease.
func (v *view) holderOf(now time.Time, bucket string, own func(holder string) string) string {
	lease, ok := v.leases[bucket]
	if !ok || lease.gone || lease.term.holder == "" {
		return ""
	}
	if v.left(now, bucket) <= 0 && v.left(now, own(lease.term.holder)) <= 0 {
		return ""
	}
	return lease.term.holder
}

// next is when the first of the Leases that are valid expires, or a while from now. Those that are gone are forgotten when they do.
func (v *view) next(now time.Time, while time.Duration) time.Duration {
	for name, lease := range v.leases {
		switch left := v.left(now, name); {
		case left > 0:
			while = min(while, left)
		case lease.gone:
			delete(v.leases, name)
		}
	}
	return while
}
