package app

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"k8s.io/client-go/rest"

	"autoscale.io/cmd/autoscaler/clients"
	"autoscale.io/scaling/shards"
)

const (
	// dialTimeout bounds a connect to the API server; writeLimit and readLimit bound one request, whatever its caller allows. A list of a large cluster takes its time,
	// and the API server itself gives up after a minute. A watch may last for ever once it is answered.
	dialTimeout = 5 * time.Second
	writeLimit  = 10 * time.Second
	readLimit   = 60 * time.Second
)

// pings are client-go's settings of the HTTP/2 health check, which it takes from the environment alone: a connection on which nothing was heard for 5 s is asked for a sign
// of life, and given up 5 s later. Its defaults of 30 s and 15 s would leave the workloads of a broken connection waiting for as long.
func pings() map[string]string {
	return map[string]string{"HTTP2_READ_IDLE_TIMEOUT_SECONDS": "5", "HTTP2_PING_TIMEOUT_SECONDS": "5"}
}

// connect finds the API server by the kubeconfig of that path, or in the usual places when it is empty.
func connect(path string) (*rest.Config, error) {
	config, err := clients.LoadConfig(path, "")
	if err != nil {
		return nil, err
	}
	return config, bound(config)
}

// bound gives every call of the API server a deadline, and every write of a workload its fence.
func bound(config *rest.Config) error {
	for name, value := range pings() {
		if _, ok := os.LookupEnv(name); ok {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("set up the health check of connections: %w", err)
		}
	}
	config.Dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return deadlines{shards.Fence(next)} })
	return nil
}

// deadlines bounds requests in time.
type deadlines struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (d deadlines) RoundTrip(r *http.Request) (*http.Response, error) {
	limit := writeLimit
	if r.Method == http.MethodGet {
		limit = readLimit
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	timer := time.AfterFunc(limit, func() {
		cancel(fmt.Errorf("no answer from the API server within %s: %w", limit, context.DeadlineExceeded))
	})
	end := func() {
		timer.Stop()
		cancel(nil)
	}
	response, err := d.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		if ctx.Err() != nil && r.Context().Err() == nil {
			err = context.Cause(ctx)
		}
		end()
		return nil, err
	}
	if r.URL.Query().Get("watch") != "" {
		timer.Stop()
	}
	response.Body = &body{response.Body, end}
	return response, nil
}

// WrappedRoundTripper lets client-go find the transport below.
func (d deadlines) WrappedRoundTripper() http.RoundTripper { return d.next }

// body ends the deadline of its request when it is closed.
type body struct {
	io.ReadCloser
	end func()
}

// Close implements io.Closer.
func (b *body) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}
