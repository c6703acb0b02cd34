package git

import (
	"context"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"

	"autoscale.io/e2e/product"
	"autoscale.io/e2e/world"
)

func customKindCases() []world.Case {
	return []world.Case{
		{ID: "KD-rollout", Symptom: "only the kinds of Kubernetes itself are scaled", Holds: "an Argo Rollout goes up and to zero, and a manifest that is applied again does not move it, from when its definition is installed", In: world.Test, Run: rollout},
	}
}

// What an install needs to manage Rollouts beside the flag --kinds: the definition, which Argo Rollouts brings, and the webhook's rule; the rights are those of the component.
const (
	rolloutCRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: rollouts.argoproj.io}
spec:
  group: argoproj.io
  names: {kind: Rollout, listKind: RolloutList, plural: rollouts, singular: rollout, shortNames: [ro]}
  scope: Namespaced
  versions:
    - name: v1alpha1
      served: true
      storage: true
      subresources:
        status: {}
        scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.HPAReplicas, labelSelectorPath: .status.selector}
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties:
                replicas: {type: integer, format: int32, nullable: true}
                selector: {type: object, x-kubernetes-preserve-unknown-fields: true}
                template: {type: object, x-kubernetes-preserve-unknown-fields: true}
                strategy: {type: object, x-kubernetes-preserve-unknown-fields: true}
            status:
              type: object
              properties: {HPAReplicas: {type: integer, format: int32}, selector: {type: string}}
`
	rolloutRule = `[{"op":"add","path":"/webhooks/0/rules/-","value":
		{"apiGroups":["argoproj.io"],"apiVersions":["v1alpha1"],"operations":["CREATE","UPDATE"],"resources":["rollouts"],"scope":"Namespaced"}}]`
)

// installRollouts brings what an install with Argo Rollouts has, and records the counts of those of the case.
func installRollouts(w *world.World) dynamic.ResourceInterface {
	w.T.Helper()
	client := w.Dynamic()
	rollouts := schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "rollouts"}
	objects := client.Resource(rollouts).Namespace(w.Namespace)
	// The right comes before the kind: the autoscaler lists a kind as soon as it is served.
	if err := w.ApplyManifest(w.T.Context(), "components", "rollouts", "cluster-role.yaml"); err != nil {
		w.T.Fatal(err)
	}
	w.Await("the right is in force", world.Soon, func(context.Context) error {
		return w.Access(authorizationv1.ResourceAttributes{Verb: "watch", Group: rollouts.Group, Resource: rollouts.Resource}, true)
	})
	w.Define(rolloutCRD, objects)
	configs := w.Kube.AdmissionregistrationV1().MutatingWebhookConfigurations()
	if _, err := configs.Patch(w.T.Context(), product.WebhookConfig, types.JSONPatchType, []byte(rolloutRule), metav1.PatchOptions{}); err != nil {
		w.T.Fatal(err)
	}
	informer := dynamicinformer.NewFilteredDynamicInformer(client, rollouts, w.Namespace, 0, nil, nil).Informer()
	if err := w.Changes.Follow(informer); err != nil {
		w.T.Fatal(err)
	}
	go informer.RunWithContext(w.T.Context())
	return objects
}

// rollout installs the definition of a kind that the autoscaler has been told to manage from its start.
func rollout(_ *testing.T, w *world.World) {
	stream, client := w.Stream("web"), w.Redis.Client()
	w.Group(client, stream, "0")
	w.Add(client, stream, 15)
	s := &synced{World: w, tool: tool{name: "web", kind: "Rollout"}, objects: installRollouts(w)}
	m := s.manifest()
	m.SetAPIVersion("argoproj.io/v1alpha1")
	s.tool.apply = kubectlFile("apply", "-f")
	s.bring(m)
	w.AwaitReplicas("web", 3, 2*world.Soon)
	for _, apply := range []func(context.Context, *synced, manifest) error{s.tool.apply, argoServerSide, flux} {
		s.tool.apply = apply
		s.bring(m)
		s.bring(m.without())
	}
	w.Add(client, stream, 15)
	w.AwaitReplicas("web", 6, world.Soon)
	w.Read(client, stream, 30, true)
	w.AwaitReplicas("web", 0, world.Soon)
	s.bring(m)
	w.AwaitEvent("web", "ScaledDown", "^1 → 0 replicas: ")
	w.Add(client, stream, 5)
	w.AwaitReplicas("web", 1, world.Soon)
	w.WantCounts("web", 2, 3, 6, 1, 0, 1)
}
