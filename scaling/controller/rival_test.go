package controller_test

import (
	"slices"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"autoscale.io/scaling/report"
	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/apiserver"
)

func hpa(name, of string) *autoscalingv2.HorizontalPodAutoscaler {
	return &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       autoscalingv2.HorizontalPodAutoscalerSpec{MaxReplicas: 3, ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: of}},
	}
}

func TestAnHPAComesAndGoes(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Create(scalingtest.Deployment("worker", 1, onOrders(settings{"min-replicas": "1"})))
		w.Advance(20 * time.Second)
		w.Create(hpa("web", "worker"), hpa("other", "other"))
		w.Set("orders", 12)
		w.Advance(time.Minute)
		w.WantCounts("worker", 1)
		if err := w.Kube.AutoscalingV2().HorizontalPodAutoscalers(scalingtest.Namespace).Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		w.AwaitReplicas("worker", 3, 2*time.Second)
		w.Advance(20 * time.Second)
		w.WantCounts("worker", 1, 3)
		wantEvents(w, "worker",
			"Conflict: HorizontalPodAutoscaler web scales this workload too; holding 1 replica until one of the two is gone; remove the other one, or the annotations",
			"ScaledUp: 1 → 3 replicas: trigger orders: 12 at a target of 5 each asks for 3 replicas",
			"ConflictEnded: no other controller scales this workload any more: trigger orders: 12 at a target of 5 each asks for 3 replicas",
		)
		want := report.Conditions{
			{Type: report.Active, Status: "True", Reason: "Working"},
			{Type: report.Conflict, Status: "False", Reason: "OneMaster"},
			{Type: report.Fallback, Status: "False", Reason: "NotNeeded"},
			{Type: report.Paused, Status: "False", Reason: "NotPaused"},
			{Type: report.Ready, Status: "True", Reason: "Reading", Message: "every trigger can be read"},
		}
		if got := w.Status("worker"); !slices.Equal(got, want) {
			t.Errorf("the status is %s\nwant %s", got, want)
		}
	})
}

func TestADryRunBesideAnHPA(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Create(hpa("web", "worker"), scalingtest.Deployment("worker", 2, onOrders(settings{"dry-run": "true", "min-replicas": "1"})))
		w.Set("orders", 22)
		w.Advance(30 * time.Second)
		w.Set("orders", 12)
		w.Advance(30 * time.Second)
		wantEvents(w, "worker",
			"DryRun: would scale 2 → 5 replicas: trigger orders: 22 at a target of 5 each asks for 5 replicas",
			"DryRun: would scale 2 → 3 replicas: trigger orders: 12 at a target of 5 each asks for 3 replicas",
		)
		w.WantWrites("worker", statusOfDeployment)
	})
}

func TestAScaledObjectOfKEDA(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		gv := schema.GroupVersion{Group: "keda.sh", Version: "v1alpha1"}
		w.Create(scalingtest.Deployment("worker", 1, onOrders(settings{"min-replicas": "1"})))
		w.API.Serve(apiserver.Kind{GroupVersionKind: gv.WithKind("ScaledObject"), Resource: gv.WithResource("scaledobjects")})
		w.Advance(10 * time.Minute)
		object := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"scaleTargetRef": map[string]any{"name": "worker"}}}}
		object.SetGroupVersionKind(gv.WithKind("ScaledObject"))
		object.SetName("orders")
		if _, err := w.Dynamic.Resource(gv.WithResource("scaledobjects")).Namespace(scalingtest.Namespace).Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		w.Set("orders", 12)
		w.Advance(time.Minute)
		w.WantCounts("worker", 1)
		wantEvents(w, "worker",
			"Conflict: ScaledObject orders scales this workload too; holding 1 replica until one of the two is gone; remove the other one, or the annotations",
		)
	})
}

// TestAnotherWriterThatTakesCountsBack sets the count to 1 a moment after each write of the autoscaler.
func TestAnotherWriterThatTakesCountsBack(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Create(scalingtest.Deployment("worker", 1, onOrders(settings{"min-replicas": "1"})))
		w.Set("orders", 12)
		for range 4 {
			w.AwaitReplicas("worker", 3, time.Minute)
			w.Advance(500 * time.Millisecond)
			w.Scale("worker", 1)
		}
		w.Advance(59 * time.Second)
		w.WantCounts("worker", 1, 3, 1, 3, 1, 3, 1, 3, 1)
		told := []string{
			"ScaledUp: 1 → 3 replicas: trigger orders: 12 at a target of 5 each asks for 3 replicas",
			"ScaledByOther: kubectl (scale) changed replicas from 3 to 1",
			"ScaledUp: 1 → 3 replicas: trigger orders: 12 at a target of 5 each asks for 3 replicas",
			"ScaledByOther: kubectl (scale) changed replicas from 3 to 1",
			"ScaledUp: 1 → 3 replicas: trigger orders: 12 at a target of 5 each asks for 3 replicas",
			"ScaledByOther: kubectl (scale) changed replicas from 3 to 1",
			"Conflict: the field manager kubectl (scale) scales this workload too; holding 1 replica until one of the two is gone; remove the other one, or the annotations",
			"ScaledUp: 1 → 3 replicas: trigger orders: 12 at a target of 5 each asks for 3 replicas",
			"ScaledByOther: kubectl (scale) changed replicas from 3 to 1",
		}
		wantEvents(w, "worker", told...)
		w.AwaitReplicas("worker", 3, 3*time.Second) // the next try, which stands
		w.Advance(6 * time.Minute)
		wantEvents(w, "worker", append(told,
			"ScaledUp: 1 → 3 replicas: trigger orders: 12 at a target of 5 each asks for 3 replicas",
			"ConflictEnded: no other controller scales this workload any more: trigger orders: 12 at a target of 5 each asks for 3 replicas",
		)...)
	})
}
