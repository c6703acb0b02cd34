package world

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"

	"autoscale.io/e2e/cluster"
	"autoscale.io/e2e/product"
)

// APIProxy stands between an autoscaler and the API server, and treats it as a bad network would.
type APIProxy struct {
	Server *httptest.Server
	// FailLists answers 500 to lists of Jobs, those that come as a watch among them.
	FailLists atomic.Bool
	// FailMetrics answers what asks for the usage of pods as the API server does while metrics-server is away.
	FailMetrics atomic.Bool
	// Slow is how long each request that is not a watch takes at least, in nanoseconds.
	Slow atomic.Int64
	// Late is by how much the events of watches of Jobs and pods are late, in nanoseconds.
	Late atomic.Int64
	// LoseAnswers is how many creates of Jobs are carried out and answered with 504.
	LoseAnswers atomic.Int32
	// Conflicts answers 409 to what would change a webhook configuration; conflicted counts them.
	Conflicts  atomic.Bool
	Conflicted atomic.Int64
}

// APIProxy is a proxy for replicas of the shared install.
func (w *World) APIProxy() *APIProxy {
	w.T.Helper()
	return w.APIProxyFor(product.Namespace)
}

// APIProxyFor is for the replicas of an install in a namespace.
func (w *World) APIProxyFor(namespace string) *APIProxy {
	w.T.Helper()
	config, err := w.Cluster.TokenConfig(w.T.Context(), namespace, product.ServiceAccount)
	if err != nil {
		w.T.Fatal(err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		w.T.Fatal(err)
	}
	upstream, err := url.Parse(config.Host)
	if err != nil {
		w.T.Fatal(err)
	}
	p := &APIProxy{}
	forward := &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1, ModifyResponse: p.modify,
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(upstream) },
	}
	p.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if p.FailLists.Load() && isListOfJobs(r) {
			http.Error(rw, "etcdserver: request timed out", http.StatusInternalServerError)
			return
		}
		if p.FailMetrics.Load() && strings.HasPrefix(r.URL.Path, "/apis/metrics.k8s.io/") {
			http.Error(rw, "service unavailable", http.StatusServiceUnavailable)
			return
		}
		if p.Conflicts.Load() && r.Method == http.MethodPatch && strings.Contains(r.URL.Path, "/mutatingwebhookconfigurations/") {
			p.Conflicted.Add(1)
			answerConflict(rw)
			return
		}
		if slow := time.Duration(p.Slow.Load()); slow > 0 && r.URL.Query().Get("watch") == "" {
			select {
			case <-time.After(slow):
			case <-r.Context().Done():
			}
		}
		forward.ServeHTTP(rw, r)
	}))
	w.T.Cleanup(func() {
		p.Server.CloseClientConnections()
		p.Server.Close()
	})
	return p
}

// answerConflict is what the API server says when another writer came first.
func answerConflict(rw http.ResponseWriter) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(http.StatusConflict)
	_, _ = io.WriteString(rw, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"the object has been modified","reason":"Conflict","code":409}`)
}

// isListOfJobs recognises the list of the Jobs of templates, also in the form of a watch that begins with what there is.
func isListOfJobs(r *http.Request) bool {
	q := r.URL.Query()
	ours := strings.HasSuffix(r.URL.Path, "/jobs") && strings.Contains(q.Get("labelSelector"), "template-bucket")
	return r.Method == http.MethodGet && ours && (q.Get("watch") == "" || q.Get("sendInitialEvents") == "true")
}

func (p *APIProxy) modify(response *http.Response) error {
	r := response.Request
	jobs := strings.HasSuffix(r.URL.Path, "/jobs")
	if jobs && r.Method == http.MethodPost && p.LoseAnswers.Add(-1) >= 0 {
		return fmt.Errorf("the answer is lost") // which is a 502
	}
	if late := time.Duration(p.Late.Load()); late > 0 && r.URL.Query().Get("watch") != "" && (jobs || strings.HasSuffix(r.URL.Path, "/pods")) {
		response.Body = newLateBody(r.Context(), response.Body, late)
	}
	return nil
}

// lateBody passes on what it reads, each piece a while after it came.
type lateBody struct {
	pieces chan piece
	rest   []byte
	close  func() error
}

type piece struct {
	data []byte
	at   time.Time
}

func newLateBody(ctx context.Context, body interface {
	Read([]byte) (int, error)
	Close() error
}, late time.Duration) *lateBody {
	const backlog = 100_000
	l := &lateBody{pieces: make(chan piece, backlog), close: body.Close}
	go func() {
		defer close(l.pieces)
		reader := bufio.NewReader(body)
		buffer := make([]byte, 1<<16)
		for {
			n, err := reader.Read(buffer)
			if n > 0 {
				select {
				case l.pieces <- piece{append([]byte(nil), buffer[:n]...), time.Now().Add(late)}:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	return l
}

func (l *lateBody) Read(into []byte) (int, error) {
	if len(l.rest) == 0 {
		next, ok := <-l.pieces
		if !ok {
			return 0, io.EOF
		}
		time.Sleep(time.Until(next.at)) // the lateness itself, not a wait for something
		l.rest = next.data
	}
	n := copy(into, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// Close implements io.Closer.
func (l *lateBody) Close() error { return l.close() }

// StartBehind runs an autoscaler of a class of its own behind the proxy.
func (w *World) StartBehind(p *APIProxy, class string) *product.Autoscaler {
	w.T.Helper()
	return w.StartAutoscaler(class, class, append(Flags(), "--kubeconfig="+w.KubeconfigTo(p), "--sweep-interval=1s")...)
}

// KubeconfigTo is the path of one that leads to the proxy.
func (w *World) KubeconfigTo(p *APIProxy) string {
	w.T.Helper()
	path := filepath.Join(w.T.TempDir(), "kubeconfig")
	if err := cluster.WriteKubeconfig(path, &rest.Config{Host: p.Server.URL}); err != nil {
		w.T.Fatal(err)
	}
	return path
}
