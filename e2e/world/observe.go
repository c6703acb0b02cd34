package world

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
)

// recorder keeps every count that the Deployments and StatefulSets of a namespace ever had, from a watch. Their names differ in a case.
type recorder struct {
	mu   sync.Mutex
	seen map[string][]change
}

type change struct {
	Replicas int32
	At       time.Time
}

func record(t *testing.T, kube kubernetes.Interface, namespace string) *recorder {
	r := &recorder{seen: map[string][]change{}}
	factory := informers.NewSharedInformerFactoryWithOptions(kube, 0, informers.WithNamespace(namespace))
	for _, informer := range []cache.SharedIndexInformer{factory.Apps().V1().Deployments().Informer(), factory.Apps().V1().StatefulSets().Informer()} {
		if err := r.Follow(informer); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	factory.StartWithContext(ctx)
	factory.WaitForCacheSyncWithContext(ctx)
	return r
}

// Follow records what an informer sees.
func (r *recorder) Follow(informer cache.SharedIndexInformer) error {
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    r.add,
		UpdateFunc: func(_, object any) { r.add(object) },
	})
	return err
}

func (r *recorder) add(object any) {
	switch o := object.(type) {
	case *appsv1.Deployment:
		r.count(o.Name, o.Spec.Replicas)
	case *appsv1.StatefulSet:
		r.count(o.Name, o.Spec.Replicas)
	case *unstructured.Unstructured:
		if n, found, err := unstructured.NestedInt64(o.Object, "spec", "replicas"); found && err == nil {
			r.count(o.GetName(), ptr.To(int32(n)))
		}
	}
}

func (r *recorder) count(name string, replicas *int32) {
	if replicas == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.seen[name]
	if n := len(list); n == 0 || list[n-1].Replicas != *replicas {
		r.seen[name] = append(list, change{*replicas, time.Now()})
	}
}

// Counts are the different counts of a Deployment, in order.
func (r *recorder) Counts(name string) []int32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	var counts []int32
	for _, c := range r.seen[name] {
		counts = append(counts, c.Replicas)
	}
	return counts
}

// Last is the newest count and when it was seen.
func (r *recorder) Last(name string) (change, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.seen[name]
	if len(list) == 0 {
		return change{}, false
	}
	return list[len(list)-1], true
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for name, list := range r.seen {
		fmt.Fprintf(&b, "%s:", name)
		for _, c := range list {
			fmt.Fprintf(&b, " %d (%s)", c.Replicas, c.At.Format("15:04:05.000"))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// AwaitReplicas waits until a Deployment has that count.
func (w *World) AwaitReplicas(name string, want int32, within time.Duration) {
	w.T.Helper()
	w.Await(fmt.Sprintf("%s at %d replicas", name, want), within, func(context.Context) error {
		if got, ok := w.Changes.Last(name); !ok || got.Replicas != want {
			return fmt.Errorf("it has %d", got.Replicas)
		}
		return nil
	})
}

// WantCounts checks every count that a Deployment has had, up to the present one.
func (w *World) WantCounts(name string, want ...int32) {
	w.T.Helper()
	w.Await("the watch shows the count of "+name, Soon, func(ctx context.Context) error {
		d, err := w.Kube.AppsV1().Deployments(w.Namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil // it is gone, or something else
		}
		if err != nil {
			return err
		}
		if last, _ := w.Changes.Last(name); last.Replicas != *d.Spec.Replicas {
			return fmt.Errorf("it shows %d and not %d", last.Replicas, *d.Spec.Replicas)
		}
		return nil
	})
	if got := w.Changes.Counts(name); fmt.Sprint(got) != fmt.Sprint(want) {
		w.T.Fatalf("%s had the counts %v, want %v", name, got, want)
	}
}

// AwaitCounts waits until a Deployment has had exactly these counts, in this order.
func (w *World) AwaitCounts(name string, want ...int32) {
	w.T.Helper()
	w.Await(fmt.Sprintf("%s with the counts %v", name, want), Soon, func(context.Context) error {
		if got := w.Changes.Counts(name); fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Errorf("it had %v", got)
		}
		return nil
	})
}

// AwaitDecisions waits until n more decisions have been made about a Deployment after now, each with readings of its own. It is
// how a case waits for nothing to happen.
func (w *World) AwaitDecisions(name string, n int) {
	w.T.Helper()
	w.AwaitDecisionsOf(n, name)
}

// AwaitDecisionsOf is AwaitDecisions for several Deployments at once.
func (w *World) AwaitDecisionsOf(n int, names ...string) {
	w.T.Helper()
	times := map[string]map[string]bool{}
	w.Await(fmt.Sprintf("%d more decisions about each of %v", n, names), time.Minute, func(ctx context.Context) error {
		for _, name := range names {
			at, err := w.Metric(ctx, "autoscale_workload_decision_timestamp_seconds", name)
			if err != nil {
				return err
			}
			if times[name] == nil {
				times[name] = map[string]bool{}
			}
			times[name][at] = true
		}
		for _, name := range names {
			if more := len(times[name]) - 1; more < n { // the first was there before
				return fmt.Errorf("%d so far about %s", more, name)
			}
		}
		return nil
	})
}

// AwaitDecisionAt waits until a decision has been made about a Deployment at that time or later.
func (w *World) AwaitDecisionAt(name string, at time.Time) {
	w.T.Helper()
	w.Await(fmt.Sprintf("a decision about %s after %s", name, at.Format(time.TimeOnly)), time.Until(at)+time.Minute, func(ctx context.Context) error {
		text, err := w.Metric(ctx, "autoscale_workload_decision_timestamp_seconds", name)
		if err != nil {
			return err
		}
		decided, err := strconv.ParseFloat(text, 64)
		if err == nil && decided < float64(at.UnixMilli())/1000 {
			err = fmt.Errorf("the latest was at %s", text)
		}
		return err
	})
}

// Metric is the value of a gauge of one Deployment of the case, as text.
func (w *World) Metric(ctx context.Context, metric, name string, labels ...string) (string, error) {
	text, err := w.Metrics(ctx)
	if err != nil {
		return "", err
	}
	needles := append([]string{`name="` + name + `"`, `namespace="` + w.Namespace + `"`}, labels...)
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, metric+"{") {
			continue
		}
		found := true
		for _, needle := range needles {
			found = found && strings.Contains(line, needle)
		}
		if found {
			return strings.TrimSpace(line[strings.LastIndexByte(line, ' ')+1:]), nil
		}
	}
	return "", fmt.Errorf("no metric %s of %s", metric, name)
}

// AwaitEvent waits for an event of the autoscaler on an object of the case whose reason is that and whose note matches the pattern.
func (w *World) AwaitEvent(name, reason, pattern string) {
	w.T.Helper()
	expression := regexp.MustCompile(pattern)
	w.Await(fmt.Sprintf("event %s on %s", reason, name), 30*time.Second, func(ctx context.Context) error {
		events, err := w.Kube.EventsV1().Events(w.Namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		var notes []string
		for _, e := range events.Items {
			if e.Regarding.Name != name || e.Reason != reason {
				continue
			}
			if expression.MatchString(e.Note) {
				return nil
			}
			notes = append(notes, strconv.Quote(e.Note))
		}
		return fmt.Errorf("no note matches %q among %v", pattern, notes)
	})
}
