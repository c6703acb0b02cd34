package target

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"autoscale.io/scalers/scalertest/bubble"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/metrics/pkg/apis/metrics/v1beta1"
	metricsclient "k8s.io/metrics/pkg/client/clientset/versioned/typed/metrics/v1beta1"

	"autoscale.io/scalers"
)

// cpus is a list of that much cpu.
func cpus(quantity string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(quantity)}
}

func TestSlimPodKeepsWhatCounts(t *testing.T) {
	began := metav1.NewTime(time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC))
	always, yes := corev1.ContainerRestartPolicyAlways, true
	owner := metav1.OwnerReference{Kind: "ReplicaSet", Name: "web-1", UID: "set", Controller: &yes}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "web-1-a", Namespace: "shop", UID: "pod", CreationTimestamp: began, DeletionTimestamp: &began, Labels: map[string]string{"app": "web"}, Annotations: map[string]string{"a": "b"},
			OwnerReferences: []metav1.OwnerReference{{Kind: "Other", UID: "other"}, owner}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m"}},
		},
		Spec: corev1.PodSpec{
			Resources:      &corev1.ResourceRequirements{Requests: cpus("3"), Limits: cpus("4")},
			Containers:     []corev1.Container{{Name: "app", Image: "web", Env: []corev1.EnvVar{{Name: "PASSWORD", Value: "x"}}, Resources: corev1.ResourceRequirements{Requests: cpus("1")}}},
			InitContainers: []corev1.Container{{Name: "setup", Resources: corev1.ResourceRequirements{Requests: cpus("8")}}, {Name: "proxy", RestartPolicy: &always, Resources: corev1.ResourceRequirements{Requests: cpus("2")}}},
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, StartTime: &began, PodIP: "10.0.0.1",
			Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: corev1.ConditionFalse, LastTransitionTime: began, Message: "m"}},
		},
	}
	object, err := slimPod(pod)
	if err != nil {
		t.Fatal(err)
	}
	slim := object.(*corev1.Pod)
	if slim.Labels != nil || slim.Annotations != nil || slim.ManagedFields != nil || slim.Spec.Containers[0].Image != "" || slim.Spec.Containers[0].Env != nil || slim.Status.PodIP != "" {
		t.Errorf("kept too much: %+v", slim)
	}
	if again, err := slimPod(slim); err != nil || !reflect.DeepEqual(again, object) {
		t.Errorf("a second time it is another one: %+v, %v", again, err)
	}
	if keys, err := controllerOf(slim); err != nil || !reflect.DeepEqual(keys, []string{"set"}) {
		t.Errorf("controlled by %v, %v", keys, err)
	}
	sample := &scalers.Sample{}
	want := scalers.Pod{
		Name: "web-1-a", Deleted: true, Phase: corev1.PodRunning, Created: began.Time, Started: began.Time, Ready: scalers.Condition{Status: corev1.ConditionFalse, Since: began.Time},
		Requests: cpus("3"), Containers: []scalers.Container{{Name: "app", Requests: cpus("1")}, {Name: "proxy", Requests: cpus("2")}}, Sample: sample,
	}
	if got := podOf(slim, sample); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// server answers as metrics-server does.
type server struct {
	metricsclient.PodMetricsInterface
	mu     sync.Mutex
	lists  int
	answer func(ctx context.Context) (*v1beta1.PodMetricsList, error)
}

func (s *server) PodMetricses(string) metricsclient.PodMetricsInterface { return s }

func (s *server) List(ctx context.Context, _ metav1.ListOptions) (*v1beta1.PodMetricsList, error) {
	s.mu.Lock()
	s.lists++
	s.mu.Unlock()
	return s.answer(ctx)
}

func (s *server) asked(t *testing.T, want int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lists != want {
		t.Errorf("metrics-server was asked %d times, want %d", s.lists, want)
	}
}

// measured answers with one pod, after a while.
func measured(after time.Duration) func(context.Context) (*v1beta1.PodMetricsList, error) {
	return func(ctx context.Context) (*v1beta1.PodMetricsList, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(after):
		}
		return &v1beta1.PodMetricsList{Items: []v1beta1.PodMetrics{{
			ObjectMeta: metav1.ObjectMeta{Name: "a"}, Timestamp: metav1.Now(), Window: metav1.Duration{Duration: 20 * time.Second},
			Containers: []v1beta1.ContainerMetrics{{Name: "app", Usage: cpus("1")}, {Name: "proxy", Usage: cpus("2")}},
		}}}, nil
	}
}

// clocked are metrics of a resolution of 15 s by a clock that the test turns.
func clocked(s *server) (m *podMetrics, clock *time.Time) {
	now := time.Now()
	m = newPodMetrics(s, 15*time.Second)
	m.now = func() time.Time { return now }
	return m, &now
}

func TestOneListServesANamespace(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		s := &server{answer: measured(time.Second)}
		m, clock := clocked(s)
		read := func() {
			samples, err := m.of(t.Context(), "shop")
			if err != nil || samples["a"] == nil || samples["a"].Window != 20*time.Second || !reflect.DeepEqual(samples["a"].Usage, map[string]corev1.ResourceList{"app": cpus("1"), "proxy": cpus("2")}) {
				t.Errorf("got %+v, %v", samples, err)
			}
		}
		var all sync.WaitGroup
		for range 50 {
			all.Go(read)
		}
		all.Wait()
		s.asked(t, 1)
		*clock = clock.Add(12 * time.Second)
		read()
		s.asked(t, 1)
		*clock = clock.Add(2 * time.Second)
		read()
		s.asked(t, 2)
		if _, err := m.of(t.Context(), "other"); err != nil {
			t.Error(err)
		}
		s.asked(t, 3)
		*clock = clock.Add(time.Minute)
		if _, err := m.of(t.Context(), "other"); err != nil || len(m.lists) != 1 {
			t.Errorf("%v; keeps %d lists, want one", err, len(m.lists))
		}
	})
}

func TestImpatientReaderEndsNobodysList(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		s := &server{answer: measured(5 * time.Second)}
		m := newPodMetrics(s, 15*time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := m.of(ctx, "shop")
		if !errors.Is(err, context.DeadlineExceeded) || err.Error() != "metrics-server has not answered in time: context deadline exceeded" {
			t.Errorf("got %v", err)
		}
		if samples, err := m.of(t.Context(), "shop"); err != nil || len(samples) != 1 {
			t.Errorf("got %v, %v", samples, err)
		}
		s.asked(t, 1)
	})
}

func TestFailuresSayWhatToDo(t *testing.T) {
	pods := schema.GroupResource{Group: "metrics.k8s.io", Resource: "pods"}
	for want, failure := range map[string]error{
		"the API metrics.k8s.io is not served in this cluster; install metrics-server: ":                            apierrors.NewGenericServerResponse(404, "get", pods, "", "", 0, true),
		"cpu and memory need rights of their own; bind the ClusterRole autoscaler-resources: ":                      apierrors.NewForbidden(pods, "", errors.New("no")),
		"metrics-server is away; look at: kubectl describe apiservice v1beta1.metrics.k8s.io: ":                     apierrors.NewServiceUnavailable("x"),
		"read the metrics of pods in shop from metrics-server: dial: no route":                                      errors.New("dial: no route"),
		"read the metrics of pods in shop from metrics-server: the server is currently unable to handle: try again": errors.New("the server is currently unable to handle: try again"),
	} {
		bubble.Test(t, func(t *testing.T) {
			s := &server{answer: func(context.Context) (*v1beta1.PodMetricsList, error) { return nil, failure }}
			m, clock := clocked(s)
			_, err := m.of(t.Context(), "shop")
			if err == nil || !errors.Is(err, failure) || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
			_, again := m.of(t.Context(), "shop")
			s.asked(t, 1)
			if again == nil || again.Error() != err.Error() {
				t.Errorf("the second answer is %v", again)
			}
			*clock = clock.Add(failurePause)
			s.answer = measured(0)
			if samples, err := m.of(t.Context(), "shop"); err != nil || len(samples) != 1 {
				t.Errorf("after a pause: got %v, %v", samples, err)
			}
		})
	}
}

func TestPanicOfTheClientIsAnError(t *testing.T) {
	m := newPodMetrics(&server{answer: func(context.Context) (*v1beta1.PodMetricsList, error) { panic("nil map") }}, time.Second)
	if _, err := m.of(t.Context(), "shop"); err == nil || !strings.HasPrefix(err.Error(), "reading the metrics of pods in shop panicked: nil map\n") {
		t.Errorf("got %v", err)
	}
}
