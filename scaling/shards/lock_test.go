package shards

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"autoscale.io/scalers/scalertest/bubble"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// lease is what the API server has, and what was done to it in which order.
type lease struct {
	record resourcelock.LeaderElectionRecord
	hangs  bool
	log    []string
}

// Get implements resourcelock.Interface.
func (l *lease) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record := l.record
	return &record, nil, l.hang(ctx)
}

// Create implements resourcelock.Interface.
func (l *lease) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.Update(ctx, record)
}

// Update implements resourcelock.Interface.
func (l *lease) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	if err := l.hang(ctx); err != nil {
		return err
	}
	l.log = append(l.log, fmt.Sprintf("write %q", record.HolderIdentity))
	l.record = record
	return nil
}

func (l *lease) hang(ctx context.Context) error {
	if !l.hangs {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

// RecordEvent implements resourcelock.Interface.
func (l *lease) RecordEvent(string) {}

// Identity implements resourcelock.Interface.
func (l *lease) Identity() string { return "me" }

// Describe implements resourcelock.Interface.
func (l *lease) Describe() string { return "system/bucket-07" }

// locked is a lock on a lease of somebody's; expired says whether the watch has seen it run out.
func locked(holder string, expired bool) (*lock, *lease) {
	inner := &lease{record: resourcelock.LeaderElectionRecord{HolderIdentity: holder}}
	return &lock{
		Interface: inner, timeout: time.Second,
		expired: func(context.Context, term) bool { return expired },
		renewed: func(asked time.Time) { inner.log = append(inner.log, "renewed") },
		release: func(context.Context) error {
			inner.log = append(inner.log, "work ends")
			return nil
		},
	}, inner
}

func TestOnlyALeaseThatRanOutIsNobodys(t *testing.T) {
	for _, c := range []struct {
		holder  string
		expired bool
		want    string
	}{{"other", false, "other"}, {"other", true, ""}, {"me", true, "me"}} {
		l, _ := locked(c.holder, c.expired)
		if got, _, err := l.Get(t.Context()); err != nil || got.HolderIdentity != c.want {
			t.Errorf("%+v: got %q, %v", c, got.HolderIdentity, err)
		}
	}
}

func TestTheTermIsAskedFor(t *testing.T) {
	l, inner := locked("other", false)
	at := metav1.Now()
	inner.record.RenewTime = at
	var asked term
	l.expired = func(_ context.Context, t term) bool {
		asked = t
		return true
	}
	if _, _, err := l.Get(t.Context()); err != nil || !asked.same(term{holder: "other", renewed: metav1.MicroTime(at)}) {
		t.Errorf("asked about %+v, %v", asked, err)
	}
}

func TestTheWorkEndsBeforeTheLease(t *testing.T) {
	l, inner := locked("me", false)
	if _, _, err := l.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Update(t.Context(), resourcelock.LeaderElectionRecord{HolderIdentity: "me"}); err != nil {
		t.Fatal(err)
	}
	if err := l.Update(t.Context(), resourcelock.LeaderElectionRecord{}); err != nil {
		t.Fatal(err)
	}
	if want := []string{`write "me"`, "renewed", "work ends", `write ""`}; !slices.Equal(inner.log, want) {
		t.Errorf("got %q, want %q", inner.log, want)
	}
}

func TestTheLeaseIsKeptWhileTheWorkDoesNotEnd(t *testing.T) {
	l, inner := locked("me", false)
	stuck := errors.New("stuck")
	l.release = func(context.Context) error { return stuck }
	if _, _, err := l.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Update(t.Context(), resourcelock.LeaderElectionRecord{}); !errors.Is(err, stuck) || len(inner.log) > 0 {
		t.Errorf("got %v, %q", err, inner.log)
	}
}

func TestWhatOthersHoldIsNotHandedBack(t *testing.T) {
	for _, expired := range []bool{false, true} {
		l, inner := locked("other", expired)
		if _, _, err := l.Get(t.Context()); err != nil {
			t.Fatal(err)
		}
		err := l.Update(t.Context(), resourcelock.LeaderElectionRecord{})
		if want := `hand back system/bucket-07: it is held by "other" by now`; err == nil || err.Error() != want || len(inner.log) > 0 {
			t.Errorf("got %v, %q, want %s", err, inner.log, want)
		}
	}
}

func TestACallThatHangsEnds(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l, inner := locked("me", false)
		inner.hangs = true
		began := time.Now()
		_, _, read := l.Get(t.Context())
		write := l.Update(t.Context(), resourcelock.LeaderElectionRecord{HolderIdentity: "me"})
		if took := time.Since(began); !errors.Is(read, context.DeadlineExceeded) || !errors.Is(write, context.DeadlineExceeded) || took != 2*time.Second {
			t.Errorf("got %v and %v after %s", read, write, took)
		}
	})
}

// resting is a lock on a bucket's Lease that this replica's own Lease stands for. It is written for real once a minute.
func resting() (l *lock, inner *lease, lives *bool) {
	l, inner = locked("me", false)
	lives = new(true)
	l.recheck = time.Minute
	l.lives = func() (time.Time, bool) { return time.Now(), *lives }
	return l, inner, lives
}

func TestTheOwnLeaseStandsForThoseOfTheBuckets(t *testing.T) {
	mine := resourcelock.LeaderElectionRecord{HolderIdentity: "me"}
	bubble.Test(t, func(t *testing.T) {
		l, inner, _ := resting()
		for range 31 { // two minutes, with the first
			if err := l.Update(t.Context(), mine); err != nil {
				t.Fatal(err)
			}
			pass(4 * time.Second)
		}
		if want := []string{`write "me"`, "renewed", `write "me"`, "renewed", `write "me"`, "renewed"}; !slices.Equal(inner.log, want) {
			t.Errorf("got %q, want a write a minute: %q", inner.log, want)
		}
	})
}

func TestALeaseThatWasReadIsWritten(t *testing.T) {
	mine := resourcelock.LeaderElectionRecord{HolderIdentity: "me"}
	l, inner, _ := resting()
	for range 2 {
		if _, _, err := l.Get(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := l.Update(t.Context(), mine); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{`write "me"`, "renewed", `write "me"`, "renewed"}; !slices.Equal(inner.log, want) {
		t.Errorf("got %q, want %q", inner.log, want)
	}
}

func TestNoBucketIsHeldWithoutTheOwnLease(t *testing.T) {
	mine := resourcelock.LeaderElectionRecord{HolderIdentity: "me"}
	l, inner, lives := resting()
	const want = "hold system/bucket-07: this replica could not renew its own Lease for too long"
	*lives = false
	if err := l.Create(t.Context(), mine); err == nil || err.Error() != want || len(inner.log) > 0 {
		t.Errorf("got %v, %q, want %s", err, inner.log, want)
	}
	*lives = true
	if err := l.Create(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	*lives = false
	if err := l.Update(t.Context(), mine); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := l.Update(t.Context(), resourcelock.LeaderElectionRecord{}); err == nil {
		t.Error("it was handed back without having been read as its own")
	}
}

// TestAnElectorSeesALivingHoldersLeaseChange: client-go takes a Lease whose bytes stand still.
func TestAnElectorSeesALivingHoldersLeaseChange(t *testing.T) {
	for _, expired := range []bool{false, true} {
		bubble.Test(t, func(t *testing.T) {
			l, _ := locked("other", expired)
			_, before, _ := l.Get(t.Context())
			pass(time.Second)
			_, after, err := l.Get(t.Context())
			if changed := !bytes.Equal(before, after); err != nil || changed == expired {
				t.Errorf("expired %t: it changed: %t, %v", expired, changed, err)
			}
		})
	}
}
