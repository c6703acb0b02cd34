package scalingtest_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"autoscale.io/scaling/decide"
	"autoscale.io/scaling/report"
	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/apiserver"
	"autoscale.io/scaling/shards"
)

type settings = scalingtest.Settings

// onOrders are quick settings with a trigger on the source orders.
func onOrders(more settings) settings {
	s := scalingtest.Quick(settings{"trigger.orders": scalingtest.Trigger("orders", "")})
	for key, value := range more {
		s[key] = value
	}
	return s
}

// TestScalesUpAndBackToZero has the order of all writes: a zero is marked before it is written, and the mark is cleared
// after the rise.
func TestScalesUpAndBackToZero(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Create(scalingtest.Deployment("worker", 0, onOrders(nil)))
		w.Set("orders", 12)
		w.AwaitReplicas("worker", 3, 5*time.Second)
		w.Set("orders", 0)
		w.Advance(time.Minute)
		w.WantCounts("worker", 0, 3, 1, 0)
		const state, status = "patch deployments.apps annotations=autoscale.io/state", "patch deployments.apps annotations=autoscale.io/status"
		w.WantWrites("worker",
			"patch deployments.apps/scale replicas=3", state, status,
			"patch deployments.apps/scale replicas=1", state, "patch deployments.apps/scale replicas=0", status,
		)
	})
}

// TestADay has a source that is busy from 9 to 17 o'clock.
func TestADay(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Create(scalingtest.Deployment("worker", 0, onOrders(settings{"polling-interval": "1m", "cooldown": "10m"})))
		w.Advance(9 * time.Hour)
		w.Set("orders", 50)
		w.Advance(8 * time.Hour)
		w.Set("orders", 0)
		w.Advance(7 * time.Hour)
		w.WantCounts("worker", 0, 10, 1, 0)
	})
}

func TestFaultsOfWrites(t *testing.T) {
	deployments := schema.GroupResource{Group: "apps", Resource: "deployments"}
	for name, test := range map[string]struct {
		fault apiserver.Fault
		want  []string
	}{
		"a conflict is tried again": {
			apiserver.Fault{Err: apierrors.NewConflict(deployments, "worker", errors.New("too late"))},
			[]string{"patch deployments.apps/scale: Conflict", "patch deployments.apps/scale replicas=3"},
		},
		"the answer is lost": {
			apiserver.Fault{Err: errors.New("EOF"), TakesEffect: true}, []string{"patch deployments.apps/scale replicas=3"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			scalingtest.Run(t, func(w *scalingtest.World) {
				w.Create(scalingtest.Deployment("worker", 1, onOrders(settings{"min-replicas": "1"})))
				test.fault.Match = func(c apiserver.Call) bool { return c.Subresource == "scale" && c.Verb == "patch" }
				test.fault.Times = 1
				w.API.Inject(test.fault)
				w.Set("orders", 12)
				w.AwaitReplicas("worker", 3, 5*time.Second)
				w.Advance(time.Minute)
				w.WantCounts("worker", 1, 3)
				scales := slices.DeleteFunc(w.Writes("worker"), func(text string) bool { return !strings.Contains(text, "/scale") })
				if !slices.Equal(scales, test.want) {
					t.Errorf("wrote %q, want %q", scales, test.want)
				}
			})
		})
	}
}

// TestAnotherReplicaTakesOver kills one of two replicas.
func TestAnotherReplicaTakesOver(t *testing.T) {
	scalingtest.RunWith(t, scalingtest.Options{Replicas: 2}, func(w *scalingtest.World) {
		w.Advance(time.Minute)
		for _, name := range []string{"a", "b", "c", "d"} {
			w.Create(scalingtest.Deployment(name, 1, onOrders(nil)))
		}
		w.Set("orders", 12)
		for _, name := range []string{"a", "b", "c", "d"} {
			w.AwaitReplicas(name, 3, 5*time.Second)
		}
		w.Kill()
		w.Set("orders", 24)
		for _, name := range []string{"a", "b", "c", "d"} {
			w.AwaitReplicas(name, 5, 25*time.Second)
			w.WantCounts(name, 1, 3, 5)
		}
	})
}

func TestWritesEndWithTheLease(t *testing.T) {
	scalingtest.RunWith(t, scalingtest.Options{Lease: shards.DefaultTimes()}, func(w *scalingtest.World) {
		w.Create(scalingtest.Deployment("worker", 1, onOrders(settings{"min-replicas": "1"})))
		w.Advance(5 * time.Second)
		w.API.Inject(apiserver.Fault{
			Match: func(c apiserver.Call) bool { return c.Resource.Resource == "leases" }, Err: apierrors.NewInternalError(errors.New("no leases")),
		})
		w.Advance(15 * time.Second)
		w.Set("orders", 12)
		w.Advance(time.Minute)
		w.WantCounts("worker", 1)
	})
}

// TestAJobShrinksAsItsPodsEnd never ends a pod of a Job that runs.
func TestAJobShrinksAsItsPodsEnd(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.RunPods()
		w.Set("orders", 15)
		w.Create(scalingtest.Job("worker", 1, onOrders(settings{"min-replicas": "1"})))
		w.AwaitReplicas("worker", 3, 10*time.Second)
		w.Advance(5 * time.Second)
		w.Set("orders", 1)
		w.AwaitEvent("worker", "ScaleDownWaits", "holding 3 until a pod ends", 10*time.Second)
		w.EndPods("worker", 1, corev1.PodSucceeded)
		w.AwaitReplicas("worker", 2, 10*time.Second)
		w.Advance(5 * time.Second)
		w.EndPods("worker", 1, corev1.PodSucceeded)
		w.AwaitReplicas("worker", 1, 10*time.Second)
		w.WantCounts("worker", 1, 3, 2, 1)
		if cut := w.CutShort(); len(cut) > 0 {
			t.Errorf("these pods were deleted while they ran: %v", cut)
		}
	})
}

// TestAJobForEachMessage has a quota that does not let all Jobs through at first.
func TestAJobForEachMessage(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.RunPods()
		remove := w.API.Inject(apiserver.Fault{
			Match: func(c apiserver.Call) bool {
				return c.User == scalingtest.Autoscaler && c.Verb == "create" && c.Resource.Resource == "jobs"
			},
			Skip: 2, Err: apierrors.NewForbidden(schema.GroupResource{Group: "batch", Resource: "jobs"}, "", errors.New("exceeded quota")),
		})
		w.Create(scalingtest.Template("mail", settings{"max-replicas": "10", "polling-interval": "1s", "trigger.orders": "{type: fake, source: orders, target: 1}"}))
		w.Set("orders", 5)
		w.AwaitEvent("mail", "JobsFailed", "exceeded quota", 10*time.Second)
		jobs := func() int { return len(w.Children("mail")) }
		if got := jobs(); got != 2 {
			t.Errorf("%d Jobs were started, want 2", got)
		}
		remove()
		w.Advance(time.Minute)
		if got := jobs(); got != 5 {
			t.Errorf("%d Jobs were started, want 5", got)
		}
	})
}

func TestAnotherAutoscalerIsLeftAlone(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Create(scalingtest.Deployment("worker", 1, onOrders(nil)))
		w.Create(&autoscalingv2.HorizontalPodAutoscaler{
			ObjectMeta: metav1.ObjectMeta{Name: "web"},
			Spec:       autoscalingv2.HorizontalPodAutoscalerSpec{MaxReplicas: 3, ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "worker"}},
		})
		w.Set("orders", 50)
		w.AwaitEvent("worker", "Conflict", "HorizontalPodAutoscaler web", 5*time.Second)
		w.AwaitCondition("worker", report.Conflict, "Conflict", "HorizontalPodAutoscaler web", 15*time.Second)
		if got := w.Decision("worker").Reason; got != decide.Conflict {
			t.Errorf("the reason of the decision is %s", got)
		}
		w.Advance(time.Minute)
		w.WantCounts("worker", 1)
		w.Denied(w.TryCreate(scalingtest.Deployment("bad", 1, onOrders(settings{"cooldwn": "1s"}))), "did you mean autoscale.io/cooldown?")
	})
}

func TestTheSweepFindsWhatTheWebhookMissed(t *testing.T) {
	scalingtest.RunWith(t, scalingtest.Options{NoWebhook: true}, func(w *scalingtest.World) {
		w.Advance(time.Second)
		w.Create(scalingtest.Deployment("worker", 2, onOrders(nil)))
		w.Set("orders", 50)
		w.AwaitReplicas("worker", 10, 4*time.Minute)
		w.AwaitEvent("worker", "Adopted", "managed from 2 replicas on", time.Second)
	})
}

func TestCPU(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.RunPods()
		d := scalingtest.Deployment("web", 2, scalingtest.Quick(settings{"min-replicas": "1", "trigger.cpu": "{type: cpu, target: 50%}"}))
		d.Spec.Template.Annotations = map[string]string{scalingtest.UsageCPU: "100m"}
		d.Spec.Template.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")}
		w.Create(d)
		w.AwaitReplicas("web", 4, 10*time.Minute)
		w.Use("web", scalingtest.UsageCPU, "10m")
		w.AwaitReplicas("web", 1, 20*time.Minute)
	})
}

// TestARealClientSeesARealAnswer reads what is not there.
func TestARealClientSeesARealAnswer(t *testing.T) {
	scalingtest.RunWith(t, scalingtest.Options{Replicas: -1}, func(w *scalingtest.World) {
		_, err := w.Kube.AppsV1().Deployments(scalingtest.Namespace).Get(t.Context(), "none", metav1.GetOptions{})
		var status apierrors.APIStatus
		if !errors.As(err, &status) || status.Status().Code != http.StatusNotFound || err.Error() != `deployments.apps "none" not found` {
			t.Errorf("got %v", err)
		}
	})
}
