package shards

import (
	"net/http"
	"testing"
	"time"

	"autoscale.io/scalers/scalertest/bubble"
)

func TestTermsRestOnTheOwnLease(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLife(10 * time.Second)
		if _, ok := l.lasts(); ok {
			t.Error("it lasts before it has begun")
		}
		term := newTerm(t.Context(), "07", 10*time.Second, func() {})
		server := &api{answers: make(chan struct{})}
		close(server.answers)
		fence := Fence(server)
		write := func(what string, want bool) {
			t.Helper()
			if err := call(term.ctx, fence, http.MethodPatch); (err == nil) != want {
				t.Errorf("%s: a write ends with %v", what, err)
			}
		}
		l.renew(time.Now())
		<-l.begun
		asked, ok := l.lasts()
		if !ok || !asked.Equal(time.Now()) {
			t.Errorf("renewed at %s, lasts: %t", asked, ok)
		}
		write("the bucket is not held", false)
		pass(4 * time.Second)
		l.renew(time.Now())
		pass(4 * time.Second)
		l.carry(term, asked) // it took a while to write the Lease of the bucket, and the own one has been renewed since
		pass(5 * time.Second)
		write("9 s after the latest renewal", true)
		l.renew(time.Now())
		pass(9 * time.Second)
		l.carry(term, asked)
		write("9 s after another one", true)
		pass(time.Second)
		write("10 s after the latest", false)
		if _, ok := l.lasts(); ok {
			t.Error("it lasts for longer than the deadline")
		}
		l.renew(time.Now())
		write("a renewal after the end", false)
		l.drop(term)
		if len(l.terms) > 0 {
			t.Error("a term that was dropped is kept")
		}
	})
}
