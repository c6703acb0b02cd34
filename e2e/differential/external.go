package differential

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/metrics/pkg/apis/external_metrics/v1beta1"

	"autoscale.io/e2e/cluster"
)

// externalAPI leads the API server to this process: it refuses a Service that selects a loopback address, but takes a name.
const externalAPI = `
apiVersion: v1
kind: Service
metadata: {name: external-metrics, namespace: kube-system}
spec:
  type: ExternalName
  externalName: localhost
  ports: [{port: %[1]s}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.external.metrics.k8s.io}
spec:
  group: external.metrics.k8s.io
  version: v1beta1
  groupPriorityMinimum: 100
  versionPriority: 100
  insecureSkipTLSVerify: true
  service: {name: external-metrics, namespace: kube-system, port: %[1]s}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.metrics.k8s.io}
spec:
  group: metrics.k8s.io
  version: v1beta1
  groupPriorityMinimum: 100
  versionPriority: 100
  insecureSkipTLSVerify: true
  service: {name: external-metrics, namespace: kube-system, port: %[1]s}
`

// external serves the external and the resource metrics API: in each namespace the loads of the scenario that runs there.
type external struct {
	server *httptest.Server

	mu    sync.Mutex
	feeds map[string]*feed
	uses  map[string]*use
}

// feed is what one side of a scenario is shown.
type feed struct {
	// settled says whether the workload's pods are as its spec wants them, and at which count.
	settled func() (replicas int32, ok bool)

	mu    sync.Mutex
	loads []Load
	// shown are the loads for the look that is under way; nil while the workload is not settled.
	shown []Load
	// before is the count at which the look before found the workload settled, or -1.
	before int32
	beats  beats
}

// beats counts how often one side has seen the loads, and the longest pause between two such looks. A look at a workload that has not settled
// is none: while pods are slow to start, that side cannot act.
type beats struct {
	n       int
	last    time.Time
	longest time.Duration
}

func (b *beats) add(now time.Time) {
	if !b.last.IsZero() {
		b.longest = max(b.longest, now.Sub(b.last))
	}
	b.n++
	b.last = now
}

func startExternal() *external {
	e := &external{feeds: map[string]*feed{}, uses: map[string]*use{}}
	mux := http.NewServeMux()
	path := "/apis/" + v1beta1.SchemeGroupVersion.String()
	mux.HandleFunc("GET "+path, discover(v1beta1.SchemeGroupVersion.String()))
	mux.HandleFunc("GET "+path+"/namespaces/{namespace}/{metric}", e.serve)
	e.handleUse(mux)
	e.server = httptest.NewTLSServer(mux)
	return e
}

// discover answers who asks what a group has; nobody here needs to know.
func discover(groupVersion string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, &metav1.APIResourceList{
			TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: groupVersion, APIResources: []metav1.APIResource{},
		})
	}
}

// register makes both APIs known in a cluster and waits until they are served there.
func (e *external) register(ctx context.Context, c *cluster.Cluster, kube kubernetes.Interface) error {
	address, err := url.Parse(e.server.URL)
	if err != nil {
		return err
	}
	if err := c.Apply(ctx, fmt.Appendf(nil, externalAPI, address.Port())); err != nil {
		return err
	}
	var last error
	err = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		for _, api := range []string{v1beta1.SchemeGroupVersion.String(), resourceAPI} {
			if _, last = kube.Discovery().RESTClient().Get().AbsPath("/apis/" + api).DoRaw(ctx); last != nil {
				break
			}
		}
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the metrics APIs: %w (%v)", err, last)
	}
	return nil
}

// feed makes the feed of a namespace.
func (e *external) feed(namespace string, settled func() (int32, bool)) *feed {
	f := &feed{settled: settled, before: -1}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.feeds[namespace] = f
	return f
}

func (e *external) serve(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	f := e.feeds[r.PathValue("namespace")]
	e.mu.Unlock()
	metric := r.PathValue("metric")
	i, err := strconv.Atoi(strings.TrimPrefix(metric, "m"))
	if f == nil || err != nil {
		refuse(w, http.StatusNotFound, "there is no such metric")
		return
	}
	load, ok := f.look(i)
	switch {
	case !ok:
		refuse(w, http.StatusServiceUnavailable, "the workload is still settling")
	case load == Broken:
		refuse(w, http.StatusInternalServerError, "the metric cannot be read")
	default:
		answer(w, http.StatusOK, &v1beta1.ExternalMetricValueList{
			TypeMeta: metav1.TypeMeta{Kind: "ExternalMetricValueList", APIVersion: v1beta1.SchemeGroupVersion.String()},
			Items: []v1beta1.ExternalMetricValue{{
				MetricName: metric, MetricLabels: map[string]string{}, Timestamp: metav1.Now(), Value: *resource.NewQuantity(int64(load), resource.DecimalSI),
			}},
		})
	}
}

// look answers for the metric i. The HPA asks for its metrics in their order, so the first begins a look, and the others are answered from the same
// moment. Two looks in a row must find the workload settled at one count: what the HPA has read before it asks is then settled, too.
func (f *feed) look(i int) (load Load, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i == 0 {
		f.begin()
	}
	return f.showing(i)
}

// lookAnew answers for the metric i alone.
func (f *feed) lookAnew(i int) (load Load, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begin()
	return f.showing(i)
}

func (f *feed) showing(i int) (load Load, ok bool) {
	if i >= len(f.shown) {
		return 0, false
	}
	return f.shown[i], true
}

func (f *feed) begin() {
	replicas, ok := f.settled()
	f.shown = nil
	if ok && replicas == f.before {
		f.shown = slices.Clone(f.loads)
		f.beats.add(time.Now())
	}
	f.before = -1
	if ok {
		f.before = replicas
	}
}

// set changes the loads; the look that is under way still sees the old ones.
func (f *feed) set(loads Step) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.loads = loads
	f.beats.longest = 0
}

func (f *feed) seen() beats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.beats
}

func refuse(w http.ResponseWriter, code int, text string) {
	answer(w, code, &metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Message: text, Code: int32(code),
	})
}

func answer(w http.ResponseWriter, code int, object any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	// Whoever has gone needs no answer.
	_ = json.NewEncoder(w).Encode(object)
}
