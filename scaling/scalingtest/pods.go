package scalingtest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"autoscale.io/scaling/scalingtest/apiserver"
)

// Annotations of a pod that say what each of its containers uses; a pod template passes them on.
const (
	UsageCPU    = "test/usage-cpu"
	UsageMemory = "test/usage-memory"
)

// Pods are the pods of a workload that have not ended, oldest first.
func (w *World) Pods(name string) []corev1.Pod {
	w.Helper()
	list, err := w.Kube.CoreV1().Pods(Namespace).List(context.Background(), metav1.ListOptions{LabelSelector: "app=" + name})
	if err != nil {
		w.Fatal(err)
	}
	pods := slices.DeleteFunc(list.Items, func(p corev1.Pod) bool {
		return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	})
	slices.SortStableFunc(pods, func(a, b corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	return pods
}

// EndPods ends the oldest n pods of a workload in a phase, all at once.
func (w *World) EndPods(name string, n int, phase corev1.PodPhase) {
	w.Helper()
	pods := w.Pods(name)
	if len(pods) < n {
		w.Fatalf("%s has %d pods that run, want at least %d", name, len(pods), n)
	}
	for _, pod := range pods[:n] {
		w.patchPod(pod.Name, fmt.Sprintf(`{"status":{"phase":%q,"conditions":[{"type":"Ready","status":"False"}]}}`, phase), "status")
	}
	w.Settle()
}

// Use sets how much the present pods of a workload use of cpu or memory, by the key UsageCPU or UsageMemory.
func (w *World) Use(name, key, quantity string) {
	w.Helper()
	for _, pod := range w.Pods(name) {
		w.patchPod(pod.Name, fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, key, quantity))
	}
}

func (w *World) patchPod(name, patch string, subresources ...string) {
	w.Helper()
	_, err := w.Kube.CoreV1().Pods(Namespace).Patch(context.Background(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, subresources...)
	if err != nil {
		w.Fatal(err)
	}
}

// podMetrics is the API of metrics-server: it measures every pod that runs and has one of the annotations, at each
// read.
func (w *World) podMetrics() apiserver.Kind {
	gv := schema.GroupVersion{Group: "metrics.k8s.io", Version: "v1beta1"}
	return apiserver.Kind{
		GroupVersionKind: gv.WithKind("PodMetrics"), Resource: gv.WithResource("pods"), Of: schema.GroupResource{Resource: "pods"}, Compute: measure,
	}
}

// measure is the measurement of a pod; nil for one that is not measured.
func measure(object *unstructured.Unstructured) *unstructured.Unstructured {
	var pod corev1.Pod
	data, err := json.Marshal(object.Object)
	if err == nil {
		err = json.Unmarshal(data, &pod)
	}
	usage := map[string]any{}
	for resource, key := range map[string]string{"cpu": UsageCPU, "memory": UsageMemory} {
		if text := pod.Annotations[key]; text != "" {
			usage[resource] = text
		}
	}
	if err != nil || pod.Status.Phase != corev1.PodRunning || len(usage) == 0 {
		return nil
	}
	var containers []any
	for _, c := range pod.Spec.Containers {
		containers = append(containers, map[string]any{"name": c.Name, "usage": usage})
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "metrics.k8s.io/v1beta1", "kind": "PodMetrics",
		"metadata":  map[string]any{"name": pod.Name, "namespace": pod.Namespace},
		"timestamp": time.Now().UTC().Format(time.RFC3339), "window": "15s", "containers": containers,
	}}
}
