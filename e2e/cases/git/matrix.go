package git

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"autoscale.io/e2e/world"
)

func gitToolCases() []world.Case {
	return []world.Case{
		{ID: "GO-kubectl", Symptom: "each way of kubectl to write a manifest resets the count in another way", Holds: "none of them moves it: at rest, on the way up and down, and at zero", In: world.Test, Weight: 4, Run: tools(kubectlTools())},
		{ID: "GO-tools", Symptom: "each GitOps tool resets the count in its own way", Holds: "what Argo CD, Flux and Helm send moves it at no time", In: world.Test, Weight: 4, Run: tools(gitOpsTools())},
	}
}

func kubectlTools() []tool {
	forced := []string{"apply", "--server-side", "--force-conflicts", "-f"}
	return []tool{
		{name: "apply", apply: kubectlFile("apply", "-f")},
		{name: "apply-set", kind: "StatefulSet", apply: kubectlFile("apply", "-f")},
		{name: "server-side", apply: kubectlFile("apply", "--server-side", "-f"), conflicts: true},
		{name: "forced", apply: kubectlFile(forced...)},
		{name: "forced-set", kind: "StatefulSet", apply: kubectlFile(forced...)},
		{name: "kustomize", apply: kustomize},
		{name: "replace", apply: kubectlFile("replace", "-f"), first: kubectlFile("create", "-f"), rewrites: true},
		{name: "strategic", apply: kubectlPatch("strategic"), first: kubectlFile("create", "-f")},
		{name: "merge", apply: kubectlPatch("merge"), first: kubectlFile("create", "-f")},
		{name: "json", apply: kubectlPatch("json"), first: kubectlFile("create", "-f")},
	}
}

func gitOpsTools() []tool {
	return []tool{
		{name: "argo", apply: kubectlFile("apply", "--field-manager=argocd-controller", "-f")},
		{name: "argo-server-side", apply: argoServerSide},
		{name: "argo-server-side-set", kind: "StatefulSet", apply: argoServerSide},
		{name: "argo-replace", apply: kubectlFile("replace", "--field-manager=argocd-controller", "-f"), first: createAs("argocd-controller"), rewrites: true},
		{name: "flux", apply: flux},
		{name: "flux-after-kubectl", apply: flux, first: kubectlFile("apply", "-f")},
		{name: "flux-set", kind: "StatefulSet", apply: flux},
		{name: "helm", apply: helm, first: createAs("helm")},
		{name: "helm-set", kind: "StatefulSet", apply: helm, first: createAs("helm")},
	}
}

// tools takes each tool through the life of a workload, all of them side by side.
func tools(list []tool) func(*testing.T, *world.World) {
	return func(t *testing.T, w *world.World) {
		client := w.Dynamic()
		// Each of them calls kubectl or the like all the time; more at a time would hold up each other.
		const atATime = 6
		room := make(chan struct{}, atATime)
		for _, tool := range list {
			if tool.kind == "" {
				tool.kind = "Deployment"
			}
			if tool.first == nil {
				tool.first = tool.apply
			}
			t.Run(tool.name, func(t *testing.T) {
				t.Parallel()
				room <- struct{}{}
				defer func() { <-room }()
				own := *w
				own.T = t
				s := &synced{World: &own, tool: tool, objects: client.Resource(appsResource(tool.kind)).Namespace(w.Namespace)}
				s.live()
			})
		}
	}
}

// manifest is a workload with two replicas.
func (s *synced) manifest() manifest {
	s.T.Helper()
	stream := s.Stream(s.tool.name)
	d := s.Deployment(s.tool.name, 2, world.Quick(world.Settings{"cooldown": "1s", "trigger.orders": s.Trigger(stream, world.Group)}))
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(d)
	if err != nil {
		s.T.Fatal(err)
	}
	m := manifest{&unstructured.Unstructured{Object: object}}
	for _, path := range [][]string{{"status"}, {"spec", "strategy"}} {
		unstructured.RemoveNestedField(object, path...)
	}
	if m.SetKind(s.tool.kind); s.tool.kind == "StatefulSet" {
		if err := unstructured.SetNestedField(object, s.tool.name, "spec", "serviceName"); err != nil {
			s.T.Fatal(err)
		}
	}
	return m
}

// live takes the workload through its life, and looks at every count that it ever had.
func (s *synced) live() {
	client, stream, name := s.Redis.Client(), s.Stream(s.tool.name), s.tool.name
	s.Group(client, stream, "0")
	s.Add(client, stream, 15)
	with := s.manifest()
	if err := s.tool.first(s.T.Context(), s, with); err != nil {
		s.T.Fatal(err)
	}
	s.before = with
	s.AwaitReplicas(name, 3, world.Soon)
	s.bring(with)
	s.wantNoWrite(with)
	s.Add(client, stream, 15)
	s.bringUntil(6, with)
	s.bring(with.without())
	s.wantNoWrite(with.without())
	s.bring(with)
	s.Read(client, stream, 30, true)
	s.bringUntil(0, with.without(), with)
	// Now the API server has forgotten who owned the count.
	s.bring(with.without())
	s.bring(with)
	s.AwaitDecisions(name, 2)
	s.Add(client, stream, 5)
	s.bringUntil(1, with)
	s.AwaitDecisions(name, 2)
	s.WantCounts(name, 2, 3, 6, 1, 0, 1)
}

// bring applies a manifest.
func (s *synced) bring(m manifest) {
	s.T.Helper()
	err := s.tool.apply(s.T.Context(), s, m)
	for tries := 0; err != nil && tries < 5 && strings.Contains(err.Error(), "the object has been modified"); tries++ {
		err = s.tool.apply(s.T.Context(), s, m) // as every tool does when a scale came in between
	}
	if err != nil && s.tool.conflicts && strings.Contains(err.Error(), "Apply failed with 1 conflict") {
		return // which is Kubernetes' own answer
	}
	if err != nil {
		s.T.Fatal(err)
	}
	s.before = m
}

// bringUntil applies manifests in turn until the workload has a count, and each once more then.
func (s *synced) bringUntil(count int32, manifests ...manifest) {
	s.T.Helper()
	for i := range 100 {
		s.bring(manifests[i%len(manifests)])
		if last, _ := s.Changes.Last(s.tool.name); last.Replicas == count {
			break
		}
	}
	s.AwaitReplicas(s.tool.name, count, world.Soon)
	for _, m := range manifests {
		s.bring(m)
	}
}

// wantNoWrite applies a manifest that is there already, which must change no byte. What the loop or a controller of Kubernetes writes meanwhile is no fault,
// but does not go on.
func (s *synced) wantNoWrite(m manifest) {
	s.T.Helper()
	if s.tool.rewrites {
		return
	}
	var versions []string
	s.Await("an apply that writes nothing", world.Soon, func(context.Context) error {
		before := s.version()
		s.bring(m)
		if after := s.version(); after != before {
			versions = append(versions, after)
			return fmt.Errorf("it went from version %s to %s; versions so far %v", before, after, versions)
		}
		return nil
	})
	if len(versions) > 4 {
		s.T.Errorf("%d applies wrote: %v", len(versions), versions)
	}
}

// version is the resource version and the generation of the workload.
func (s *synced) version() string {
	s.T.Helper()
	live, err := s.objects.Get(s.T.Context(), s.tool.name, metav1.GetOptions{})
	if err != nil {
		s.T.Fatal(err)
	}
	return fmt.Sprintf("%s (generation %d)", live.GetResourceVersion(), live.GetGeneration())
}
