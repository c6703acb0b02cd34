package git

import (
	"encoding/json"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"autoscale.io/annotations"
	"autoscale.io/e2e/world"
)

func gitCases() []world.Case {
	return []world.Case{
		{ID: "GO-01", Symptom: "the manifest says 2, the autoscaler says 6, and each sync makes pods live for seconds", Holds: "a re-apply never moves the live count", In: world.Test, Run: reapply},
		{ID: "GO-02", Symptom: "removing replicas from Git sets them to 1", Holds: "the live count stays", In: world.Test, Run: droppedReplicas},
		{ID: "GO-05", Symptom: "what the webhook adds shows as drift, so a sync loops or restarts pods", Holds: "few stable additions, no new generation, no new pods", In: world.Test, Run: noDrift},
	}
}

// ways are the forms in which tools write a manifest: client-side apply (a three-way merge patch computed by the tool), server-side apply with and
// without force, and replace.
func ways(w *world.World) map[string]func(*appsv1.Deployment) error {
	return map[string]func(*appsv1.Deployment) error{
		"client-side apply": w.ClientSideApply,
		"server-side apply": func(d *appsv1.Deployment) error { return serverSideApply(w, d, true) },
		"replace": func(d *appsv1.Deployment) error {
			_, err := w.Kubectl(d, "replace", "-f")
			return err
		},
	}
}

func serverSideApply(w *world.World, d *appsv1.Deployment, force bool) error {
	data, err := json.Marshal(d)
	if err != nil {
		return err
	}
	_, err = w.Kube.AppsV1().Deployments(w.Namespace).Patch(w.T.Context(), d.Name, types.ApplyPatchType, data,
		metav1.PatchOptions{FieldManager: "gitops", Force: &force})
	return err
}

func reapply(t *testing.T, w *world.World) {
	d := w.AtSix("worker")
	for name, apply := range ways(w) {
		for range 5 {
			if err := apply(d); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	w.AwaitDecisions("worker", 3)
	w.WantCounts("worker", 2, 6)
	// The first apply after a replace brings back kubectl's own annotation; the next one must change nothing at all.
	generation := int64(0)
	for range 2 {
		generation = w.Get("worker").Generation
		if err := w.ClientSideApply(d); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.Get("worker").Generation; got != generation {
		t.Errorf("a re-apply moved the generation from %d to %d", generation, got)
	}
	// Once /scale has passed through zero, the API server has forgotten who owned the field, and an apply without force succeeds.
	zeroed := w.Deployment("zeroed", 2, world.Quick(world.Settings{"cooldown": "1s", "trigger.orders": w.Trigger(w.Stream("empty"), "")}))
	if err := serverSideApply(w, zeroed, false); err != nil {
		t.Fatal(err)
	}
	w.AwaitReplicas("zeroed", 0, world.Soon)
	if err := serverSideApply(w, zeroed, false); err != nil {
		t.Fatalf("apply without force after a zero: %v", err)
	}
	w.AwaitDecisions("zeroed", 3)
	w.WantCounts("zeroed", 2, 1, 0)
}

func droppedReplicas(t *testing.T, w *world.World) {
	for name := range ways(w) {
		object := strings.ReplaceAll(name, " ", "-")
		d := w.AtSix(object)
		d.Spec.Replicas = nil
		if err := ways(w)[name](d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		w.AwaitDecisions(object, 2)
		w.WantCounts(object, 2, 6)
	}
	// The day of the migration: annotations come and replicas go in one apply.
	stream := w.Stream("migrate")
	w.Group(w.Redis.Client(), stream, "0")
	w.Add(w.Redis.Client(), stream, 40)
	d := w.Deployment("migrate", 8, nil)
	if err := w.ClientSideApply(d); err != nil {
		t.Fatal(err)
	}
	migrated := w.Deployment("migrate", 8, world.Quick(world.Settings{"min-replicas": "1", "trigger.orders": w.Trigger(stream, world.Group)}))
	migrated.Spec.Replicas = nil
	if err := w.ClientSideApply(migrated); err != nil {
		t.Fatal(err)
	}
	w.AwaitDecisions("migrate", 2)
	w.WantCounts("migrate", 8)
}

func noDrift(t *testing.T, w *world.World) {
	d := w.AtSix("worker")
	before := w.Get("worker")
	for i := range 10 {
		if i%2 == 0 {
			d.Annotations["other/key"] = "kept"
		}
		if out, err := w.Kubectl(d, "diff", "-f"); i > 1 && err != nil {
			t.Fatalf("sync %d shows a difference: %v %s", i, err, out)
		}
		if err := w.ClientSideApply(d); err != nil {
			t.Fatal(err)
		}
	}
	after := w.Get("worker")
	for key, value := range before.Annotations {
		if strings.HasPrefix(key, "autoscale.io/") && after.Annotations[key] != value {
			t.Errorf("%s went from %q to %q", key, value, after.Annotations[key])
		}
	}
	if added := addedAnnotations(d, after); added > 2 {
		t.Errorf("%d annotations were added, want the state and the status alone", added)
	}
	sets, err := w.Kube.AppsV1().ReplicaSets(w.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(sets.Items) != 1 {
		t.Errorf("there are %d ReplicaSets (%v), want one: the pod template must not change", len(sets.Items), err)
	}
	for _, set := range sets.Items {
		if set.Labels["autoscale.io/bucket"] != "" {
			t.Errorf("the ReplicaSet %s is managed, although its Deployment is", set.Name)
		}
	}
	w.WantCounts("worker", 2, 6)
}

// addedAnnotations counts the annotations of ours that a manifest did not give.
func addedAnnotations(manifest, live *appsv1.Deployment) int {
	added := 0
	for key := range live.Annotations {
		if _, given := manifest.Annotations[key]; strings.HasPrefix(key, annotations.Prefix) && !given {
			added++
		}
	}
	return added
}
