package target_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"autoscale.io/scalers"
	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/apiserver"
	"autoscale.io/scaling/target"
)

// measures starts a Usage in a bench. It ends with the test.
func (b *bench) measures() *target.Usage {
	b.Helper()
	u, err := target.NewUsage(target.UsageOptions{Kube: b.clients.Kube, Metadata: b.clients.Metadata, Metrics: b.clients.Metrics, Log: logr.Discard()})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- u.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	return u
}

// ask asks for the pods of a workload with the patience of a read.
func (b *bench) ask(u *target.Usage, uid types.UID) ([]scalers.Pod, error) {
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Second)
	defer cancel()
	return u.Pods(ctx, scalers.Host{UID: uid, Namespace: scalingtest.Namespace})
}

func ownedBy(kind, name string, uid types.UID) []metav1.OwnerReference {
	return []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: name, UID: uid, Controller: ptr.To(true)}}
}

func pod(name string, owner []metav1.OwnerReference, phase corev1.PodPhase) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: owner, Annotations: map[string]string{scalingtest.UsageCPU: "50m"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "app", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")}},
		}}},
		Status: corev1.PodStatus{Phase: phase},
	}
}

// TestUsageFollowsOwners finds the pods of a Deployment by its ReplicaSets, and those that a workload controls itself.
func TestUsageFollowsOwners(t *testing.T) {
	run(t, func(b *bench) {
		deployed := b.World.Get("web").GetUID()
		b.Create(&appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "web-1", OwnerReferences: ownedBy("Deployment", "web", deployed)}})
		set, err := b.Kube.AppsV1().ReplicaSets(scalingtest.Namespace).Get(t.Context(), "web-1", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		b.Create(
			pod("web-1-a", ownedBy("ReplicaSet", "web-1", set.UID), corev1.PodRunning), pod("web-b", ownedBy("Deployment", "web", deployed), corev1.PodRunning),
			pod("web-1-pending", ownedBy("ReplicaSet", "web-1", set.UID), corev1.PodPending), pod("web-1-ended", ownedBy("ReplicaSet", "web-1", set.UID), corev1.PodSucceeded),
			pod("other", ownedBy("ReplicaSet", "other", "other"), corev1.PodRunning),
		)
		u := b.measures()
		pods, err := b.ask(u, deployed)
		if err != nil {
			t.Fatal(err)
		}
		measured := map[string]string{}
		for _, p := range pods {
			text := "unmeasured"
			if p.Sample != nil {
				cpu := p.Sample.Usage["app"][corev1.ResourceCPU]
				text = cpu.String()
			}
			request := p.Containers[0].Requests[corev1.ResourceCPU]
			measured[p.Name] = text + " of " + request.String()
		}
		want := map[string]string{"web-1-a": "50m of 100m", "web-b": "50m of 100m", "web-1-pending": "unmeasured of 100m"}
		for name, text := range want {
			if measured[name] != text {
				t.Errorf("%s: got %q, want %q", name, measured[name], text)
			}
		}
		if len(measured) != len(want) {
			t.Errorf("got %v", measured)
		}
		if pods, err := b.ask(u, "nobody"); len(pods) > 0 || err != nil {
			t.Errorf("got %v and %v for a workload without pods", pods, err)
		}
	}, scalingtest.Deployment("web", 2, nil))
}

// TestUsageSaysWhyThereIsNone is about what stands between a question and the list of pods.
func TestUsageSaysWhyThereIsNone(t *testing.T) {
	reads := func(resource string) func(apiserver.Call) bool {
		return func(c apiserver.Call) bool {
			return c.User == scalingtest.Autoscaler && c.Resource.Resource == resource && slices.Contains([]string{"list", "watch"}, c.Verb)
		}
	}
	for name, test := range map[string]struct {
		fault apiserver.Fault
		want  string
	}{
		"no rights": {
			apiserver.Fault{Match: reads("replicasets"), Err: apierrors.NewForbidden(appsv1.Resource("replicasets"), "", errors.New("no rights"))},
			"cpu and memory need rights of their own; bind the ClusterRole autoscaler-resources: watch replicasets: failed to list *v1.PartialObjectMetadata: replicasets.apps is forbidden: no rights",
		},
		"a server in trouble": {
			apiserver.Fault{Match: reads("pods"), Err: apierrors.NewInternalError(errors.New("etcd is away"))},
			"the list of pods is not complete yet: watch pods: failed to list *v1.Pod: Internal error occurred: etcd is away",
		},
		"a slow server": {apiserver.Fault{Match: reads("pods"), Before: time.Minute}, "the list of pods is not complete yet"},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(b *bench) {
				remove := b.API.Inject(test.fault)
				u := b.measures()
				_, err := b.ask(u, "nobody")
				b.wantError(err, test.want)
				remove()
				b.Advance(3 * time.Minute)
				if _, err := b.ask(u, "nobody"); err != nil {
					t.Errorf("got %v once it can be listed", err)
				}
			})
		})
	}
}

// TestMetricsAreReadOncePerResolution and a failure is passed on with what to do about it.
func TestMetricsAreReadOncePerResolution(t *testing.T) {
	run(t, func(b *bench) {
		owner := b.World.Get("web").GetUID()
		b.Create(pod("web-a", ownedBy("Deployment", "web", owner), corev1.PodRunning))
		u := b.measures()
		lists := 0
		isMetrics := func(c apiserver.Call) bool { return c.Resource.Group == "metrics.k8s.io" }
		b.API.Inject(apiserver.Fault{Match: func(c apiserver.Call) bool {
			if isMetrics(c) {
				lists++
			}
			return false
		}})
		for range 3 {
			if pods, err := b.ask(u, owner); err != nil || len(pods) != 1 || pods[0].Sample == nil {
				t.Fatalf("got %v and %v", pods, err)
			}
		}
		if lists != 1 {
			t.Errorf("the metrics were listed %d times, want once", lists)
		}
		b.Advance(15 * time.Second)
		remove := b.API.Inject(apiserver.Fault{Match: isMetrics, Err: apierrors.NewServiceUnavailable("no endpoints")})
		_, err := b.ask(u, owner)
		b.wantError(err, "metrics-server is away; look at: kubectl describe apiservice v1beta1.metrics.k8s.io: no endpoints")
		remove()
		b.Advance(5 * time.Second)
		if pods, err := b.ask(u, owner); err != nil || len(pods) != 1 {
			t.Errorf("got %v and %v", pods, err)
		}
	}, scalingtest.Deployment("web", 1, nil))
}
