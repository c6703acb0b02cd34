package target

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/metrics/pkg/apis/metrics/v1beta1"
	metricsclient "k8s.io/metrics/pkg/client/clientset/versioned/typed/metrics/v1beta1"

	"autoscale.io/scalers"
)

const (
	// listTimeout bounds one list. Who asked may have less patience; the others wait for the same list.
	listTimeout = 10 * time.Second
	// failurePause is how long a failure is the answer for everybody, so that many workloads do not hammer a server that is coming back.
	failurePause = 5 * time.Second
)

// podMetrics reads what metrics-server says, one list a namespace for all who ask within its resolution.
type podMetrics struct {
	client metricsclient.PodMetricsesGetter
	// fresh is how long a list serves: a little less than the resolution, since who asks once in each would else get every list twice.
	fresh time.Duration
	now   func() time.Time

	flights singleflight.Group
	mu      sync.Mutex
	lists   map[string]*sampleList
}

// sampleList is the latest answer about one namespace.
type sampleList struct {
	samples map[string]*scalers.Sample
	err     error
	// until is when it is too old to be used.
	until time.Time
}

func newPodMetrics(client metricsclient.PodMetricsesGetter, resolution time.Duration) *podMetrics {
	return &podMetrics{client: client, fresh: resolution * 9 / 10, now: time.Now, lists: map[string]*sampleList{}}
}

// of returns the samples of a namespace's pods by name. They are shared and must not be changed.
func (m *podMetrics) of(ctx context.Context, namespace string) (map[string]*scalers.Sample, error) {
	if list := m.latest(namespace); list != nil {
		return list.samples, list.err
	}
	flight := m.flights.DoChan(namespace, func() (any, error) {
		if list := m.latest(namespace); list != nil {
			return list, nil // it came while this flight was about to start
		}
		// The list outlives the one who asked first, since others wait for it too.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), listTimeout)
		defer cancel()
		return m.keep(namespace, m.list(ctx, namespace)), nil
	})
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("metrics-server has not answered in time: %w", ctx.Err())
	case result := <-flight:
		list, ok := result.Val.(*sampleList)
		if !ok {
			return nil, fmt.Errorf("read the metrics of pods in %s: %w", namespace, result.Err)
		}
		return list.samples, list.err
	}
}

func (m *podMetrics) latest(namespace string) *sampleList {
	m.mu.Lock()
	defer m.mu.Unlock()
	if list := m.lists[namespace]; list != nil && m.now().Before(list.until) {
		return list
	}
	return nil
}

// keep remembers a list, and forgets those that nobody has asked for lately.
func (m *podMetrics) keep(namespace string, list *sampleList) *sampleList {
	m.mu.Lock()
	defer m.mu.Unlock()
	for other, old := range m.lists {
		if m.now().After(old.until) {
			delete(m.lists, other)
		}
	}
	m.lists[namespace] = list
	return list
}

func (m *podMetrics) list(ctx context.Context, namespace string) (list *sampleList) {
	asked := m.now()
	defer func() {
		if p := recover(); p != nil { // in the goroutine of a flight it would end the process
			list = &sampleList{err: fmt.Errorf("reading the metrics of pods in %s panicked: %v\n%s", namespace, p, debug.Stack()), until: asked.Add(min(failurePause, m.fresh))}
		}
	}()
	got, err := m.client.PodMetricses(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return &sampleList{err: explainMetrics(namespace, err), until: m.now().Add(min(failurePause, m.fresh))}
	}
	list = &sampleList{samples: make(map[string]*scalers.Sample, len(got.Items)), until: asked.Add(m.fresh)}
	for i := range got.Items {
		list.samples[got.Items[i].Name] = sampleOf(&got.Items[i])
	}
	return list
}

func sampleOf(p *v1beta1.PodMetrics) *scalers.Sample {
	s := &scalers.Sample{Time: p.Timestamp.Time, Window: p.Window.Duration, Usage: make(map[string]corev1.ResourceList, len(p.Containers))}
	for _, c := range p.Containers {
		s.Usage[c.Name] = c.Usage
	}
	return s
}

// explainMetrics says what to do about a failure.
func explainMetrics(namespace string, err error) error {
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("the API metrics.k8s.io is not served in this cluster; install metrics-server: %w", err)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("cpu and memory need rights of their own; bind the ClusterRole autoscaler-resources: %w", err)
	case apierrors.IsServiceUnavailable(err):
		return fmt.Errorf("metrics-server is away; look at: kubectl describe apiservice v1beta1.metrics.k8s.io: %w", err)
	}
	return fmt.Errorf("read the metrics of pods in %s from metrics-server: %w", namespace, err)
}
