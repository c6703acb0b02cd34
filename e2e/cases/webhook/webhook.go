package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"autoscale.io/e2e/product"
	"autoscale.io/e2e/world"
)

func webhookCases() []world.Case {
	return []world.Case{
		{ID: "WH-01", Symptom: "the webhook is away and nothing can be created, not even what would bring it back", Holds: "everything is created without it, in time", In: world.Test, Alone: true, Run: webhookAway},
		{ID: "WH-03", Symptom: "objects made while the webhook was away are never managed", Holds: "the loop finds and adopts them", In: world.Test, Own: true, Run: missedObjects},
		{ID: "WH-13", Symptom: "a dry run fails or leaves traces", Holds: "the same answer and no trace", In: world.Test, Run: dryRun},
		{ID: "WH-16", Symptom: "an annotation-driven webhook is called for every object", Holds: "only objects that have or had an annotation reach it", In: world.Test, Alone: true, Run: onlyAnnotated},
	}
}

// webhookAway stops the autoscaler in two ways, gone and hanging, and creates things meanwhile.
func webhookAway(t *testing.T, w *world.World) {
	const limit = 3 * time.Second // the webhook's timeout of 2 s and some air
	create := func(name string) {
		t.Helper()
		for _, namespace := range []string{w.Namespace, "kube-system", product.Namespace} {
			d := w.Deployment(name, 1, world.Quick(world.Settings{"min-replicas": "1", "trigger.orders": w.Trigger(w.Stream("s"), "")}))
			d.Namespace = namespace
			began := time.Now()
			if _, err := w.Kube.AppsV1().Deployments(namespace).Create(t.Context(), d, metav1.CreateOptions{}); err != nil {
				t.Fatalf("create in %s: %v", namespace, err)
			}
			if took := time.Since(began); took > limit {
				t.Errorf("creating in %s took %s, want at most %s", namespace, took, limit)
			}
			if namespace != w.Namespace {
				t.Cleanup(func() {
					if err := w.Kube.AppsV1().Deployments(namespace).Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
						t.Log(err)
					}
				})
			}
		}
		w.ScaleByHand(name, 2)
	}
	w.Pause()
	create("while-hanging")
	w.Resume()
	w.Stop()
	w.RestartAPIServer()
	create("while-gone")
	w.Restart()
	w.WantManaged("while-hanging")
	w.WantManaged("while-gone")
}

func missedObjects(t *testing.T, w *world.World) {
	const objects = 20
	w.Kill()
	for i := range objects {
		name := fmt.Sprintf("w%02d", i)
		w.Group(w.Redis.Client(), w.Stream(name), "0")
		w.Add(w.Redis.Client(), w.Stream(name), 10)
		w.Create(name, 0, world.Quick(world.Settings{"trigger.orders": w.Trigger(w.Stream(name), world.Group)}))
	}
	w.Restart()
	for i := range objects {
		w.AwaitReplicas(fmt.Sprintf("w%02d", i), 2, world.Soon)
	}
	w.AwaitEvent("w00", "Adopted", "managed from 0 replicas on")
	text, err := w.Scaler.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := world.Sample(text, "autoscale_adoptions_total"); got < objects {
		t.Errorf("autoscale_adoptions_total is %v, want at least %d", got, objects)
	}
}

func dryRun(t *testing.T, w *world.World) {
	d := w.AtSix("worker")
	before := w.Get("worker")
	for range 5 {
		if out, err := w.Kubectl(d, "apply", "--dry-run=server", "-f"); err != nil {
			t.Fatal(out, err)
		}
	}
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 { // as the diffs of GitOps tools do
		options := metav1.PatchOptions{FieldManager: "gitops", Force: ptr.To(true), DryRun: []string{metav1.DryRunAll}}
		answer, err := w.Kube.AppsV1().Deployments(w.Namespace).Patch(t.Context(), "worker", types.ApplyPatchType, data, options)
		if err != nil {
			t.Fatal(err)
		}
		if *answer.Spec.Replicas != 6 {
			t.Fatalf("a dry run is answered with %d replicas, want the live 6", *answer.Spec.Replicas)
		}
	}
	created := w.Deployment("never", 1, world.Quick(world.Settings{"trigger.orders": w.Trigger(w.Stream("s"), "")}))
	got, err := w.Kube.AppsV1().Deployments(w.Namespace).Create(t.Context(), created, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		t.Fatal(err)
	}
	if got.Labels["autoscale.io/bucket"] == "" {
		t.Error("a dry run is not answered as the real request would be: the label is missing")
	}
	if after := w.Get("worker"); after.Generation != before.Generation {
		t.Errorf("dry runs changed the object: generation %d → %d", before.Generation, after.Generation)
	}
	events, err := w.Kube.EventsV1().Events(w.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events.Items {
		if e.Regarding.Name == "never" {
			t.Errorf("a dry run left the event %s: %s", e.Reason, e.Note)
		}
	}
	if got, err := w.Metric(t.Context(), "autoscale_workload_decision_timestamp_seconds", "never"); err == nil {
		t.Errorf("a dry run left a metric: %s", got)
	}
	w.WantCounts("worker", 2, 6)
}

func onlyAnnotated(t *testing.T, w *world.World) {
	calls := func() float64 {
		text, err := w.Scaler.Metrics(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return world.Sample(text, "autoscale_admission_requests_total")
	}
	w.AwaitQuiet(calls)
	before := calls()
	for i := range 100 {
		w.Create(fmt.Sprintf("plain-%03d", i), 0, nil)
	}
	w.AwaitQuiet(calls)
	if got := calls() - before; got != 0 {
		t.Fatalf("100 objects without annotations made %v calls, want none", got)
	}
	settings := world.Quick(world.Settings{"trigger.orders": w.Trigger(w.Stream("s"), "")})
	for i := range 5 {
		w.Create(fmt.Sprintf("annotated-%d", i), 0, settings)
	}
	if got := calls() - before; got < 5 {
		t.Fatalf("5 annotated objects made %v calls, want at least 5", got)
	}
	gone := world.Settings{"state": "", "status": ""}
	for key := range settings {
		gone[key] = ""
	}
	if err := w.Annotate("annotated-0", gone); err != nil {
		t.Fatal(err)
	}
	if d := w.Get("annotated-0"); d.Labels["autoscale.io/bucket"] != "" {
		t.Error("the removal of the last annotation was not seen: the label is still there")
	}
}
