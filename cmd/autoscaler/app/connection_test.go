package app

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// hangs never answers.
type hangs struct{}

// RoundTrip implements http.RoundTripper.
func (hangs) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// answers at once, with a body that ends with the request's context.
type answers struct{ body *endless }

// RoundTrip implements http.RoundTripper.
func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	a.body.ctx = r.Context()
	return &http.Response{StatusCode: http.StatusOK, Body: a.body}, nil
}

type endless struct {
	ctx    context.Context
	closed bool
}

// Read implements io.Reader.
func (e *endless) Read([]byte) (int, error) {
	<-e.ctx.Done()
	return 0, e.ctx.Err()
}

// Close implements io.Closer.
func (e *endless) Close() error {
	e.closed = true
	return nil
}

func request(ctx context.Context, t *testing.T, method, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestARequestThatIsNotAnsweredEnds(t *testing.T) {
	for method, limit := range map[string]time.Duration{http.MethodGet: time.Minute, http.MethodPatch: 10 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			_, err := deadlines{hangs{}}.RoundTrip(request(t.Context(), t, method, "https://api/?watch=true")) //nolint:bodyclose // there is none
			if took := time.Since(began); took != limit || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v after %s, want the deadline after %s", method, err, took, limit)
			}
			if want := "no answer from the API server within "; err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s: %v, want %s…", method, err, want)
			}
		})
	}
}

func TestTheCallersOwnDeadlineIsTheCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := deadlines{hangs{}}.RoundTrip(request(ctx, t, http.MethodPatch, "https://api/")) //nolint:bodyclose // there is none
		if !errors.Is(err, context.DeadlineExceeded) || err.Error() != "context deadline exceeded" {
			t.Errorf("got %v", err)
		}
	})
}

func TestAListEndsAndAWatchDoesNot(t *testing.T) {
	for url, ends := range map[string]bool{"https://api/": true, "https://api/?watch=true": false} {
		synctest.Test(t, func(t *testing.T) {
			content := &endless{}
			response, err := deadlines{answers{content}}.RoundTrip(request(t.Context(), t, http.MethodGet, url))
			if err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Hour)
			if ended := content.ctx.Err() != nil; ended != ends {
				t.Errorf("%s: ended after an hour: %t, want %t", url, ended, ends)
			}
			if err := response.Body.Close(); err != nil || !content.closed || content.ctx.Err() == nil {
				t.Errorf("%s: closed: %v, %t, %v", url, err, content.closed, content.ctx.Err())
			}
		})
	}
}
