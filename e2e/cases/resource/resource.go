package resource

import (
	"context"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"autoscale.io/e2e/world"
)

func resourceCases() []world.Case {
	return []world.Case{
		{ID: "CM-02", Symptom: "pods of another workload with the same labels are averaged in", Holds: "only pods whose owners lead to the workload count", In: world.Test, Run: foreignPods},
		{ID: "CM-03", Symptom: "an injected sidecar without a request makes utilization undefined, and scaling stops in silence", Holds: "the container is named, other triggers go on raising, and one container can be chosen", In: world.Soak, Run: injectedSidecar},
		{ID: "CM-06", Symptom: "some pods have no measurement, and that blocks scaling or scales wrongly", Holds: "they count against the direction, and the decision says how many", In: world.Soak, Run: missingSamples},
		{ID: "CM-07", Symptom: "pods that never start keep an idle fleet from shrinking", Holds: "pending pods are left out on the way down", In: world.Test, Run: pendingPods},
		{ID: "CM-09", Symptom: "cpu and zero: a workload sleeps for ever, or never", Holds: "zero with cpu alone is refused; beside a queue it goes to zero and back", In: world.Soak, Run: cpuAndZero},
		{ID: "CM-10", Symptom: "during a rollout usage is compared with the requests of the wrong generation, and everything goes to max", Holds: "the sum of usage over the sum of requests of the same pods", In: world.Soak, Run: twoGenerations},
		{ID: "CM-rollout", Symptom: "a workload on cpu grows with the surge of a rollout, or shrinks in the middle of it", Holds: "the count is that of the spec all through, and falls after the rollout", In: world.Soak, Run: cpuAcrossRollout},
		{ID: "CM-11", Symptom: "metrics-server is away and autoscaling stops, or misbehaves on its return", Holds: "the count holds, a queue still raises it, and it goes on afterwards", In: world.Soak, Run: metricsOutage},
	}
}

const (
	// measuredWithin is how long the first measurement of a pod may take: two rounds of metrics-server and some polls.
	measuredWithin = 90 * time.Second
	usageCPU       = "kwok.x-k8s.io/usage-cpu"
	usageMemory    = "kwok.x-k8s.io/usage-memory"
	halfCPU        = "{type: cpu, target: 50%, interval: 2s}"
)

// loaded is a Deployment whose pods request 100m cpu and 200Mi memory and use as much as is said.
func loaded(w *world.World, name string, replicas int32, use map[string]string, settings world.Settings) *appsv1.Deployment {
	d := w.Deployment(name, replicas, settings)
	d.Spec.Template.Annotations = use
	d.Spec.Template.Spec.Containers[0].Resources.Requests = corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("200Mi"),
	}
	return d
}

func cpuUse(quantity string) map[string]string { return map[string]string{usageCPU: quantity} }

// use changes what the present pods with the label app use; pods that are made later use what the template says.
func use(w *world.World, app, quantity string) {
	w.T.Helper()
	pods := w.Kube.CoreV1().Pods(w.Namespace)
	list, err := pods.List(w.T.Context(), metav1.ListOptions{LabelSelector: "app=" + app})
	if err != nil {
		w.T.Fatal(err)
	}
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, usageCPU, quantity)
	for _, pod := range list.Items {
		if _, err := pods.Patch(w.T.Context(), pod.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			w.T.Fatal(err)
		}
	}
}

// awaitUsage waits until a trigger on cpu or memory reads a value between two bounds.
func awaitUsage(w *world.World, name, trigger string, least, most float64) {
	w.T.Helper()
	w.Await(fmt.Sprintf("trigger %s of %s between %v and %v", trigger, name, least, most), measuredWithin, func(ctx context.Context) error {
		text, err := w.Metric(ctx, "autoscale_trigger_value", name, `trigger="`+trigger+`"`)
		if err != nil {
			return err
		}
		var value float64
		if _, err := fmt.Sscan(text, &value); err != nil || value < least || value > most {
			return fmt.Errorf("it is %s", text)
		}
		return nil
	})
}

func foreignPods(t *testing.T, w *world.World) {
	settings := world.Quick(world.Settings{"min-replicas": "1", "trigger.cpu": halfCPU})
	own := loaded(w, "own", 2, cpuUse("10m"), settings)
	other := loaded(w, "other", 2, cpuUse("100m"), nil)
	other.Spec.Template.Labels, other.Spec.Selector = own.Spec.Template.Labels, own.Spec.Selector
	other.Spec.Template.Spec.Containers[0].Resources.Requests = nil // which would also be a fault, if they counted
	w.CreateDeployment(other)
	w.CreateDeployment(own)
	w.AwaitReplicas("own", 1, measuredWithin)
	awaitUsage(w, "own", "cpu", 8, 12)
	w.AwaitDecisions("own", 5)
	w.WantCounts("own", 2, 1)
}

// injector puts a sidecar into the pods of one namespace, as a mesh does: it is in no template.
const injector = `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: %[1]s}
spec:
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}
    resourceRules:
      - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}
  failurePolicy: Fail
  reinvocationPolicy: Never
  mutations:
    - patchType: JSONPatch
      jsonPatch:
        expression: '[JSONPatch{op: "add", path: "/spec/containers/-", value: Object.spec.containers{name: "proxy", image: "proxy"}}]'
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: %[1]s}
spec: {policyName: %[1]s}
`

func injectedSidecar(t *testing.T, w *world.World) {
	if err := w.Cluster.Apply(t.Context(), fmt.Appendf(nil, injector, w.Namespace)); err != nil {
		t.Fatal(err)
	}
	stream := w.Stream("s")
	w.Group(w.Redis.Client(), stream, "0")
	awaitInjector(w)
	w.CreateDeployment(loaded(w, "web", 2, cpuUse("50m"), world.Quick(world.Settings{"min-replicas": "2", "trigger.cpu": halfCPU, "trigger.orders": w.Trigger(stream, world.Group)})))
	w.AwaitEvent("web", "TriggerUnknown", `container proxy of pod web-\S+ requests no cpu, so there is no share of it`)
	w.AwaitDecisions("web", 4)
	w.Add(w.Redis.Client(), stream, 20)
	w.AwaitReplicas("web", 4, world.Soon)
	w.WantCounts("web", 2, 4)
	if err := w.Annotate("web", world.Settings{"trigger.cpu": "{type: cpu, target: 50%, interval: 2s, container: worker}"}); err != nil {
		t.Fatal(err)
	}
	awaitUsage(w, "web", "cpu", 45, 55)
}

// awaitInjector waits until the API server has taken note of the policy.
func awaitInjector(w *world.World) {
	w.T.Helper()
	w.Await("the sidecar is injected", world.Soon, func(ctx context.Context) error {
		probe := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "probe"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "a"}}}}
		got, err := w.Kube.CoreV1().Pods(w.Namespace).Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil && len(got.Spec.Containers) != 2 {
			err = fmt.Errorf("%d containers", len(got.Spec.Containers))
		}
		return err
	})
}

// silentNodes makes two nodes of which one is never measured, for this case alone.
func silentNodes(w *world.World) {
	w.T.Helper()
	for i, path := range []string{"/metrics/nodes/" + w.Namespace + "-0/metrics/resource", "/nowhere"} {
		name := fmt.Sprintf("%s-%d", w.Namespace, i)
		node := &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{
				Name: name, Labels: map[string]string{corev1.LabelHostname: name, "case": w.Namespace},
				Annotations: map[string]string{"metrics.k8s.io/resource-metrics-path": path},
			},
			Spec: corev1.NodeSpec{Taints: []corev1.Taint{{Key: "case", Effect: corev1.TaintEffectNoSchedule}}},
		}
		if _, err := w.Kube.CoreV1().Nodes().Create(w.T.Context(), node, metav1.CreateOptions{}); err != nil {
			w.T.Fatal(err)
		}
		w.T.Cleanup(func() {
			if err := w.Kube.CoreV1().Nodes().Delete(context.Background(), name, world.DeleteNow()); err != nil {
				w.T.Log(err)
			}
		})
	}
}

func missingSamples(t *testing.T, w *world.World) {
	silentNodes(w)
	d := loaded(w, "web", 4, cpuUse("100m"), world.Quick(world.Settings{"min-replicas": "1", "trigger.cpu": halfCPU}))
	pod := &d.Spec.Template.Spec
	pod.NodeSelector = map[string]string{"case": w.Namespace}
	pod.Tolerations = []corev1.Toleration{{Key: "case", Operator: corev1.TolerationOpExists}}
	pod.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: d.Spec.Selector,
	}}
	w.CreateDeployment(d)
	awaitUsage(w, "web", "cpu", 90, 110) // the two that are measured; all four together are on target
	w.AwaitDecisions("web", 5)
	w.WantCounts("web", 4)
	use(w, "web", "10m")
	awaitUsage(w, "web", "cpu", 8, 12) // on the way down the other two count as using all
	w.AwaitDecisions("web", 5)
	w.WantCounts("web", 4)
	use(w, "web", "300m")
	w.AwaitReplicas("web", 10, measuredWithin)
	w.AwaitEvent("web", "ScaledUp", `with 2 pods not measured, asks for \d+ replicas`)
}

func pendingPods(t *testing.T, w *world.World) {
	d := loaded(w, "web", 6, cpuUse("50m"), world.Quick(world.Settings{"min-replicas": "1", "trigger.cpu": halfCPU}))
	// One pod a node, of which there are three.
	d.Spec.Template.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80, HostPort: 8080}}
	w.CreateDeployment(d)
	awaitUsage(w, "web", "cpu", 45, 55)
	w.AwaitDecisions("web", 4)
	w.WantCounts("web", 6)
	use(w, "web", "1m")
	w.AwaitReplicas("web", 1, measuredWithin)
	w.WantCounts("web", 6, 1)
}

func cpuAndZero(t *testing.T, w *world.World) {
	const why = "cpu and memory say nothing of pods that are not there"
	w.WantRefused(loaded(w, "alone", 1, nil, world.Quick(world.Settings{"cpu": "50%"})), `min-replicas: got "0", want at least 1; `+why)
	w.WantRefused(loaded(w, "night", 1, nil, world.Quick(world.Settings{"min-replicas": "1", "memory": "1Gi", "schedule.night": "{start: 0 20 * * *, end: 0 6 * * *, min: 0}"})),
		`schedule.night: min: got "0", want at least 1; `+why)
	stream, client := w.Stream("s"), w.Redis.Client()
	w.Group(client, stream, "0")
	w.CreateDeployment(loaded(w, "worker", 0, cpuUse("90m"), world.Quick(world.Settings{"trigger.cpu": halfCPU, "trigger.orders": w.Trigger(stream, world.Group)})))
	w.WantManaged("worker")
	w.AwaitDecisions("worker", 3)
	w.WantCounts("worker", 0)
	w.Add(client, stream, 8)
	w.AwaitReplicas("worker", 2, world.Soon) // the queue wakes it and decides, as no cpu can be measured yet
	w.WantCounts("worker", 0, 2)
	w.AwaitReplicas("worker", 10, 3*time.Minute) // then cpu asks for more: 90 % at a target of 50 %, whatever the count
	use(w, "worker", "1m")
	w.AwaitReplicas("worker", 2, measuredWithin)
	w.Read(client, stream, 8, true)
	w.AwaitReplicas("worker", 0, world.Soon)
	w.Add(client, stream, 1)
	w.AwaitReplicas("worker", 1, world.Soon)
	if events, err := eventsOf(w, "worker", "TriggerUnknown"); err != nil || len(events) > 0 {
		t.Errorf("%v; cpu was reported although there was nothing to measure: %v", err, events)
	}
}

// eventsOf are the notes of the autoscaler's events of a reason.
func eventsOf(w *world.World, name, reason string) (notes []string, err error) {
	list, err := w.Kube.EventsV1().Events(w.Namespace).List(w.T.Context(), metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, e := range list.Items {
		if e.Regarding.Name == name && e.Reason == reason {
			notes = append(notes, e.Note)
		}
	}
	return notes, nil
}

// twoGenerations stops a rollout half way: two of four pods request and use half as much as the others. A new pod takes a minute to count as available.
func twoGenerations(t *testing.T, w *world.World) {
	d := loaded(w, "web", 4, map[string]string{usageMemory: "120Mi"}, world.Quick(world.Settings{"min-replicas": "1", "trigger.memory": "{type: memory, target: 75%, interval: 2s}"}))
	surge, unavailable := intstr.FromInt32(0), intstr.FromInt32(2)
	d.Spec.MinReadySeconds = 60
	d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: &unavailable, MaxSurge: &surge}}
	w.CreateDeployment(d)
	awaitUsage(w, "web", "memory", 60, 60)
	w.Await("web is available", 2*time.Minute, func(context.Context) error {
		if got := w.Get("web").Status.AvailableReplicas; got != 4 {
			return fmt.Errorf("%d of 4", got)
		}
		return nil
	})
	patch := fmt.Appendf(nil, `{"spec":{"template":{"metadata":{"annotations":{%q:"55Mi"}},"spec":{"containers":[{"name":"worker","resources":{"requests":{"memory":"100Mi"}}}]}}}}`, usageMemory)
	if _, err := w.Kube.AppsV1().Deployments(w.Namespace).Patch(t.Context(), "web", types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitUsage(w, "web", "memory", 58, 58) // (2 * 120 + 2 * 55) of (2 * 200 + 2 * 100)
	w.AwaitDecisions("web", 3)
	w.WantCounts("web", 4)
}

// cpuAcrossRollout has four pods of each generation at one time, and the rollout does not end before the new ones are measured, however long that takes.
func cpuAcrossRollout(t *testing.T, w *world.World) {
	d := loaded(w, "web", 4, cpuUse("50m"), world.Quick(world.Settings{"min-replicas": "1", "trigger.cpu": halfCPU}))
	w.Surging(d, "100%")
	awaitUsage(w, "web", "cpu", 45, 55)
	readyFor := func(seconds int) {
		t.Helper()
		patch := fmt.Appendf(nil, `{"spec":{"minReadySeconds":%d}}`, seconds)
		if _, err := w.Kube.AppsV1().Deployments(w.Namespace).Patch(t.Context(), "web", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	readyFor(599) // just below the progress deadline
	w.RollOut("web", "two")
	w.Await("the surge", world.Soon, func(context.Context) error {
		if got := w.Get("web").Status.Replicas; got != 8 {
			return fmt.Errorf("%d pods", got)
		}
		return nil
	})
	w.AwaitDecisions("web", 3)
	w.WantCounts("web", 4)
	use(w, "web", "1m")
	awaitUsage(w, "web", "cpu", 0, 5)
	w.Await("the reason of the decision is RollingOut", world.Soon, func(ctx context.Context) error {
		_, err := w.Metric(ctx, "autoscale_workload_desired_replicas", "web", `reason="RollingOut"`)
		return err
	})
	w.WantCounts("web", 4)
	readyFor(0)
	w.AwaitReplicas("web", 1, 2*time.Minute)
	if got := w.Get("web").Status; got.UpdatedReplicas != got.Replicas {
		t.Errorf("it was scaled down during the rollout: %+v", got)
	}
}

// metricsOutage has metrics-server away for one autoscaler alone: others measure meanwhile.
func metricsOutage(t *testing.T, w *world.World) {
	proxy := w.APIProxy()
	w.Class = w.Namespace
	w.Scaler = w.StartBehind(proxy, w.Class)
	stream, client := w.Stream("s"), w.Redis.Client()
	w.Group(client, stream, "0")
	w.CreateDeployment(loaded(w, "worker", 3, cpuUse("50m"), world.Quick(world.Settings{"min-replicas": "1", "trigger.cpu": halfCPU, "trigger.orders": w.Trigger(stream, world.Group)})))
	awaitUsage(w, "worker", "cpu", 45, 55)
	proxy.FailMetrics.Store(true)
	use(w, "worker", "1m")
	w.AwaitKnown("worker", "cpu", "0")
	w.AwaitEvent("worker", "TriggerUnknown", "metrics-server")
	w.AwaitDecisions("worker", 5)
	w.WantCounts("worker", 3)
	w.Add(client, stream, 30)
	w.AwaitReplicas("worker", 6, world.Soon)
	w.Read(client, stream, 30, true)
	w.AwaitDecisions("worker", 5)
	w.WantCounts("worker", 3, 6)
	proxy.FailMetrics.Store(false)
	use(w, "worker", "1m")
	w.AwaitReplicas("worker", 1, measuredWithin)
}
