package shards

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"autoscale.io/scalers/scalertest/bubble"
)

// api answers a request when told to, or when the request's context ends.
type api struct {
	asked   int
	answers chan struct{}
}

// RoundTrip implements http.RoundTripper.
func (a *api) RoundTrip(r *http.Request) (*http.Response, error) {
	a.asked++
	select {
	case <-a.answers:
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

func call(ctx context.Context, through http.RoundTripper, method string) error {
	request, err := http.NewRequestWithContext(ctx, method, "https://api/", bytes.NewReader(nil))
	if err != nil {
		return err
	}
	response, err := through.RoundTrip(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// pass lets time pass, and what happens in it be done.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// holding is a term of 10 s in bucket 07 that has just been renewed, an API server that answers at once, and the fence before it.
func holding(t *testing.T) (*Term, *api, http.RoundTripper, *int) {
	lapses := new(int)
	term := newTerm(t.Context(), "07", 10*time.Second, func() { *lapses++ })
	server := &api{answers: make(chan struct{})}
	close(server.answers)
	term.renew(time.Now())
	return term, server, Fence(server), lapses
}

func TestWritesEndWithTheRenewals(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		term, server, fence, lapses := holding(t)
		defer term.end(0)
		pass(9 * time.Second)
		if err := call(term.ctx, fence, http.MethodPatch); err != nil || !Held(term.ctx) {
			t.Errorf("within the deadline: %v", err)
		}
		term.renew(time.Now())
		pass(9 * time.Second)
		if err := call(term.ctx, fence, http.MethodPatch); err != nil {
			t.Errorf("within the deadline after a renewal: %v", err)
		}
		pass(2 * time.Second)
		err := call(context.WithoutCancel(term.ctx), fence, http.MethodPatch)
		if want := "bucket 07: this replica does not hold the bucket any more"; !errors.Is(err, ErrEnded) || err.Error() != want {
			t.Errorf("after the deadline: %v, want %s", err, want)
		}
		if server.asked != 2 || term.ctx.Err() == nil || *lapses != 1 || Held(term.ctx) {
			t.Errorf("%d requests came through, want 2; the context: %v; lapses: %d, want 1", server.asked, term.ctx.Err(), *lapses)
		}
		term.renew(time.Now())
		if err := call(context.WithoutCancel(term.ctx), fence, http.MethodPatch); !errors.Is(err, ErrEnded) {
			t.Errorf("a renewal revived it: %v", err)
		}
	})
}

func TestARenewalCountsFromWhenItWasAskedFor(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		term, _, fence, _ := holding(t)
		defer term.end(0)
		asked := time.Now()
		pass(6 * time.Second)
		term.renew(asked)
		pass(5 * time.Second)
		if err := call(context.WithoutCancel(term.ctx), fence, http.MethodPost); !errors.Is(err, ErrEnded) {
			t.Errorf("10 s after the renewal was asked for: %v", err)
		}
		if term.ctx.Err() == nil {
			t.Error("10 s after the renewal was asked for the work goes on")
		}
	})
}

// TestNoWriteWithoutATimer has a process that was stopped: its timers have not come yet when it goes on.
func TestNoWriteWithoutATimer(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		term, server, fence, _ := holding(t)
		defer term.end(0)
		term.timer.Stop()
		pass(20 * time.Second)
		if err := call(term.ctx, fence, http.MethodPatch); !errors.Is(err, ErrEnded) || server.asked != 0 {
			t.Errorf("after 20 s: %v", err)
		}
	})
}

func TestNothingIsWrittenBeforeTheFirstRenewal(t *testing.T) {
	term := newTerm(t.Context(), "07", 10*time.Second, func() {})
	defer term.end(0)
	if err := call(term.ctx, Fence(&api{}), http.MethodPatch); !errors.Is(err, ErrEnded) || term.begun() || Held(term.ctx) {
		t.Errorf("%v", err)
	}
}

func TestReadsAndOthersPass(t *testing.T) {
	term, server, fence, _ := holding(t)
	term.end(0)
	if err := call(context.WithoutCancel(term.ctx), fence, http.MethodGet); err != nil {
		t.Errorf("a read: %v", err)
	}
	if err := call(t.Context(), fence, http.MethodPost); err != nil {
		t.Errorf("a write of nobody's: %v", err)
	}
	if server.asked != 2 || Held(t.Context()) {
		t.Errorf("%d came through, want 2", server.asked)
	}
}

func TestHandingBackWaitsForWrites(t *testing.T) {
	for name, c := range map[string]struct {
		takes, want time.Duration
		err         error
	}{
		"that come back":       {400 * time.Millisecond, 400 * time.Millisecond, nil},
		"that do not, a while": {time.Minute, time.Second, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				term, server, fence, _ := holding(t)
				server.answers = make(chan struct{})
				result := make(chan error, 1)
				go func() { result <- call(term.ctx, fence, http.MethodPatch) }()
				synctest.Wait()
				time.AfterFunc(c.takes, func() { close(server.answers) })
				began := time.Now()
				ended := make(chan struct{})
				go func() {
					term.end(drain)
					close(ended)
				}()
				synctest.Wait()
				if err := call(term.ctx, fence, http.MethodPatch); !errors.Is(err, ErrEnded) || Held(term.ctx) {
					t.Errorf("a write that begins meanwhile: %v", err)
				}
				<-ended
				if took := time.Since(began); took != c.want {
					t.Errorf("it took %s, want %s", took, c.want)
				}
				if err := <-result; !errors.Is(err, c.err) {
					t.Errorf("the write under way: %v, want %v", err, c.err)
				}
				pass(time.Minute)
			})
		})
	}
}
