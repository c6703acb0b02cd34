package fieldcases

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"

	"autoscale.io/scaling/scalingtest"
)

func gitCases() []Case {
	return []Case{
		{ID: "GO-01", Run: reapply},
		{ID: "GO-02", Run: droppedReplicas},
		{ID: "GO-bounds", Run: boundsInGit},
		{ID: "GO-away", Options: scalingtest.Options{NoWebhook: true}, Run: syncWithoutWebhook},
		{ID: "GO-07", Run: federation},
	}
}

// atSix is a Deployment of a manifest with 2 replicas that the autoscaler has scaled to 6.
func atSix(w *scalingtest.World, name string) {
	w.Helper()
	w.Set("orders", 28)
	w.Create(scalingtest.Deployment(name, 2, usual(scalingtest.Settings{"min-replicas": "1"})))
	w.Advance(10 * time.Minute)
	w.WantCounts(name, 2, 6)
}

// unset is the replica count of a manifest that has no replicas.
const unset = -1

// patched writes the replica count of a manifest as a patch.
func patched(w *scalingtest.World, name string, replicas int) {
	w.Helper()
	patch := fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas)
	if replicas == unset {
		patch = `{"spec":{"replicas":null}}`
	}
	if err := w.Patch(name, patch); err != nil {
		w.Fatal(err)
	}
}

// replaced writes a manifest with that replica count as a whole.
func replaced(w *scalingtest.World, name string, replicas int) {
	w.Helper()
	object := w.Get(name).DeepCopy()
	if unstructured.RemoveNestedField(object.Object, "spec", "replicas"); replicas != unset {
		if err := unstructured.SetNestedField(object.Object, int64(replicas), "spec", "replicas"); err != nil {
			w.Fatal(err)
		}
	}
	client := w.Dynamic.Resource(appsv1.SchemeGroupVersion.WithResource("deployments")).Namespace(scalingtest.Namespace)
	if _, err := client.Update(context.Background(), object, metav1.UpdateOptions{FieldManager: "kubectl"}); err != nil {
		w.Fatal(err)
	}
	w.Settle()
}

// ways are the forms in which tools write a manifest.
func ways() map[string]func(w *scalingtest.World, name string, replicas int) {
	return map[string]func(*scalingtest.World, string, int){"patched": patched, "replaced": replaced}
}

// reapply syncs at many moments between two reads, while there is work and once there is none.
func reapply(w *scalingtest.World) {
	for name, apply := range ways() {
		atSix(w, name)
		generation := w.Get(name).GetGeneration()
		for i := range 50 {
			apply(w, name, 2)
			w.Advance(time.Duration(i*37%1900) * time.Millisecond)
		}
		if got := w.Get(name).GetGeneration(); got != generation {
			w.Errorf("%s: the syncs moved the generation from %d to %d", name, generation, got)
		}
		w.WantCounts(name, 2, 6)
		annotate(w, name, scalingtest.Settings{"min-replicas": "0"})
		w.Set("orders", 0)
		for range 50 {
			w.Advance(17 * time.Second)
			apply(w, name, 2)
		}
		w.WantCounts(name, 2, 6, 1, 0)
	}
}

func droppedReplicas(w *scalingtest.World) {
	for name, apply := range ways() {
		atSix(w, name)
		apply(w, name, unset)
		w.Advance(10 * time.Minute)
		w.WantCounts(name, 2, 6)
	}
	// The day of the migration: annotations come and replicas go in one patch.
	w.Set("orders", 40)
	w.Create(scalingtest.Deployment("migrate", 8, nil))
	w.Advance(time.Minute)
	patch := fmt.Sprintf(`{"metadata":{"annotations":{"autoscale.io/min-replicas":"1","autoscale.io/max-replicas":"10","autoscale.io/trigger.orders":%q}},"spec":{"replicas":null}}`,
		scalingtest.Trigger("orders", ""))
	if err := w.Patch("migrate", patch); err != nil {
		w.Fatal(err)
	}
	w.Advance(10 * time.Minute)
	w.WantCounts("migrate", 8)
}

// boundsInGit applies new bounds together with the replica count of the manifest.
func boundsInGit(w *scalingtest.World) {
	atSix(w, "worker")
	apply := func(bounds string) {
		w.Helper()
		if err := w.Patch("worker", `{"metadata":{"annotations":{`+bounds+`}},"spec":{"replicas":2}}`); err != nil {
			w.Fatal(err)
		}
	}
	apply(`"autoscale.io/max-replicas":"4"`)
	w.WantCounts("worker", 2, 6, 4) // in the same request
	w.Advance(10 * time.Minute)
	apply(`"autoscale.io/min-replicas":"3"`)
	w.Advance(10 * time.Minute)
	w.WantCounts("worker", 2, 6, 4)
	apply(`"autoscale.io/max-replicas":"5"`)
	w.Advance(10 * time.Minute)
	w.WantCounts("worker", 2, 6, 4, 5) // as the work asks for six
	// With no replica that decides, so that only the webhook can have set it.
	apply(`"autoscale.io/max-replicas":"20","autoscale.io/min-replicas":"9"`)
	w.WantCounts("worker", 2, 6, 4, 5, 9)
	w.Advance(10 * time.Minute)
	w.WantCounts("worker", 2, 6, 4, 5, 9)
}

// syncWithoutWebhook is answered by the loop, which says who it was.
func syncWithoutWebhook(w *scalingtest.World) {
	atSix(w, "worker")
	for range 2 {
		patched(w, "worker", 2)
		w.AwaitReplicas("worker", 6, 5*time.Second)
		w.Advance(20 * time.Minute)
	}
	w.WantCounts("worker", 2, 6, 2, 6, 2, 6)
	const up = "ScaledUp: 2 → 6 replicas: trigger orders: 28 at a target of 5 each asks for 6 replicas"
	const taken = "ScaledByOther: kubectl changed replicas from 6 to 2"
	wantEvents(w, "worker", "Adopted: found with annotations and without the managed label; managed from 2 replicas on", up, taken, up, taken, up)
}

// federate takes back every change of a Deployment's replica count until the returned function is called.
func federate(w *scalingtest.World, name string, reset func(context.Context, *appsv1.Deployment) error) (stop func()) {
	w.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	events, err := w.Kube.AppsV1().Deployments(scalingtest.Namespace).Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String()})
	if err != nil {
		w.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for event := range events.ResultChan() {
			if d, ok := event.Object.(*appsv1.Deployment); ok {
				if err := reset(ctx, d); err != nil && !errors.Is(err, context.Canceled) {
					w.Logf("the federation layer: %v", err)
				}
			}
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		events.Stop()
		running.Wait()
	})
	w.Cleanup(stop)
	return stop
}

// throughScale sets a replica count through the scale subresource.
func throughScale(w *scalingtest.World, count int32) func(context.Context, *appsv1.Deployment) error {
	return func(ctx context.Context, d *appsv1.Deployment) error {
		if *d.Spec.Replicas == count {
			return nil
		}
		_, err := w.Kube.AppsV1().Deployments(d.Namespace).Patch(ctx, d.Name, types.MergePatchType, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, count),
			metav1.PatchOptions{FieldManager: "federation"}, "scale")
		return err
	}
}

// federation has a layer that takes back each change, through the scale subresource and in the object.
func federation(w *scalingtest.World) {
	for name, replicas := range map[string]int32{"scaled": 1, "zeroed": 0, "updated": 1} {
		w.Create(scalingtest.Deployment(name, replicas, usual(nil)))
	}
	w.Advance(time.Minute)
	stop := federate(w, "scaled", throughScale(w, 1))
	federate(w, "zeroed", throughScale(w, 0))
	federate(w, "updated", func(ctx context.Context, d *appsv1.Deployment) error {
		one := int32(1)
		d.Spec.Replicas = &one
		_, err := w.Kube.AppsV1().Deployments(d.Namespace).Update(ctx, d, metav1.UpdateOptions{FieldManager: "federation"})
		return err
	})
	w.Set("orders", 28)
	w.Advance(25 * time.Second)
	w.WantCounts("scaled", 1, 6, 1, 6, 1, 6, 1)
	w.WantCounts("updated", 1, 6)
	wantCondition(w, "scaled",
		"Conflict=True (Conflict): the field manager federation (scale) scales this workload too; holding 1 replica until one of the two is gone")
	const up = "ScaledUp: 1 → 6 replicas: trigger orders: 28 at a target of 5 each asks for 6 replicas"
	const taken = "ScaledByOther: federation (scale) changed replicas from 6 to 1"
	wantEvents(w, "scaled", up, taken, up, taken, up, taken,
		"Conflict: the field manager federation (scale) scales this workload too; holding 1 replica until one of the two is gone; remove the other one, or the annotations")
	w.Advance(2 * time.Hour)
	tries := func(name string) int { return len(w.Counts(name)) / 2 }
	w.WantCounts("zeroed", 0, 6, 0)           // a zero stays until somebody raises it
	if got := tries("scaled"); got != 3+5+6 { // after 30 s, 1, 2, 4, 8 and then every 15 minutes
		w.Errorf("scaled was written %d times in two hours: %v", got, w.Counts("scaled"))
	}
	stop()
	w.AwaitReplicas("scaled", 6, 15*time.Minute) // the next try
	before := tries("scaled")
	w.Advance(time.Hour)
	if got := tries("scaled"); got != before {
		w.Errorf("scaled was written %d times once the layer had gone", got-before)
	}
	wantCondition(w, "scaled", "Conflict=False (OneMaster): ")
}
