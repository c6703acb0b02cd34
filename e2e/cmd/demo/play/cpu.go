package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	web = "web"
	// loadKey is an annotation of the Deployment: the load on all its pods, in CPU. The demo shares the load among them.
	loadKey = "demo/load"
	// usageKey is an annotation of a pod: the usage that KWOK reports for it.
	usageKey = "kwok.x-k8s.io/usage-cpu"
)

// load is what the pods of a Deployment have to do together.
type load struct{ *stage }

// cpuStory scales a Deployment on the CPU usage that metrics-server reports. Its times allow for two scrapes, after which
// a change of the usage is measured in full.
func (s *stage) cpuStory() story {
	l := load{s}
	set := func(quantity string) func(context.Context) error {
		return func(ctx context.Context) error { return s.patch(ctx, web, map[string]string{loadKey: quantity}) }
	}
	return story{
		workload: web,
		settings: [][2]string{
			{"min-replicas", "1"},
			{"max-replicas", fmt.Sprint(maxReplicas)},
			{"behavior", "{scaleDown: {stabilizationWindowSeconds: 30}}"},
			{"trigger.cpu", "{type: cpu, target: 50%, interval: 5s}"},
		},
		prepare: l.prepare, pods: l.share, level: level{"load (mCPU)", 20, l.level},
		scenes: []scene{
			{"A load of 50m on one replica that requests 100m is at the target", set("50m"), "a measurement, and 1 replica", 90 * time.Second,
				func(n snapshot) bool { return n.value != unknown && n.desired == "1" && n.ready == 1 }},
			{"The load grows to 380m, which takes 8 replicas", set("380m"), "8 replicas ready", 90 * time.Second,
				func(n snapshot) bool { return n.replicas >= 8 && n.ready >= 8 }},
			{"The load falls to 50m: down after the stabilization window of 30 seconds", set("50m"), "1 replica", 180 * time.Second,
				func(n snapshot) bool { return n.replicas == 1 && n.ready == 1 }},
		},
		finish: func() (string, error) {
			return "Done: 1 → 8 → 1 replicas, on CPU usage alone, as metrics-server has measured it.", nil
		},
		try: [][2]string{{
			"Change the load; the demo shares it among the pods, in their annotation " + usageKey + ":",
			fmt.Sprintf("kubectl -n %s annotate --overwrite deployment %s %s=300m", namespace, web, loadKey),
		}, {
			"See what metrics-server reports:", fmt.Sprintf("kubectl -n %s top pods", namespace),
		}},
	}
}

func (l load) prepare(ctx context.Context) error {
	return l.createDeployment(ctx, web, 1, corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{usageKey: "1m"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: web, Image: web, Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")},
		}}}},
	})
}

// level is the load in thousandths of a CPU.
func (l load) level(ctx context.Context) (int64, error) {
	d, err := l.kube.AppsV1().Deployments(namespace).Get(ctx, web, metav1.GetOptions{})
	if err != nil || d.Annotations[loadKey] == "" {
		return 0, err
	}
	quantity, err := resource.ParseQuantity(d.Annotations[loadKey])
	if err != nil {
		return 0, fmt.Errorf("%s %q: %w", loadKey, d.Annotations[loadKey], err)
	}
	return quantity.MilliValue(), nil
}

// share does the work of the pods.
func (l load) share(ctx context.Context) { repeat(ctx, 500*time.Millisecond, "the load", l.shareOnce) }

// shareOnce shares the load among the pods that run.
func (l load) shareOnce(ctx context.Context) error {
	total, err := l.level(ctx)
	if err != nil {
		return err
	}
	pods := l.kube.CoreV1().Pods(namespace)
	list, err := pods.List(ctx, metav1.ListOptions{LabelSelector: "app=" + web})
	if err != nil {
		return err
	}
	var running []corev1.Pod
	for _, pod := range list.Items {
		if pod.Status.Phase == corev1.PodRunning && pod.DeletionTimestamp == nil {
			running = append(running, pod)
		}
	}
	for _, pod := range running {
		usage := fmt.Sprintf("%dm", total/int64(len(running)))
		if pod.Annotations[usageKey] == usage {
			continue
		}
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, usageKey, usage)
		if _, err := pods.Patch(ctx, pod.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}
