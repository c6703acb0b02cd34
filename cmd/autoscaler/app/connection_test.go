package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"autoscale.io/scalers/scalertest/bubble"

	"k8s.io/client-go/kubernetes"
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
		bubble.Test(t, func(t *testing.T) {
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
	bubble.Test(t, func(t *testing.T) {
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
		bubble.Test(t, func(t *testing.T) {
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

func TestTheConnectionIsBounded(t *testing.T) {
	const idle, timeout = "HTTP2_READ_IDLE_TIMEOUT_SECONDS", "HTTP2_PING_TIMEOUT_SECONDS"
	t.Setenv(idle, "") // both are put back after the test
	t.Setenv(timeout, "7")
	if err := os.Unsetenv(idle); err != nil {
		t.Fatal(err)
	}
	server := newAPIServer(t)
	config, err := connect(server.kubeconfig(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(config.Host, " ", config.QPS, " ", config.UserAgent, " ", config.Dial != nil); got != server.URL+" -1 autoscale.io true" {
		t.Errorf("got %s", got)
	}
	if got := os.Getenv(idle) + " " + os.Getenv(timeout); got != "5 7" {
		t.Errorf("the health check of connections: got %s, want 5 s, and the 7 s of the environment", got)
	}
	var chain []string
	transport := config.WrapTransport(hangs{})
	for {
		chain = append(chain, fmt.Sprintf("%T", transport))
		wrapper, ok := transport.(interface{ WrappedRoundTripper() http.RoundTripper })
		if !ok {
			break
		}
		transport = wrapper.WrappedRoundTripper()
	}
	if got := strings.Join(chain, " "); got != "app.deadlines shards.fence app.hangs" {
		t.Errorf("requests pass %s", got)
	}
	access, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if user, err := whoAmI(t.Context(), access); user != ownUser || err != nil {
		t.Errorf("got %q, %v", user, err)
	}
}

func TestWithoutAKubeconfigThereIsNoConnection(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none")
	if _, err := connect(path); err == nil || err.Error() != "find the API server: stat "+path+": no such file or directory" {
		t.Errorf("got %v", err)
	}
}
