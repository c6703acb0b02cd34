package rivals_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"autoscale.io/scaling/rivals"
)

// lab is a Rivals on an API server in memory, on which KEDA can be installed and removed.
type lab struct {
	t       *testing.T
	kube    *fake.Clientset
	dynamic *dynamicfake.FakeDynamicClient
	keda    atomic.Bool
	forbid  atomic.Bool
	*rivals.Rivals

	mu      sync.Mutex
	changed []rivals.Target
}

func scaledObjects() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"}
}

// newLab returns when HPAs are watched: what happens between the list and the watch is shown by a real API server and not by this one.
func newLab(t *testing.T, prepare func(*lab)) *lab {
	t.Helper()
	l := &lab{t: t, kube: fake.NewClientset()}
	l.kube.Resources = []*metav1.APIResourceList{{GroupVersion: "keda.sh/v1alpha1", APIResources: []metav1.APIResource{{Name: "scaledobjects"}}}}
	l.kube.PrependReactor("get", "resource", func(clienttesting.Action) (bool, runtime.Object, error) {
		if l.keda.Load() {
			return false, nil, nil
		}
		return true, nil, apierrors.NewNotFound(schema.GroupResource{}, "keda.sh/v1alpha1")
	})
	l.dynamic = dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{scaledObjects(): "ScaledObjectList"})
	l.dynamic.PrependReactor("list", "scaledobjects", func(clienttesting.Action) (bool, runtime.Object, error) {
		return l.forbid.Load(), nil, apierrors.NewForbidden(scaledObjects().GroupResource(), "", nil)
	})
	prepare(l)
	var err error
	l.Rivals, err = rivals.New(rivals.Options{Kube: l.kube, Dynamic: l.dynamic, Log: logr.Discard(), Interval: 5 * time.Millisecond, Changed: func(target rivals.Target) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.changed = append(l.changed, target)
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	watches := func(context.Context) (bool, error) {
		return slices.ContainsFunc(l.kube.Actions(), func(a clienttesting.Action) bool { return a.Matches("watch", "horizontalpodautoscalers") }), nil
	}
	if err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 10*time.Second, true, watches); err != nil {
		t.Fatal("nobody watches HPAs")
	}
	return l
}

func (l *lab) hpa(name string, ref autoscalingv2.CrossVersionObjectReference, owner string) {
	l.t.Helper()
	hpa := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop"}}
	hpa.Spec.ScaleTargetRef = ref
	if owner != "" {
		hpa.OwnerReferences = []metav1.OwnerReference{{APIVersion: "keda.sh/v1alpha1", Kind: "ScaledObject", Name: owner, Controller: ptr.To(true)}}
	}
	if _, err := l.kube.AutoscalingV2().HorizontalPodAutoscalers("shop").Create(l.t.Context(), hpa, metav1.CreateOptions{}); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) scaledObject(name string, ref map[string]any) {
	l.t.Helper()
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": map[string]any{"name": name, "namespace": "shop"}, "spec": map[string]any{"scaleTargetRef": ref},
	}}
	if _, err := l.dynamic.Resource(scaledObjects()).Namespace("shop").Create(l.t.Context(), object, metav1.CreateOptions{}); err != nil {
		l.t.Fatal(err)
	}
}

// await waits until a workload has that rival, and until its change was told of.
func (l *lab) await(target rivals.Target, want string) {
	l.t.Helper()
	err := wait.PollUntilContextTimeout(l.t.Context(), time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.Of(target) == want && slices.Contains(l.changed, target), nil
	})
	if err != nil {
		l.t.Fatalf("%+v is scaled by %q, want %q; told of %v", target, l.Of(target), want, l.changed)
	}
}

func (l *lab) forgetChanges() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed = nil
}

func deployment(name string) rivals.Target {
	return rivals.Target{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: name}
}

func TestAnHPAIsARival(t *testing.T) {
	l := newLab(t, func(*lab) {})
	l.hpa("web-hpa", autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}, "")
	l.await(deployment("web"), "HorizontalPodAutoscaler web-hpa")
	for _, other := range []rivals.Target{
		deployment("worker"),
		{Group: "apps", Kind: "StatefulSet", Namespace: "shop", Name: "web"},
		{Group: "argoproj.io", Kind: "Deployment", Namespace: "shop", Name: "web"},
		{Group: "apps", Kind: "Deployment", Namespace: "other", Name: "web"},
	} {
		if got := l.Of(other); got != "" {
			t.Errorf("%+v is scaled by %q, want nobody", other, got)
		}
	}
	l.forgetChanges()
	if err := l.kube.AutoscalingV2().HorizontalPodAutoscalers("shop").Delete(t.Context(), "web-hpa", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	l.await(deployment("web"), "")
}

func TestAScaledObjectIsARivalWhileItsAPIIsServed(t *testing.T) {
	l := newLab(t, func(*lab) {})
	l.Sync(t.Context()) // returns, since KEDA is known to be absent
	l.scaledObject("orders", map[string]any{"name": "worker"})
	l.scaledObject("rollout", map[string]any{"name": "web", "kind": "Rollout", "apiVersion": "argoproj.io/v1alpha1"})
	if got := l.Of(deployment("worker")); got != "" {
		t.Fatalf("scaled by %q while KEDA's API is not served", got)
	}
	l.keda.Store(true)
	l.await(deployment("worker"), "ScaledObject orders")
	l.await(rivals.Target{Group: "argoproj.io", Kind: "Rollout", Namespace: "shop", Name: "web"}, "ScaledObject rollout")
	// The HPA that KEDA makes is the same rival, and still is one when its ScaledObject is gone.
	l.hpa("keda-hpa-orders", autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "worker"}, "orders")
	l.await(deployment("worker"), "ScaledObject orders")
	l.forgetChanges()
	l.keda.Store(false)
	l.await(rivals.Target{Group: "argoproj.io", Kind: "Rollout", Namespace: "shop", Name: "web"}, "")
	l.await(deployment("worker"), "ScaledObject orders")
	if err := l.kube.AutoscalingV2().HorizontalPodAutoscalers("shop").Delete(t.Context(), "keda-hpa-orders", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	l.await(deployment("worker"), "")
	l.keda.Store(true)
	l.await(deployment("worker"), "ScaledObject orders")
}

func TestWithoutTheRightToListNobodyIsARival(t *testing.T) {
	l := newLab(t, func(l *lab) {
		l.keda.Store(true)
		l.forbid.Store(true)
		l.scaledObject("orders", map[string]any{"name": "worker"})
	})
	lists := func() (n int) {
		for _, action := range l.dynamic.Actions() {
			if action.GetVerb() == "list" {
				n++
			}
		}
		return n
	}
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) { return lists() > 0, nil })
	if err != nil {
		t.Fatal("it did not try to list")
	}
	if got := l.Of(deployment("worker")); got != "" {
		t.Errorf("scaled by %q, which cannot be known", got)
	}
	l.forbid.Store(false) // granted later
	l.await(deployment("worker"), "ScaledObject orders")
}
