package managed

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
	"autoscale.io/e2e/world"
)

func rivalCases() []world.Case {
	return []world.Case{
		{ID: "HA-09", Symptom: "an HPA scales the same workload, and pods come and go every few seconds", Holds: "a second master is refused; where it came later the autoscaler stands back, names the rival, and goes on when it is gone", In: world.Test, Run: rival},
		{ID: "HA-09-keda", Symptom: "a ScaledObject of KEDA scales the same workload", Holds: "the same, and one rival with the HPA that KEDA makes; KEDA can come and go", In: world.Soak, Alone: true, Run: rivalOfKEDA},
	}
}

// hpa creates an HPA from 2 to 3 replicas on a Deployment. Its metric is served by nobody, so it only leads the count into its bounds.
func hpa(w *world.World, target string, owner ...metav1.OwnerReference) {
	w.T.Helper()
	_, err := w.Kube.AutoscalingV2().HorizontalPodAutoscalers(w.Namespace).Create(w.T.Context(), &autoscalingv2.HorizontalPodAutoscaler{
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
		w.T.Fatal(err)
	}
}

// refusal is the whole answer to annotations on a Deployment that has a rival.
func refusal(w *world.World, rival, name string) string {
	return fmt.Sprintf(`admission webhook "workloads.autoscale.io" denied the request: %s scales Deployment %s/%s already, and a workload has one master: `+
		"delete that first, or leave the annotations autoscale.io/… out; to compare the two, set autoscale.io/dry-run to true", rival, w.Namespace, name)
}

// awaitRefusal waits until a request is refused with that text; the rival may have come only a moment ago.
func awaitRefusal(w *world.World, want string, request func() error) {
	w.T.Helper()
	w.Await("a refusal", world.Soon, func(context.Context) error {
		if err := request(); err == nil || err.Error() != want {
			return fmt.Errorf("the answer is %v, want %s", err, want)
		}
		return nil
	})
}

// dryCreate asks how a creation would be answered.
func dryCreate(w *world.World, d *appsv1.Deployment) func() error {
	return func() error {
		_, err := w.Kube.AppsV1().Deployments(w.Namespace).Create(w.T.Context(), d, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}
}

// rival brings an HPA before the workload is managed, with the webhook and without it, after that, and while the autoscaler is away.
func rival(t *testing.T, w *world.World) {
	stream := w.Stream("s")
	w.Group(w.Redis.Client(), stream, "0")
	w.Add(w.Redis.Client(), stream, 28)
	settings := world.Quick(world.Settings{"min-replicas": "1", "trigger.orders": w.Trigger(stream, world.Group)})
	refusedBesideAnHPA(w, settings)
	w.Own()
	hpa(w, "unseen")
	w.Create("after", 1, settings)
	w.Create("away", 1, settings)
	w.AwaitReplicas("after", 6, world.Soon)
	w.AwaitReplicas("away", 6, world.Soon)
	hpa(w, "after")
	w.Kill()
	w.Create("unseen", 3, settings)
	hpa(w, "away")
	w.AwaitReplicas("after", 3, world.Soon)
	w.AwaitReplicas("away", 3, world.Soon)
	w.Restart()
	for name, counts := range map[string][]int32{"unseen": {3}, "after": {1, 6, 3}, "away": {1, 6, 3}} {
		w.AwaitEvent(name, "Conflict", "^HorizontalPodAutoscaler rival-of-"+name+" scales this workload too; holding 3 replicas until one of the two is gone; remove the other one, or the annotations$")
		if err := w.Annotate(name, world.Settings{"max-replicas": "9"}); err != nil { // both were there before
			t.Errorf("an edit of %s beside its rival: %v", name, err)
		}
		w.AwaitDecisions(name, 4)
		w.WantCounts(name, counts...)
		w.AwaitCondition(name, "Conflict", "True", "Conflict")
		dropHPA(w, name)
		w.AwaitReplicas(name, 6, world.Soon)
		w.AwaitEvent(name, "ConflictEnded", "no other controller")
	}
}

func dropHPA(w *world.World, target string) {
	w.T.Helper()
	if err := w.Kube.AutoscalingV2().HorizontalPodAutoscalers(w.Namespace).Delete(w.T.Context(), "rival-of-"+target, metav1.DeleteOptions{}); err != nil {
		w.T.Fatal(err)
	}
}

// refusedBesideAnHPA tries every way to become the second master of a workload.
func refusedBesideAnHPA(w *world.World, settings world.Settings) {
	w.T.Helper()
	refused := refusal(w, "HorizontalPodAutoscaler rival-of-before", "before")
	hpa(w, "before")
	d := w.Deployment("before", 3, settings)
	awaitRefusal(w, refused, dryCreate(w, d))
	awaitRefusal(w, refused, func() error {
		_, err := w.Kube.AppsV1().Deployments(w.Namespace).Create(w.T.Context(), d, metav1.CreateOptions{})
		return err
	})
	w.Create("before", 3, nil)
	awaitRefusal(w, refused, func() error { return w.Annotate("before", settings) })
	compared := world.Quick(settings)
	compared["dry-run"] = "true"
	if err := w.Annotate("before", compared); err != nil {
		w.T.Errorf("a dry run beside the HPA: %v", err)
	}
	w.AwaitEvent("before", "DryRun", "^would scale 3 → 6 replicas: ")
	awaitRefusal(w, refused, func() error { return w.Annotate("before", world.Settings{"dry-run": ""}) })
	w.WantCounts("before", 3)
	dropHPA(w, "before")
	w.Await("the dry run ends", world.Soon, func(context.Context) error { return w.Annotate("before", world.Settings{"dry-run": ""}) })
	w.AwaitCounts("before", 3, 6)
}

func scaledObjects() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"}
}

// rivalOfKEDA has KEDA come, scale one workload before it is annotated and one after, and go with all that it made. No KEDA runs here: its objects are made by
// hand, as it would.
func rivalOfKEDA(t *testing.T, w *world.World) {
	client := w.Dynamic()
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
	w.Group(w.Redis.Client(), stream, "0")
	w.Add(w.Redis.Client(), stream, 28)
	settings := world.Quick(world.Settings{"min-replicas": "1", "trigger.orders": w.Trigger(stream, world.Group)})
	w.Define(product.ScaledObjectCRD, objects)
	scaledObject("before")
	awaitRefusal(w, refusal(w, "ScaledObject so-before", "before"), dryCreate(w, w.Deployment("before", 3, settings)))
	w.Create("after", 1, settings)
	w.AwaitReplicas("after", 6, world.Soon)
	hpa(w, "after", scaledObject("after"))
	w.AwaitEvent("after", "Conflict", "^ScaledObject so-after scales this workload too; holding [0-9]+ replicas until one of the two is gone; remove the other one, or the annotations$")
	w.AwaitReplicas("after", 3, world.Soon)
	w.AwaitDecisions("after", 3)
	w.WantCounts("after", 1, 6, 3)
	if got := events(w, "after", "Conflict"); got != 1 {
		t.Errorf("%d conflicts are reported, want one", got)
	}
	dropHPA(w, "after") // the ScaledObject alone is a rival still
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
	w.Await("before can be managed", world.Soon, func(context.Context) error { return dryCreate(w, w.Deployment("before", 3, settings))() })
}

// events counts what the autoscaler has said of a Deployment for a reason, each repetition too.
func events(w *world.World, name, reason string) (n int32) {
	w.T.Helper()
	list, err := w.Kube.EventsV1().Events(w.Namespace).List(w.T.Context(), metav1.ListOptions{})
	if err != nil {
		w.T.Fatal(err)
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
