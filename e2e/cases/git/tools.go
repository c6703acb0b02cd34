package git

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/dynamic"

	"autoscale.io/e2e/world"
)

// manifest is what is kept in Git.
type manifest struct{ *unstructured.Unstructured }

// without is the manifest with its replicas removed.
func (m manifest) without() manifest {
	m = manifest{m.DeepCopy()}
	unstructured.RemoveNestedField(m.Object, "spec", "replicas")
	return m
}

func (m manifest) json() ([]byte, error) { return json.Marshal(m.Object) }

// synced is a workload and the tool that brings it from Git.
type synced struct {
	*world.World
	tool    tool
	objects dynamic.ResourceInterface
	// before is the manifest that was brought last.
	before manifest
}

// tool is one way in which a manifest is brought to the cluster.
type tool struct {
	name string
	// kind is Deployment unless it says StatefulSet.
	kind string
	// apply brings a manifest for an object that is there already, and first one that is not; first is apply when it is nil.
	apply, first func(context.Context, *synced, manifest) error
	// conflicts says that Kubernetes may refuse a manifest that has replicas, since somebody else set them.
	conflicts bool
	// rewrites says that a manifest wipes what controllers have noted on the object, so that they write it again.
	rewrites bool
}

// appsResource is the resource of a kind that tools bring.
func appsResource(kind string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: strings.ToLower(kind) + "s"}
}

func kubectlFile(args ...string) func(context.Context, *synced, manifest) error {
	return func(_ context.Context, s *synced, m manifest) error {
		_, err := s.Kubectl(m.Object, args...)
		return err
	}
}

// kubectlPatch patches the annotations and the replicas of a manifest, which a tool of that kind of patch knows of.
func kubectlPatch(form string) func(context.Context, *synced, manifest) error {
	return func(_ context.Context, s *synced, m manifest) error {
		replicas, found, err := unstructured.NestedInt64(m.Object, "spec", "replicas")
		if err != nil {
			return err
		}
		patch := `{"spec":{"replicas":null}}`
		switch {
		case form == "json" && found:
			patch = fmt.Sprintf(`[{"op":"add","path":"/spec/replicas","value":%d}]`, replicas)
		case form == "json":
			patch = `[{"op":"remove","path":"/spec/replicas"}]`
		case found:
			patch = fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas)
		}
		_, err = s.KubectlArgs("patch", strings.ToLower(m.GetKind()), m.GetName(), "--type="+form, "-p", patch)
		return err
	}
}

// kustomize applies a folder whose kustomization sets the replicas, if the manifest has any.
func kustomize(_ context.Context, s *synced, m manifest) error {
	dir := s.T.TempDir()
	data, err := m.without().json()
	if err != nil {
		return err
	}
	text := "resources: [workload.json]\n"
	replicas, found, err := unstructured.NestedInt64(m.Object, "spec", "replicas")
	if err != nil {
		return err
	}
	if found {
		text += fmt.Sprintf("replicas: [{name: %s, count: %d}]\n", m.GetName(), replicas)
	}
	for name, content := range map[string][]byte{"workload.json": data, "kustomization.yaml": []byte(text)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	_, err = s.KubectlArgs("apply", "-k", dir)
	return err
}

// serverSide applies as a controller does, with force.
func (s *synced) serverSide(ctx context.Context, m manifest, manager string, dryRun ...string) (*unstructured.Unstructured, error) {
	return s.objects.Apply(ctx, m.GetName(), m.Unstructured, metav1.ApplyOptions{FieldManager: manager, Force: true, DryRun: dryRun})
}

// drifted says whether a dry run of an apply would change more than who owns what.
func (s *synced) drifted(ctx context.Context, m manifest, manager string) (bool, error) {
	live, err := s.objects.Get(ctx, m.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	predicted, err := s.serverSide(ctx, m, manager, metav1.DryRunAll)
	if err != nil {
		return false, err
	}
	for _, o := range []*unstructured.Unstructured{live, predicted} {
		o.SetManagedFields(nil)
		o.SetResourceVersion("")
		o.SetGeneration(0)
		unstructured.RemoveNestedField(o.Object, "status")
	}
	return !equality.Semantic.DeepEqual(live.Object, predicted.Object), nil
}

// argoServerSide is a sync of Argo CD with server-side apply and diff: a dry run finds out whether there is a difference, and a sync applies in any case.
func argoServerSide(ctx context.Context, s *synced, m manifest) error {
	const manager = "argocd-controller"
	if _, err := s.drifted(ctx, m, manager); err != nil {
		return err
	}
	_, err := s.serverSide(ctx, m, manager)
	return err
}

// flux is a reconciliation of Flux: what kubectl has owned becomes its own, a dry run finds the drift, and only drift is applied.
func flux(ctx context.Context, s *synced, m manifest) error {
	const manager = "kustomize-controller"
	live, err := s.objects.Get(ctx, m.GetName(), metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	if err == nil {
		if err := s.disown(ctx, live); err != nil {
			return err
		}
	}
	drifted, err := s.drifted(ctx, m, manager)
	if err != nil || !drifted {
		return err
	}
	_, err = s.serverSide(ctx, m, manager)
	return err
}

// disown takes kubectl out of the managers of an object.
func (s *synced) disown(ctx context.Context, live *unstructured.Unstructured) error {
	var kept []metav1.ManagedFieldsEntry
	for _, entry := range live.GetManagedFields() {
		if !strings.HasPrefix(entry.Manager, "kubectl") {
			kept = append(kept, entry)
		}
	}
	if len(kept) == len(live.GetManagedFields()) {
		return nil
	}
	patch, err := json.Marshal([]map[string]any{
		{"op": "replace", "path": "/metadata/managedFields", "value": kept},
		{"op": "replace", "path": "/metadata/resourceVersion", "value": live.GetResourceVersion()},
	})
	if err != nil {
		return err
	}
	_, err = s.objects.Patch(ctx, live.GetName(), types.JSONPatchType, patch, metav1.PatchOptions{FieldManager: "kustomize-controller"})
	if apierrors.IsConflict(err) {
		return nil // it is done the next time
	}
	return err
}

// helm is an upgrade of Helm with a three-way merge of the previous manifest, the new one and what is live.
func helm(ctx context.Context, s *synced, m manifest) error {
	live, err := s.objects.Get(ctx, m.GetName(), metav1.GetOptions{})
	if err != nil {
		return err
	}
	var versions [3][]byte
	for i, object := range []map[string]any{s.before.Object, m.Object, live.Object} {
		if versions[i], err = json.Marshal(object); err != nil {
			return err
		}
	}
	var typed any = appsv1.Deployment{}
	if m.GetKind() == "StatefulSet" {
		typed = appsv1.StatefulSet{}
	}
	meta, err := strategicpatch.NewPatchMetaFromStruct(typed)
	if err != nil {
		return err
	}
	patch, err := strategicpatch.CreateThreeWayMergePatch(versions[0], versions[1], versions[2], meta, true)
	if err != nil || string(patch) == "{}" {
		return err
	}
	_, err = s.objects.Patch(ctx, m.GetName(), types.StrategicMergePatchType, patch, metav1.PatchOptions{FieldManager: "helm"})
	return err
}

func createAs(manager string) func(context.Context, *synced, manifest) error {
	return func(ctx context.Context, s *synced, m manifest) error {
		_, err := s.objects.Create(ctx, m.Unstructured, metav1.CreateOptions{FieldManager: manager})
		return err
	}
}
