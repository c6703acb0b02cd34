package ha

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/e2e/cluster"
	"autoscale.io/e2e/product"
	"autoscale.io/e2e/world"
	"autoscale.io/scaling/shards"
)

// blackHole is a way to a server that can swallow everything. Connections from before and during that stay dead afterwards, without a word.
type blackHole struct {
	net.Listener
	upstream string
	// dead are the connections that swallow, and silent says that new ones do as well.
	silent atomic.Bool
	mu     sync.Mutex
	live   map[*atomic.Bool]bool
}

func newBlackHole(t *testing.T, upstream string) *blackHole {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &blackHole{Listener: listener, upstream: upstream, live: map[*atomic.Bool]bool{}}
	t.Cleanup(func() { _ = listener.Close() }) // which ends serve
	go h.serve()
	return h
}

func (h *blackHole) serve() {
	for {
		client, err := h.Accept()
		if err != nil {
			return
		}
		go h.connect(client)
	}
}

func (h *blackHole) connect(client net.Conn) {
	defer client.Close()
	dead := &atomic.Bool{}
	dead.Store(h.silent.Load())
	var dialer net.Dialer
	server, err := dialer.DialContext(context.Background(), "tcp", h.upstream)
	if err != nil {
		return
	}
	defer server.Close()
	h.mu.Lock()
	h.live[dead] = true
	h.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { pour(server, client, dead) })
	both.Go(func() { pour(client, server, dead) })
	both.Wait()
}

// pour copies until one side ends; a dead connection's bytes go nowhere, and its end is not passed on.
func pour(to io.WriteCloser, from io.Reader, dead *atomic.Bool) {
	buffer := make([]byte, 1<<15)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !dead.Load() {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			if !dead.Load() {
				_ = to.Close() // the other direction ends with it
			}
			return
		}
	}
}

// swallow begins an outage.
func (h *blackHole) swallow() {
	h.silent.Store(true)
	h.mu.Lock()
	defer h.mu.Unlock()
	for dead := range h.live {
		dead.Store(true)
	}
}

// pass ends it, for new connections.
func (h *blackHole) pass() { h.silent.Store(false) }

// silentOutage has an API server that swallows everything for 20 s while every workload should grow.
func silentOutage(t *testing.T, w *world.World) {
	const outage, recovery = 20 * time.Second, 15 * time.Second
	r := newReplicas(w, "outage")
	r.unrecorded = true // over TLS and HTTP/2 as in a real install
	config, err := w.Cluster.TokenConfig(t.Context(), product.Namespace, product.ServiceAccount)
	if err != nil {
		t.Fatal(err)
	}
	upstream, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	hole := newBlackHole(t, upstream.Host)
	config.Host = "https://" + hole.Addr().String()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := cluster.WriteKubeconfig(path, config); err != nil {
		t.Fatal(err)
	}
	a := r.run("a", path)
	r.deploy(50, nil)
	r.push()
	r.awaitLevel(world.Soon)
	hole.swallow()
	r.push()
	w.Await("the leases were not renewed for a while", outage+takeover, func(ctx context.Context) error {
		leases, err := w.Kube.CoordinationV1().Leases(product.Namespace).List(ctx, metav1.ListOptions{LabelSelector: shards.Label + "=" + r.class})
		if err != nil {
			return err
		}
		for _, lease := range leases.Items {
			if age := time.Since(lease.Spec.RenewTime.Time); age < outage {
				return fmt.Errorf("%s was renewed %s ago", lease.Name, age)
			}
		}
		return nil
	})
	if err := a.Alive(t.Context()); err != nil {
		t.Errorf("the replica says it needs a restart: %v", err)
	}
	hole.pass()
	r.awaitLevel(recovery)
	r.wantNoFall()
}
