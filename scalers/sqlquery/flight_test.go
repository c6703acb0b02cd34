package sqlquery

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"autoscale.io/scalers/scalertest/bubble"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// slowly answers with how many queries were asked, after a while or when it is given up.
func slowly(asked *atomic.Int64, after time.Duration) func(context.Context) (answer, error) {
	return func(ctx context.Context) (answer, error) {
		n := asked.Add(1)
		select {
		case <-ctx.Done():
			return answer{}, ctx.Err()
		case <-time.After(after):
			return answer{value: float64(n)}, nil
		}
	}
}

func TestIdenticalQueriesAreAskedOnce(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var f flights
		var asked atomic.Int64
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if found, err := f.join(t.Context(), "q", slowly(&asked, time.Second)); err != nil || found.value != 1 {
					t.Errorf("got %v, %v", found, err)
				}
			})
		}
		wg.Wait()
		if found, err := f.join(t.Context(), "q", slowly(&asked, time.Second)); err != nil || found.value != 2 {
			t.Errorf("later: got %v, %v; want it asked anew", found, err)
		}
		if len(f.byQuery) != 0 {
			t.Errorf("%d queries are kept", len(f.byQuery))
		}
	})
}

func TestForgottenQueriesAreAskedAnew(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var f flights
		var asked atomic.Int64
		var wg sync.WaitGroup
		wg.Go(func() {
			if found, err := f.join(t.Context(), "q", slowly(&asked, time.Second)); err != nil || found.value != 1 {
				t.Errorf("got %v, %v", found, err)
			}
		})
		synctest.Wait()
		f.forget()
		if found, err := f.join(t.Context(), "q", slowly(&asked, 2*time.Second)); err != nil || found.value != 2 {
			t.Errorf("got %v, %v; want the answer of a query of its own", found, err)
		}
		wg.Wait()
	})
}

func TestWhoStartedAQueryMayLeave(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var f flights
		var asked atomic.Int64
		first, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := f.join(first, "q", slowly(&asked, time.Second)); !errors.Is(err, context.Canceled) {
				t.Errorf("the first: %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if found, err := f.join(t.Context(), "q", slowly(&asked, time.Second)); err != nil || found.value != 1 {
				t.Errorf("the second: %v, %v", found, err)
			}
		})
		synctest.Wait()
		leave()
		wg.Wait()
	})
}

func TestAQueryThatNobodyWaitsForIsGivenUp(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var f flights
		given := make(chan error, 1)
		ctx, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _ = f.join(ctx, "q", func(ctx context.Context) (answer, error) {
				<-ctx.Done()
				given <- ctx.Err()
				return answer{}, ctx.Err()
			})
		})
		synctest.Wait()
		leave()
		wg.Wait()
		if err := <-given; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// Who joins a query that ends with somebody else's deadline has time of its own left.
func TestAnothersDeadlineIsNotOnes(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var f flights
		var asked atomic.Int64
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := f.join(short, "q", slowly(&asked, 3*time.Second)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the first: %v", err)
			}
		})
		synctest.Wait()
		long, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if found, err := f.join(long, "q", slowly(&asked, 3*time.Second)); err != nil || found.value != 2 {
			t.Errorf("the second: %v, %v", found, err)
		}
		wg.Wait()
	})
}

func TestAPanicIsAnError(t *testing.T) {
	var f flights
	_, err := f.join(t.Context(), "q", func(context.Context) (answer, error) { panic("boom") })
	if err == nil || !strings.HasPrefix(err.Error(), "the query panicked: boom\n") {
		t.Errorf("got %v", err)
	}
}

func TestServerTimeoutIsShorterThanTheClients(t *testing.T) {
	for left, want := range map[time.Duration]time.Duration{
		3 * time.Second: 2900 * time.Millisecond, 500 * time.Millisecond: 450 * time.Millisecond, time.Microsecond: time.Millisecond, -time.Second: time.Millisecond,
	} {
		if got := serverTimeout(left); got != want {
			t.Errorf("%s left: got %s, want %s", left, got, want)
		}
	}
}

func TestFirstWord(t *testing.T) {
	for query, want := range map[string]string{
		"select 1": "select", " \n\t((SELECT 1))": "select", "SELECT(1)": "select", "selectx": "selectx", "-- a\nwith": "with", "# a\n/* b */table t": "table",
		"/* a": "", "/* /* a */ select */ copy": "", "": "", "--": "", "1": "", "'select'": "", ";select 1": "", "\u00a0select": "",
	} {
		if got := firstWord(query); got != want {
			t.Errorf("%q: got %q, want %q", query, got, want)
		}
	}
}

func TestNullAs(t *testing.T) {
	for text, want := range map[string]NullAs{"0": {}, "2.5": {Value: 2.5}, "unknown": {Unknown: true}} {
		var got NullAs
		if err := got.ParseValue(text); err != nil || got != want || got.String() != text {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
}
