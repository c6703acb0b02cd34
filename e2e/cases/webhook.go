package cases

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"autoscale.io/e2e/product"
)

func webhookCases() []Case {
	return []Case{
		{ID: "WH-01", Symptom: "the webhook is away and nothing can be created, not even what would bring it back", Holds: "everything is created without it, in time", Alone: true, Run: webhookAway},
		{ID: "WH-03", Symptom: "objects made while the webhook was away are never managed", Holds: "the loop finds and adopts them", Alone: true, Run: missedObjects},
		{ID: "WH-13", Symptom: "a dry run fails or leaves traces", Holds: "the same answer and no trace", Run: dryRun},
		{ID: "WH-certs", Symptom: "the install's own rights are too few to make the webhook's certificate", Holds: "a self-signed certificate is made, kept and trusted with the shipped rights", Alone: true, Run: selfSigned},
		{ID: "WH-16", Symptom: "an annotation-driven webhook is called for every object", Holds: "only objects that have or had an annotation reach it", Alone: true, Run: onlyAnnotated},
	}
}

// webhookAway stops the autoscaler in two ways, gone and hanging, and creates things meanwhile.
func webhookAway(t *testing.T, w *World) {
	const limit = 3 * time.Second // the webhook's timeout of 2 s and some air
	create := func(name string) {
		t.Helper()
		for _, namespace := range []string{w.Namespace, "kube-system", product.Namespace} {
			d := w.deployment(name, 1, quick(Settings{"min-replicas": "1", "trigger.orders": w.trigger(w.Stream("s"), "")}))
			d.Namespace = namespace
			began := time.Now()
			if _, err := w.kube.AppsV1().Deployments(namespace).Create(t.Context(), d, metav1.CreateOptions{}); err != nil {
				t.Fatalf("create in %s: %v", namespace, err)
			}
			if took := time.Since(began); took > limit {
				t.Errorf("creating in %s took %s, want at most %s", namespace, took, limit)
			}
			if namespace != w.Namespace {
				t.Cleanup(func() {
					if err := w.kube.AppsV1().Deployments(namespace).Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
						t.Log(err)
					}
				})
			}
		}
		w.ScaleByHand(name, 2)
	}
	if err := w.scaler.Pause(); err != nil {
		t.Fatal(err)
	}
	create("while-hanging")
	if err := w.scaler.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := w.scaler.Stop(); err != nil {
		t.Fatal(err)
	}
	w.restartAPIServer()
	create("while-gone")
	w.restart()
	w.wantManaged("while-hanging")
	w.wantManaged("while-gone")
}

func (w *World) restart() {
	w.t.Helper()
	if err := w.scaler.Restart(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func missedObjects(t *testing.T, w *World) {
	const objects = 20
	if err := w.scaler.Kill(); err != nil {
		t.Fatal(err)
	}
	for i := range objects {
		name := fmt.Sprintf("w%02d", i)
		w.group(w.redis.Client(), w.Stream(name), "0")
		w.add(w.redis.Client(), w.Stream(name), 10)
		w.Create(name, 0, quick(Settings{"trigger.orders": w.trigger(w.Stream(name), group)}))
	}
	w.restart()
	for i := range objects {
		w.AwaitReplicas(fmt.Sprintf("w%02d", i), 2, soon)
	}
	w.AwaitEvent("w00", "Adopted", "managed from 0 replicas on")
	text, err := w.scaler.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := sample(text, "autoscale_adoptions_total"); got < objects {
		t.Errorf("autoscale_adoptions_total is %v, want at least %d", got, objects)
	}
}

// sample is the sum of a metric without regard to labels.
func sample(text, metric string) float64 {
	total := 0.0
	for _, line := range regexp.MustCompile(`(?m)^`+metric+`(?:\{[^}]*\})? (\S+)$`).FindAllStringSubmatch(text, -1) {
		value, err := strconv.ParseFloat(line[1], 64)
		if err == nil {
			total += value
		}
	}
	return total
}

func dryRun(t *testing.T, w *World) {
	d := w.atSix("worker")
	before := w.Get("worker")
	for range 5 {
		if out, err := w.kubectl(d, "apply", "--dry-run=server", "-f"); err != nil {
			t.Fatal(out, err)
		}
	}
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 { // as the diffs of GitOps tools do
		options := metav1.PatchOptions{FieldManager: "gitops", Force: ptr.To(true), DryRun: []string{metav1.DryRunAll}}
		answer, err := w.kube.AppsV1().Deployments(w.Namespace).Patch(t.Context(), "worker", types.ApplyPatchType, data, options)
		if err != nil {
			t.Fatal(err)
		}
		if *answer.Spec.Replicas != 6 {
			t.Fatalf("a dry run is answered with %d replicas, want the live 6", *answer.Spec.Replicas)
		}
	}
	created := w.deployment("never", 1, quick(Settings{"trigger.orders": w.trigger(w.Stream("s"), "")}))
	got, err := w.kube.AppsV1().Deployments(w.Namespace).Create(t.Context(), created, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		t.Fatal(err)
	}
	if got.Labels["autoscale.io/bucket"] == "" {
		t.Error("a dry run is not answered as the real request would be: the label is missing")
	}
	if after := w.Get("worker"); after.Generation != before.Generation {
		t.Errorf("dry runs changed the object: generation %d → %d", before.Generation, after.Generation)
	}
	events, err := w.kube.EventsV1().Events(w.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events.Items {
		if e.Regarding.Name == "never" {
			t.Errorf("a dry run left the event %s: %s", e.Reason, e.Note)
		}
	}
	if got, err := w.metric(t.Context(), "autoscale_workload_decision_timestamp_seconds", "never"); err == nil {
		t.Errorf("a dry run left a metric: %s", got)
	}
	w.WantCounts("worker", 2, 6)
}

func onlyAnnotated(t *testing.T, w *World) {
	calls := func() float64 {
		text, err := w.scaler.Metrics(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return sample(text, "autoscale_admission_requests_total")
	}
	w.awaitQuiet(calls)
	before := calls()
	for i := range 100 {
		w.Create(fmt.Sprintf("plain-%03d", i), 0, nil)
	}
	w.awaitQuiet(calls)
	if got := calls() - before; got != 0 {
		t.Fatalf("100 objects without annotations made %v calls, want none", got)
	}
	settings := quick(Settings{"trigger.orders": w.trigger(w.Stream("s"), "")})
	for i := range 5 {
		w.Create(fmt.Sprintf("annotated-%d", i), 0, settings)
	}
	if got := calls() - before; got < 5 {
		t.Fatalf("5 annotated objects made %v calls, want at least 5", got)
	}
	gone := Settings{"state": "", "status": ""}
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

// awaitQuiet waits until the number of calls has stayed the same for a second.
func (w *World) awaitQuiet(calls func() float64) {
	w.t.Helper()
	last, since := calls(), time.Now()
	w.await("the webhook is quiet", soon, func(context.Context) error {
		if now := calls(); now != last {
			last, since = now, time.Now()
		}
		if time.Since(since) < time.Second {
			return fmt.Errorf("calls are still coming")
		}
		return nil
	})
}
