package shards

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// lock is a Lease as an elector sees it. It adds to client-go's what that does not have: a deadline for each call, so that one that hangs does not use up the time
// for all; what the watch has seen, so that a Lease is taken in the moment it expires; that the Lease of a replica stands for those of its buckets, which then need no
// renewals of their own; and the order of a handing back, in which the work ends before the Lease does.
type lock struct {
	resourcelock.Interface
	timeout time.Duration
	// expired says whether this very term has run out.
	expired func(context.Context, term) bool
	// lives is when the renewal was asked for by which this replica is known to live, and whether that still holds. Nil for the Lease that shows it.
	lives func() (asked time.Time, ok bool)
	// recheck is how long lives stands for a Lease before that is written nevertheless, to see that it is still ours.
	recheck time.Duration
	// renewed is called after a renewal that was asked for at a time.
	renewed func(asked time.Time)
	// release is called before the Lease is handed back; with an error it is kept, and runs out.
	release func(context.Context) error
	// holder is who held the Lease when it was last read.
	holder string
	// written is when the Lease was last written as ours; zero when it has been read since, which is what an elector does when it is not sure.
	written time.Time
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
	l.holder, l.written = record.HolderIdentity, time.Time{}
	t := term{record.HolderIdentity, metav1.MicroTime(record.AcquireTime), metav1.MicroTime(record.RenewTime)}
	switch {
	case record.HolderIdentity == "" || record.HolderIdentity == l.Identity():
	case l.expired(ctx, t):
		record.HolderIdentity = ""
	default:
		// An elector takes a Lease that stands still for its duration. One that another's own Lease stands for does, so it is shown as changed at every look.
		raw = strconv.AppendInt(raw, time.Now().UnixNano(), 10)
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

// write writes a Lease, unless this replica's own stands for it. No bucket is held for longer than the replica is known to live.
func (l *lock) write(ctx context.Context, record resourcelock.LeaderElectionRecord, write func(context.Context, resourcelock.LeaderElectionRecord) error) error {
	asked := time.Now()
	if taken := record.HolderIdentity != ""; taken && l.lives != nil {
		var ok bool
		if asked, ok = l.lives(); !ok {
			return fmt.Errorf("hold %s: %w", l.Describe(), errNotRenewed)
		}
		if !l.written.IsZero() && time.Since(l.written) < l.recheck {
			return nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	if err := write(ctx, record); err != nil || record.HolderIdentity == "" {
		return err
	}
	l.written = time.Now()
	l.renewed(asked)
	return nil
}

var errNotRenewed = errors.New("this replica could not renew its own Lease for too long")
