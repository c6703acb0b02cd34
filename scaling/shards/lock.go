package shards

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// lock is a Lease as an elector sees it. It adds to client-go's what that does not have: a deadline for each call, so that one that hangs does not use up the time
// for all; what the watch has seen, so that a Lease is taken in the moment it expires; and the order of a handing back, in which the work ends before the Lease does.
type lock struct {
	resourcelock.Interface
	timeout time.Duration
	// expired says whether the watch has seen this very term run out.
	expired func(term) bool
	// renewed is called after a renewal that was asked for at a time.
	renewed func(asked time.Time)
	// release is called before the Lease is handed back; with an error it is kept, and runs out.
	release func(context.Context) error
	// holder is who held the Lease when it was last read.
	holder string
}

// Get implements resourcelock.Interface. A Lease that has run out is shown as nobody's. Whoever takes it writes to the version that was read, so that a holder
// which has renewed it after all keeps it.
func (l *lock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	record, raw, err := l.Interface.Get(ctx)
	if err != nil {
		return nil, nil, err
	}
	l.holder = record.HolderIdentity
	t := term{record.HolderIdentity, metav1.MicroTime(record.AcquireTime), metav1.MicroTime(record.RenewTime)}
	if record.HolderIdentity != l.Identity() && l.expired(t) {
		record.HolderIdentity = ""
	}
	return record, raw, nil
}

// Create implements resourcelock.Interface.
func (l *lock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(ctx, record, l.Interface.Create)
}

// Update implements resourcelock.Interface.
func (l *lock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	if record.HolderIdentity == "" {
		// The elector reads the version of the Lease anew before it hands it back, but not whose it is by now.
		if l.holder != l.Identity() {
			return fmt.Errorf("hand back %s: it is held by %q by now", l.Describe(), l.holder)
		}
		if err := l.release(ctx); err != nil {
			return err
		}
	}
	return l.write(ctx, record, l.Interface.Update)
}

func (l *lock) write(ctx context.Context, record resourcelock.LeaderElectionRecord, write func(context.Context, resourcelock.LeaderElectionRecord) error) error {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	asked := time.Now()
	err := write(ctx, record)
	if err == nil && record.HolderIdentity != "" {
		l.renewed(asked)
	}
	return err
}
