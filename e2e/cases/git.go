package cases

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/yaml"

	"autoscale.io/annotations"
)

func gitCases() []Case {
	return []Case{
		{ID: "GO-01", Symptom: "the manifest says 2, the autoscaler says 6, and each sync makes pods live for seconds", Holds: "a re-apply never moves the live count", Run: reapply},
		{ID: "GO-02", Symptom: "removing replicas from Git sets them to 1", Holds: "the live count stays", Run: droppedReplicas},
		{ID: "GO-05", Symptom: "what the webhook adds shows as drift, so a sync loops or restarts pods", Holds: "few stable additions, no new generation, no new pods", Run: noDrift},
	}
}

// ways are the forms in which tools write a manifest: client-side apply (a three-way merge patch computed by the tool), server-side apply with and
// without force, and replace.
func (w *World) ways() map[string]func(*appsv1.Deployment) error {
	return map[string]func(*appsv1.Deployment) error{
		"client-side apply": w.clientSideApply,
		"server-side apply": func(d *appsv1.Deployment) error { return w.serverSideApply(d, true) },
		"replace": func(d *appsv1.Deployment) error {
			_, err := w.kubectl(d, "replace", "-f")
			return err
		},
	}
}

func (w *World) serverSideApply(d *appsv1.Deployment, force bool) error {
	data, err := json.Marshal(d)
	if err != nil {
		return err
	}
	_, err = w.kube.AppsV1().Deployments(w.Namespace).Patch(w.t.Context(), d.Name, types.ApplyPatchType, data,
		metav1.PatchOptions{FieldManager: "gitops", Force: &force})
	return err
}

// clientSideApply runs the real kubectl.
func (w *World) clientSideApply(d *appsv1.Deployment) error {
	_, err := w.kubectl(d, "apply", "-f")
	return err
}

// kubectl runs the real kubectl on a manifest, which is the last argument.
func (w *World) kubectl(manifest any, args ...string) (string, error) {
	data, err := yaml.Marshal(manifest)
	if err != nil {
		return "", err
	}
	path := filepath.Join(w.t.TempDir(), "manifest.yaml")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return "", err
	}
	return w.kubectlArgs(append(args, path)...)
}

// kubectlArgs runs the real kubectl. A replace reads the object and then writes it whole, so any status that a controller writes in between is a
// conflict that kubectl hands to the person, who runs it again.
func (w *World) kubectlArgs(args ...string) (string, error) {
	var out []byte
	err := retry.OnError(retry.DefaultRetry, hasConflict, func() (err error) {
		command := exec.CommandContext(w.t.Context(), w.kubectlPath, append([]string{"--kubeconfig", w.cluster.Kubeconfig(), "-n", w.Namespace}, args...)...)
		if out, err = command.CombinedOutput(); err != nil {
			return fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, out)
		}
		return nil
	})
	return string(out), err
}

func hasConflict(err error) bool {
	return strings.Contains(err.Error(), "Error from server (Conflict)")
}

// atSix is a Deployment that was applied with 2 replicas, scaled to 6 and reported on.
func (w *World) atSix(name string) *appsv1.Deployment {
	w.t.Helper()
	stream := w.Stream(name)
	w.group(w.redis.Client(), stream, "0")
	w.add(w.redis.Client(), stream, 28)
	settings := quick(Settings{"min-replicas": "1", "trigger.orders": w.trigger(stream, group)})
	d := w.deployment(name, 2, settings)
	if err := w.clientSideApply(d); err != nil {
		w.t.Fatal(err)
	}
	w.AwaitReplicas(name, 6, soon)
	w.awaitStatus(name)
	return d
}

// awaitStatus waits until a Deployment has been reported on.
func (w *World) awaitStatus(name string) {
	w.t.Helper()
	w.await("the status of "+name+" is written", soon, func(context.Context) error {
		if w.Get(name).Annotations[annotations.StatusKey] == "" {
			return fmt.Errorf("it is not there yet")
		}
		return nil
	})
}

func reapply(t *testing.T, w *World) {
	d := w.atSix("worker")
	for name, apply := range w.ways() {
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
		if err := w.clientSideApply(d); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.Get("worker").Generation; got != generation {
		t.Errorf("a re-apply moved the generation from %d to %d", generation, got)
	}
	// Once /scale has passed through zero, the API server has forgotten who owned the field, and an apply without force succeeds.
	zeroed := w.deployment("zeroed", 2, quick(Settings{"cooldown": "1s", "trigger.orders": w.trigger(w.Stream("empty"), "")}))
	if err := w.serverSideApply(zeroed, false); err != nil {
		t.Fatal(err)
	}
	w.AwaitReplicas("zeroed", 0, soon)
	if err := w.serverSideApply(zeroed, false); err != nil {
		t.Fatalf("apply without force after a zero: %v", err)
	}
	w.AwaitDecisions("zeroed", 3)
	w.WantCounts("zeroed", 2, 1, 0)
}

func droppedReplicas(t *testing.T, w *World) {
	for name := range w.ways() {
		object := strings.ReplaceAll(name, " ", "-")
		d := w.atSix(object)
		d.Spec.Replicas = nil
		if err := w.ways()[name](d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		w.AwaitDecisions(object, 2)
		w.WantCounts(object, 2, 6)
	}
	// The day of the migration: annotations come and replicas go in one apply.
	stream := w.Stream("migrate")
	w.group(w.redis.Client(), stream, "0")
	w.add(w.redis.Client(), stream, 40)
	d := w.deployment("migrate", 8, nil)
	if err := w.clientSideApply(d); err != nil {
		t.Fatal(err)
	}
	migrated := w.deployment("migrate", 8, quick(Settings{"min-replicas": "1", "trigger.orders": w.trigger(stream, group)}))
	migrated.Spec.Replicas = nil
	if err := w.clientSideApply(migrated); err != nil {
		t.Fatal(err)
	}
	w.AwaitDecisions("migrate", 2)
	w.WantCounts("migrate", 8)
}

func noDrift(t *testing.T, w *World) {
	d := w.atSix("worker")
	before := w.Get("worker")
	for i := range 10 {
		if i%2 == 0 {
			d.Annotations["other/key"] = "kept"
		}
		if out, err := w.kubectl(d, "diff", "-f"); i > 1 && err != nil {
			t.Fatalf("sync %d shows a difference: %v %s", i, err, out)
		}
		if err := w.clientSideApply(d); err != nil {
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
	sets, err := w.kube.AppsV1().ReplicaSets(w.Namespace).List(t.Context(), metav1.ListOptions{})
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
