package fieldcases

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"autoscale.io/scaling/decide"
	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/apiserver"
)

func resourceCases() []Case {
	return []Case{
		{ID: "CM-02", Run: foreignPods},
		{ID: "CM-03", Run: injectedSidecar},
		{ID: "CM-06", Run: missingSamples},
		{ID: "CM-07", Run: pendingPods},
		{ID: "CM-09", Run: cpuAndZero},
		{ID: "CM-10", Run: twoGenerations},
		{ID: "CM-rollout", Run: cpuAcrossRollout},
		{ID: "CM-11", Run: metricsOutage},
	}
}

const halfCPU = "{type: cpu, target: 50%}"

// onCPU are settings with a target of half the cpu that pods request, and without the trigger on the source orders.
func onCPU(more scalingtest.Settings) scalingtest.Settings {
	s := scalingtest.Settings{"min-replicas": "1", "max-replicas": "10", "trigger.cpu": halfCPU}
	for key, value := range more {
		s[key] = value
	}
	return s
}

// loaded is a Deployment whose pods request 100m cpu and 200Mi memory and use as much cpu as is said.
func loaded(name string, replicas int32, cpu string, settings scalingtest.Settings) *appsv1.Deployment {
	d := scalingtest.Deployment(name, replicas, settings)
	if cpu != "" {
		d.Spec.Template.Annotations = map[string]string{scalingtest.UsageCPU: cpu}
	}
	d.Spec.Template.Spec.Containers[0].Resources.Requests = corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("200Mi"),
	}
	return d
}

// wantValue fails the test unless a trigger of a workload was read with that value.
func wantValue(w *scalingtest.World, name, trigger string, want float64) {
	w.Helper()
	for _, t := range w.Decision(name).Triggers {
		if t.Name == trigger {
			if !t.Known || t.Value != want {
				w.Fatalf("trigger %s of %s is known: %t, with the value %v and the error %q; want %v", trigger, name, t.Known, t.Value, t.Error, want)
			}
			return
		}
	}
	w.Fatalf("%s has no trigger %s", name, trigger)
}

// patchPod changes a pod, or a subresource of it.
func patchPod(w *scalingtest.World, pod, patch string, subresources ...string) {
	w.Helper()
	_, err := w.Kube.CoreV1().Pods(scalingtest.Namespace).Patch(context.Background(), pod, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, subresources...)
	if err != nil {
		w.Fatal(err)
	}
}

// foreignPods has a workload whose pods carry the labels of another, use much and request nothing.
func foreignPods(w *scalingtest.World) {
	w.RunPods()
	own := loaded("own", 2, "10m", onCPU(nil))
	other := loaded("other", 2, "100m", nil)
	other.Spec.Template.Labels, other.Spec.Selector = own.Spec.Template.Labels, own.Spec.Selector
	other.Spec.Template.Spec.Containers[0].Resources.Requests = nil
	w.Create(other, own)
	w.Advance(20 * time.Minute)
	wantValue(w, "own", "cpu", 10)
	w.WantCounts("own", 2, 1)
}

// injectedSidecar has a container without a request in each pod.
func injectedSidecar(w *scalingtest.World) {
	w.RunPods()
	d := loaded("web", 2, "50m", onCPU(scalingtest.Settings{"min-replicas": "2", "trigger.orders": scalingtest.Trigger("orders", "")}))
	d.Spec.Template.Spec.Containers = append(d.Spec.Template.Spec.Containers, corev1.Container{Name: "proxy", Image: "proxy"})
	w.Create(d)
	w.AwaitEvent("web", "TriggerUnknown", "requests no cpu, so there is no share of it", time.Minute)
	w.Advance(10 * time.Minute)
	w.Set("orders", 20)
	w.Advance(10 * time.Second)
	w.WantCounts("web", 2, 4)
	w.Set("orders", 0)
	w.Advance(20 * time.Minute)
	w.WantCounts("web", 2, 4)
	annotate(w, "web", scalingtest.Settings{"trigger.cpu": "{type: cpu, target: 50%, container: worker}"})
	w.Use("web", scalingtest.UsageCPU, "20m")
	w.Advance(20 * time.Minute)
	wantValue(w, "web", "cpu", 20)
	w.WantCounts("web", 2, 4, 2)
}

// missingSamples has four pods of which two are never measured.
func missingSamples(w *scalingtest.World) {
	w.RunPods()
	w.Create(loaded("web", 4, "", onCPU(nil)))
	w.Advance(time.Minute)
	measured := w.Pods("web")[:2]
	use := func(quantity string) {
		w.Helper()
		for _, pod := range measured {
			patchPod(w, pod.Name, fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, scalingtest.UsageCPU, quantity))
		}
		w.Advance(20 * time.Minute)
	}
	use("100m")
	wantValue(w, "web", "cpu", 100) // the two that are measured; all four together are on target
	w.WantCounts("web", 4)
	use("10m")
	wantValue(w, "web", "cpu", 10) // on the way down the other two count as using all
	w.WantCounts("web", 4)
	use("300m")
	w.WantCounts("web", 4, 8, 10)
	wantEvents(w, "web",
		"ScaledUp: 4 → 8 replicas: trigger cpu: 300% at a target of 50%, with 2 pods not measured, asks for 12 replicas; going from 4 to 8 only by the scale-up policies until 00:41:27Z (15s)",
		"ScaledUp: 8 → 10 replicas: trigger cpu: 300% at a target of 50%, with 6 pods not measured, asks for 12 replicas; cut to max-replicas 10",
	)
}

// pendingPods has six pods of which three find no node.
func pendingPods(w *scalingtest.World) {
	w.RunPods()
	d := loaded("web", 6, "50m", onCPU(nil))
	d.Spec.Template.Spec.NodeSelector = map[string]string{"node": "full"}
	w.Create(d)
	w.Advance(time.Minute)
	now := time.Now().UTC().Format(time.RFC3339)
	for _, pod := range w.Pods("web")[:3] {
		patchPod(w, pod.Name, fmt.Sprintf(`{"status":{"phase":"Running","startTime":%q,"conditions":[{"type":"Ready","status":"True","lastTransitionTime":%[1]q}]}}`, now), "status")
	}
	w.Advance(20 * time.Minute)
	wantValue(w, "web", "cpu", 50)
	w.WantCounts("web", 6)
	w.Use("web", scalingtest.UsageCPU, "1m")
	w.Advance(20 * time.Minute)
	w.WantCounts("web", 6, 1)
}

// cpuAndZero has a trigger on cpu alone, which cannot tell when to wake, and one beside a queue, which can.
func cpuAndZero(w *scalingtest.World) {
	const why = "cpu and memory say nothing of pods that are not there"
	w.Denied(w.TryCreate(loaded("alone", 1, "", onCPU(scalingtest.Settings{"min-replicas": "0"}))), `min-replicas: got "0", want at least 1; `+why)
	w.Denied(w.TryCreate(loaded("night", 1, "", onCPU(scalingtest.Settings{"schedule.night": "{start: 0 20 * * *, end: 0 6 * * *, min: 0}"}))),
		`schedule.night: min: got "0", want at least 1; `+why)
	w.RunPods()
	w.Create(loaded("worker", 0, "90m", usual(scalingtest.Settings{"trigger.cpu": halfCPU})))
	w.Advance(20 * time.Minute)
	w.WantCounts("worker", 0)
	w.Set("orders", 8)
	w.Advance(5 * time.Second)
	w.WantCounts("worker", 0, 2) // the queue wakes it and decides, as no cpu can be measured yet
	w.Advance(10 * time.Minute)
	w.WantCounts("worker", 0, 2, 4, 8, 10) // then cpu asks for more, by its ramp
	w.Use("worker", scalingtest.UsageCPU, "1m")
	w.Advance(20 * time.Minute)
	w.WantCounts("worker", 0, 2, 4, 8, 10, 2)
	w.Use("worker", scalingtest.UsageCPU, "50m") // as much as its target, which does not keep it awake
	w.Set("orders", 0)
	w.Advance(20 * time.Minute)
	w.WantCounts("worker", 0, 2, 4, 8, 10, 2, 1, 0)
	w.Set("orders", 1)
	w.Advance(5 * time.Second)
	w.WantCounts("worker", 0, 2, 4, 8, 10, 2, 1, 0, 1)
	for _, e := range w.Events("worker") {
		if e.Reason == "TriggerUnknown" {
			w.Errorf("cpu was reported although there was nothing to measure: %s", e)
		}
	}
}

// twoGenerations has a rollout that stands half way: two of four pods request and use half as much as the others.
func twoGenerations(w *scalingtest.World) {
	w.RunPods()
	d := loaded("web", 4, "", onCPU(nil))
	delete(d.Annotations, "autoscale.io/trigger.cpu")
	d.Annotations["autoscale.io/trigger.memory"] = "{type: memory, target: 75%}"
	d.Spec.Template.Annotations = map[string]string{scalingtest.UsageMemory: "120Mi"}
	w.Create(d)
	w.Advance(10 * time.Minute)
	wantValue(w, "web", "memory", 60)
	if err := w.Patch("web", fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{%q:"55Mi"}},
		"spec":{"containers":[{"name":"worker","image":"worker:2","resources":{"requests":{"memory":"100Mi"}}}]}}}}`, scalingtest.UsageMemory)); err != nil {
		w.Fatal(err)
	}
	for _, pod := range w.Pods("web")[:2] {
		if err := w.Kube.CoreV1().Pods(scalingtest.Namespace).Delete(context.Background(), pod.Name, metav1.DeleteOptions{}); err != nil {
			w.Fatal(err)
		}
	}
	w.Advance(20 * time.Minute)
	wantValue(w, "web", "memory", 58) // (2 * 120 + 2 * 55) of (2 * 200 + 2 * 100)
	w.WantCounts("web", 4)
}

// cpuAcrossRollout has four pods of each generation at one time; first all of them have work, then none.
func cpuAcrossRollout(w *scalingtest.World) {
	d := loaded("web", 4, "", onCPU(nil))
	w.Create(d)
	owner := metav1.OwnerReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: w.Get("web").GetUID(), Controller: ptr.To(true)}
	now := metav1.Now()
	for i := range 8 {
		w.Create(&corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Name: fmt.Sprint("web-", i), Labels: map[string]string{"app": "web"}, OwnerReferences: []metav1.OwnerReference{owner},
				Annotations: map[string]string{scalingtest.UsageCPU: "50m"},
			},
			Spec: d.Spec.Template.Spec,
			Status: corev1.PodStatus{
				Phase: corev1.PodRunning, StartTime: &now, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: now}},
			},
		})
	}
	w.SetStatus("web", `{"replicas":8,"updatedReplicas":4}`)
	w.Advance(20 * time.Minute)
	wantValue(w, "web", "cpu", 50)
	w.WantCounts("web", 4)
	w.Use("web", scalingtest.UsageCPU, "1m")
	w.Advance(20 * time.Minute)
	wantValue(w, "web", "cpu", 1)
	if got := w.Decision("web").Reason; got != decide.RollingOut {
		w.Errorf("the reason of the decision is %s", got)
	}
	w.WantCounts("web", 4)
	w.SetStatus("web", `{"replicas":4,"updatedReplicas":4}`)
	w.Advance(time.Minute)
	w.WantCounts("web", 4, 1)
}

// metricsOutage has metrics-server away for twenty minutes.
func metricsOutage(w *scalingtest.World) {
	w.RunPods()
	w.Create(loaded("worker", 3, "50m", onCPU(scalingtest.Settings{"trigger.orders": scalingtest.Trigger("orders", "")})))
	w.Advance(10 * time.Minute)
	wantValue(w, "worker", "cpu", 50)
	back := w.API.Inject(apiserver.Fault{
		Match: func(c apiserver.Call) bool { return c.Resource.Group == "metrics.k8s.io" },
		Err:   apierrors.NewServiceUnavailable("the server is currently unable to handle the request"),
	})
	w.Use("worker", scalingtest.UsageCPU, "1m")
	w.Advance(20 * time.Minute)
	w.WantCounts("worker", 3)
	w.Set("orders", 30)
	w.Advance(5 * time.Second)
	w.WantCounts("worker", 3, 6)
	w.Set("orders", 0)
	w.Advance(20 * time.Minute)
	w.WantCounts("worker", 3, 6)
	back()
	w.Use("worker", scalingtest.UsageCPU, "1m")
	w.Advance(20 * time.Minute)
	w.WantCounts("worker", 3, 6, 1)
	wantEvents(w, "worker",
		"TriggerUnknown: trigger cpu (cpu) cannot be read since 00:10:12Z, so the count does not fall: metrics-server is away; "+
			"look at: kubectl describe apiservice v1beta1.metrics.k8s.io: the server is currently unable to handle the request",
		"ScaledUp: 3 → 6 replicas: trigger orders: 30 at a target of 5 each asks for 6 replicas; trigger cpu could not be read",
		"TriggerRecovered: trigger cpu (cpu) can be read again",
		"ScaledDown: 6 → 1 replicas: trigger cpu: 1% at a target of 50% asks for 1 replica; trigger orders: 0 at a target of 5 each asks for 0 replicas",
	)
}
