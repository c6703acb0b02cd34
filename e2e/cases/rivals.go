package cases

import (
	"context"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	"autoscale.io/e2e/product"
)

func rivalCases() []Case {
	return []Case{
		{ID: "HA-09", Symptom: "an HPA scales the same workload, and pods come and go every few seconds", Holds: "a second master is refused; where it came later the autoscaler stands back, names the rival, and goes on when it is gone", Alone: true, Run: rival},
		{ID: "HA-09-keda", Symptom: "a ScaledObject of KEDA scales the same workload", Holds: "the same, and one rival with the HPA that KEDA makes; KEDA can come and go", Alone: true, Run: rivalOfKEDA},
	}
}

// hpa creates an HPA from 2 to 3 replicas on a Deployment. Its metric is served by nobody, so it only leads the count into its bounds.
func (w *World) hpa(target string, owner ...metav1.OwnerReference) {
	w.t.Helper()
	_, err := w.kube.AutoscalingV2().HorizontalPodAutoscalers(w.Namespace).Create(w.t.Context(), &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "rival-of-" + target, OwnerReferences: owner},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: target},
			MinReplicas:    ptr.To[int32](2), MaxReplicas: 3,
			Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
				Name: "cpu", Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: ptr.To[int32](50)},
			}}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
}

// refusal is the whole answer to annotations on a Deployment that has a rival.
func (w *World) refusal(rival, name string) string {
	return fmt.Sprintf(`admission webhook "workloads.autoscale.io" denied the request: %s scales Deployment %s/%s already, and a workload has one master: `+
		"delete that first, or leave the annotations autoscale.io/… out; to compare the two, set autoscale.io/dry-run to true", rival, w.Namespace, name)
}

// awaitRefusal waits until a request is refused with that text; the rival may have come only a moment ago.
func (w *World) awaitRefusal(want string, request func() error) {
	w.t.Helper()
	w.await("a refusal", soon, func(context.Context) error {
		if err := request(); err == nil || err.Error() != want {
			return fmt.Errorf("the answer is %v, want %s", err, want)
		}
		return nil
	})
}

// dryCreate asks how a creation would be answered.
func (w *World) dryCreate(d *appsv1.Deployment) func() error {
	return func() error {
		_, err := w.kube.AppsV1().Deployments(w.Namespace).Create(w.t.Context(), d, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}
}

// rival brings an HPA before the workload is managed, with the webhook and without it, after that, and while the autoscaler is away.
func rival(t *testing.T, w *World) {
	stream := w.Stream("s")
	w.group(w.redis.Client(), stream, "0")
	w.add(w.redis.Client(), stream, 28)
	settings := quick(Settings{"min-replicas": "1", "trigger.orders": w.trigger(stream, group)})
	w.refusedBesideAnHPA(settings)
	w.hpa("unseen")
	w.Create("after", 1, settings)
	w.Create("away", 1, settings)
	w.AwaitReplicas("after", 6, soon)
	w.AwaitReplicas("away", 6, soon)
	w.hpa("after")
	if err := w.scaler.Kill(); err != nil {
		t.Fatal(err)
	}
	w.Create("unseen", 3, settings)
	w.hpa("away")
	w.AwaitReplicas("after", 3, soon)
	w.AwaitReplicas("away", 3, soon)
	w.restart()
	for name, counts := range map[string][]int32{"unseen": {3}, "after": {1, 6, 3}, "away": {1, 6, 3}} {
		w.AwaitEvent(name, "Conflict", "^HorizontalPodAutoscaler rival-of-"+name+" scales this workload too; holding 3 replicas until one of the two is gone; remove the other one, or the annotations$")
		if err := w.Annotate(name, Settings{"max-replicas": "9"}); err != nil { // both were there before
			t.Errorf("an edit of %s beside its rival: %v", name, err)
		}
		w.AwaitDecisions(name, 4)
		w.WantCounts(name, counts...)
		w.awaitCondition(name, "Conflict", "True", "Conflict")
		w.dropHPA(name)
		w.AwaitReplicas(name, 6, soon)
		w.AwaitEvent(name, "ConflictEnded", "no other controller")
	}
}

func (w *World) dropHPA(target string) {
	w.t.Helper()
	if err := w.kube.AutoscalingV2().HorizontalPodAutoscalers(w.Namespace).Delete(w.t.Context(), "rival-of-"+target, metav1.DeleteOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

// refusedBesideAnHPA tries every way to become the second master of a workload.
func (w *World) refusedBesideAnHPA(settings Settings) {
	w.t.Helper()
	refused := w.refusal("HorizontalPodAutoscaler rival-of-before", "before")
	w.hpa("before")
	d := w.deployment("before", 3, settings)
	w.awaitRefusal(refused, w.dryCreate(d))
	w.awaitRefusal(refused, func() error {
		_, err := w.kube.AppsV1().Deployments(w.Namespace).Create(w.t.Context(), d, metav1.CreateOptions{})
		return err
	})
	w.Create("before", 3, nil)
	w.awaitRefusal(refused, func() error { return w.Annotate("before", settings) })
	compared := quick(settings)
	compared["dry-run"] = "true"
	if err := w.Annotate("before", compared); err != nil {
		w.t.Errorf("a dry run beside the HPA: %v", err)
	}
	w.AwaitEvent("before", "DryRun", "^would scale 3 → 6 replicas: ")
	w.awaitRefusal(refused, func() error { return w.Annotate("before", Settings{"dry-run": ""}) })
	w.WantCounts("before", 3)
	w.dropHPA("before")
	w.await("the dry run ends", soon, func(context.Context) error { return w.Annotate("before", Settings{"dry-run": ""}) })
	w.AwaitCounts("before", 3, 6)
}

func scaledObjects() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"}
}

// rivalOfKEDA has KEDA come, scale one workload before it is annotated and one after, and go with all that it made. No KEDA runs here: its objects are made by
// hand, as it would.
func rivalOfKEDA(t *testing.T, w *World) {
	client := w.dynamic()
	objects := client.Resource(scaledObjects()).Namespace(w.Namespace)
	scaledObject := func(target string) metav1.OwnerReference {
		t.Helper()
		made, err := objects.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": map[string]any{"name": "so-" + target},
			"spec": map[string]any{"scaleTargetRef": map[string]any{"name": target}},
		}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return *metav1.NewControllerRef(made, made.GroupVersionKind())
	}
	stream := w.Stream("s")
	w.group(w.redis.Client(), stream, "0")
	w.add(w.redis.Client(), stream, 28)
	settings := quick(Settings{"min-replicas": "1", "trigger.orders": w.trigger(stream, group)})
	w.define(product.ScaledObjectCRD, objects)
	scaledObject("before")
	w.awaitRefusal(w.refusal("ScaledObject so-before", "before"), w.dryCreate(w.deployment("before", 3, settings)))
	w.Create("after", 1, settings)
	w.AwaitReplicas("after", 6, soon)
	w.hpa("after", scaledObject("after"))
	w.AwaitEvent("after", "Conflict", "^ScaledObject so-after scales this workload too; holding [0-9]+ replicas until one of the two is gone; remove the other one, or the annotations$")
	w.AwaitReplicas("after", 3, soon)
	w.AwaitDecisions("after", 3)
	w.WantCounts("after", 1, 6, 3)
	if got := w.events("after", "Conflict"); got != 1 {
		t.Errorf("%d conflicts are reported, want one", got)
	}
	w.dropHPA("after") // the ScaledObject alone is a rival still
	w.AwaitDecisions("after", 2)
	w.WantCounts("after", 1, 6, 3)
	if err := objects.Delete(t.Context(), "so-after", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.AwaitCounts("after", 1, 6, 3, 6)
	w.AwaitEvent("after", "ConflictEnded", "no other controller")
	// Whoever removes KEDA's definitions removes all its objects.
	definition := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	if err := client.Resource(definition).Delete(t.Context(), "scaledobjects.keda.sh", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.await("before can be managed", soon, func(context.Context) error { return w.dryCreate(w.deployment("before", 3, settings))() })
}

// events counts what the autoscaler has said of a Deployment for a reason, each repetition too.
func (w *World) events(name, reason string) (n int32) {
	w.t.Helper()
	list, err := w.kube.EventsV1().Events(w.Namespace).List(w.t.Context(), metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range list.Items {
		switch {
		case e.Regarding.Name != name || e.Reason != reason:
		case e.Series != nil:
			n += e.Series.Count
		default:
			n++
		}
	}
	return n
}
