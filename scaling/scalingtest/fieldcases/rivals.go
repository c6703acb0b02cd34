package fieldcases

import (
	"fmt"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/apiserver"
)

func rivalCases() []Case {
	return []Case{
		{ID: "HA-09", Run: rival},
		{ID: "HA-09-keda", Run: rivalOfKEDA},
	}
}

// hpa creates an HPA on a Deployment.
func hpa(w *scalingtest.World, target string, owner ...metav1.OwnerReference) {
	w.Helper()
	w.Create(&autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "rival-of-" + target, OwnerReferences: owner},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			MaxReplicas: 3, ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: target},
		},
	})
	w.Advance(10 * time.Millisecond) // until it is seen
}

func dropHPA(w *scalingtest.World, target string) {
	w.Helper()
	if err := w.Kube.AutoscalingV2().HorizontalPodAutoscalers(scalingtest.Namespace).Delete(w.Context(), "rival-of-"+target, metav1.DeleteOptions{}); err != nil {
		w.Fatal(err)
	}
	w.Advance(10 * time.Millisecond)
}

// wantRefused fails the test unless a request is denied, since a rival scales the Deployment.
func wantRefused(w *scalingtest.World, rival, name string, err error) {
	w.Helper()
	want := `admission webhook "workloads.autoscale.io" denied the request: ` + rival + " scales Deployment shop/" + name + " already, and a workload has one master: " +
		"delete that first, or leave the annotations autoscale.io/… out; to compare the two, set autoscale.io/dry-run to true"
	if err == nil || err.Error() != want {
		w.Errorf("got %v\nwant %s", err, want)
	}
}

// rival brings an HPA before the workload is managed, after that, and while the autoscaler is away.
func rival(w *scalingtest.World) {
	w.Set("orders", 28)
	refusedBesideAnHPA(w)
	for _, name := range []string{"after", "away"} {
		w.Create(scalingtest.Deployment(name, 1, usual(nil)))
	}
	w.Advance(10 * time.Minute)
	hpa(w, "after")
	w.Scale("after", 3) // as the HPA does
	hpa(w, "unseen")
	w.Kill()
	w.Create(scalingtest.Deployment("unseen", 3, usual(nil)))
	hpa(w, "away")
	w.Scale("away", 3)
	w.Start("autoscaler-1")
	w.Advance(10 * time.Minute)
	for name, counts := range map[string][]int32{"unseen": {3}, "after": {1, 6, 3}, "away": {1, 6, 3}} {
		annotate(w, name, scalingtest.Settings{"max-replicas": "9"}) // both were there before
		w.Advance(10 * time.Minute)
		w.WantCounts(name, counts...)
		held := 3
		if name == "after" {
			held = 6 // when it was reported
		}
		wantReported(w, name, fmt.Sprintf("Conflict=True (Conflict): HorizontalPodAutoscaler rival-of-%s scales this workload too; holding %d replicas until one of the two is gone", name, held))
		dropHPA(w, name)
		w.Advance(time.Second)
		w.WantCounts(name, append(counts, 6)...)
		w.Advance(time.Minute)
		wantReported(w, name, "Conflict=False (OneMaster): ")
	}
	const asks = "trigger orders: 28 at a target of 5 each "
	wantTold(w, "away",
		"ScaledUp: 1 → 6 replicas: "+asks+"asks for 6 replicas",
		"Conflict: HorizontalPodAutoscaler rival-of-away scales this workload too; holding 3 replicas until one of the two is gone; remove the other one, or the annotations",
		"ScaledUp: 3 → 6 replicas: "+asks+"asks for 6 replicas",
		"ConflictEnded: no other controller scales this workload any more: "+asks+"is within tolerance of 6 replicas",
	)
}

// refusedBesideAnHPA tries every way to become the second master of a workload.
func refusedBesideAnHPA(w *scalingtest.World) {
	w.Helper()
	const hpaBefore = "HorizontalPodAutoscaler rival-of-before"
	hpa(w, "before")
	wantRefused(w, hpaBefore, "before", w.TryCreate(scalingtest.Deployment("before", 3, usual(nil))))
	w.Create(scalingtest.Deployment("before", 3, nil))
	wantRefused(w, hpaBefore, "before", w.Annotate("before", usual(nil)))
	annotate(w, "before", usual(scalingtest.Settings{"dry-run": "true"}))
	w.Advance(10 * time.Minute)
	wantRefused(w, hpaBefore, "before", w.Annotate("before", scalingtest.Settings{"dry-run": ""}))
	w.Advance(10 * time.Minute)
	w.WantCounts("before", 3)
	dropHPA(w, "before")
	annotate(w, "before", scalingtest.Settings{"dry-run": ""})
	w.Advance(6 * time.Second)
	w.WantCounts("before", 3, 6)
	w.Advance(time.Minute)
	const asks = "3 → 6 replicas: trigger orders: 28 at a target of 5 each asks for 6 replicas"
	wantEvents(w, "before", "DryRun: would scale "+asks, "ScaledUp: "+asks)
}

// rivalOfKEDA has KEDA come, scale one workload before it is annotated and one after, and go with all that it made.
func rivalOfKEDA(w *scalingtest.World) {
	kind := schema.GroupVersionKind{Group: "keda.sh", Version: "v1alpha1", Kind: "ScaledObject"}
	resource := kind.GroupVersion().WithResource("scaledobjects")
	objects := w.Dynamic.Resource(resource).Namespace(scalingtest.Namespace)
	scaledObject := func(target string) metav1.OwnerReference {
		w.Helper()
		made, err := objects.Create(w.Context(), &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": map[string]any{"name": "so-" + target},
			"spec": map[string]any{"scaleTargetRef": map[string]any{"name": target}},
		}}, metav1.CreateOptions{})
		if err != nil {
			w.Fatal(err)
		}
		return *metav1.NewControllerRef(made, kind)
	}
	w.Set("orders", 28)
	w.Advance(time.Minute)
	w.API.Serve(apiserver.Kind{GroupVersionKind: kind, Resource: resource})
	scaledObject("before")
	w.Advance(time.Minute) // until the autoscaler has seen that KEDA is there
	wantRefused(w, "ScaledObject so-before", "before", w.TryCreate(scalingtest.Deployment("before", 3, usual(nil))))
	w.Create(scalingtest.Deployment("after", 1, usual(nil)))
	w.AwaitReplicas("after", 6, 6*time.Second)
	hpa(w, "after", scaledObject("after"))
	w.Scale("after", 3)
	w.Advance(10 * time.Minute)
	w.Restart()
	w.Advance(10 * time.Minute)
	w.WantCounts("after", 1, 6, 3)
	dropHPA(w, "after") // the ScaledObject alone is a rival still
	w.Advance(10 * time.Minute)
	w.WantCounts("after", 1, 6, 3)
	if err := objects.Delete(w.Context(), "so-after", metav1.DeleteOptions{}); err != nil {
		w.Fatal(err)
	}
	w.AwaitReplicas("after", 6, time.Second)
	w.Advance(time.Minute)
	const asks = "trigger orders: 28 at a target of 5 each "
	conflict := func(held int) string {
		return fmt.Sprintf("Conflict: ScaledObject so-after scales this workload too; holding %d replicas until one of the two is gone; remove the other one, or the annotations", held)
	}
	wantTold(w, "after",
		"ScaledUp: 1 → 6 replicas: "+asks+"asks for 6 replicas", conflict(6), "ScaledByOther: kubectl (scale) changed replicas from 6 to 3",
		conflict(3), // by the autoscaler that was started again
		"ScaledUp: 3 → 6 replicas: "+asks+"asks for 6 replicas",
		"ConflictEnded: no other controller scales this workload any more: "+asks+"is within tolerance of 6 replicas",
	)
	w.API.Remove(resource.GroupResource()) // and all its objects
	w.Advance(time.Minute)
	w.Create(scalingtest.Deployment("before", 3, usual(nil)))
	w.AwaitReplicas("before", 6, 6*time.Second)
}
