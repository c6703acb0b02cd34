package target

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/scalers"
)

// slimMeta is what is kept of an object's metadata.
func slimMeta(m metav1.Object) metav1.ObjectMeta {
	kept := metav1.ObjectMeta{
		Name: m.GetName(), Namespace: m.GetNamespace(), UID: m.GetUID(), ResourceVersion: m.GetResourceVersion(),
		CreationTimestamp: m.GetCreationTimestamp(), DeletionTimestamp: m.GetDeletionTimestamp(),
	}
	if controller := metav1.GetControllerOf(m); controller != nil {
		kept.OwnerReferences = []metav1.OwnerReference{*controller}
	}
	return kept
}

// slimPod keeps of a pod what its usage is counted by.
func slimPod(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	slim := &corev1.Pod{ObjectMeta: slimMeta(pod), Status: corev1.PodStatus{Phase: pod.Status.Phase, StartTime: pod.Status.StartTime}}
	if r := pod.Spec.Resources; r != nil {
		slim.Spec.Resources = &corev1.ResourceRequirements{Requests: r.Requests}
	}
	for _, c := range pod.Spec.Containers {
		slim.Spec.Containers = append(slim.Spec.Containers, slimContainer(c))
	}
	for _, c := range pod.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			slim.Spec.InitContainers = append(slim.Spec.InitContainers, slimContainer(c))
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			slim.Status.Conditions = []corev1.PodCondition{{Type: c.Type, Status: c.Status, LastTransitionTime: c.LastTransitionTime}}
		}
	}
	return slim, nil
}

func slimContainer(c corev1.Container) corev1.Container {
	return corev1.Container{Name: c.Name, RestartPolicy: c.RestartPolicy, Resources: corev1.ResourceRequirements{Requests: c.Resources.Requests}}
}

// slimSet keeps of a ReplicaSet who controls it.
func slimSet(object any) (any, error) {
	set, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil
	}
	return &metav1.PartialObjectMetadata{TypeMeta: set.TypeMeta, ObjectMeta: slimMeta(set)}, nil
}

// podOf puts a slim pod and its sample, which may be nil, into the words of the scalers.
func podOf(pod *corev1.Pod, sample *scalers.Sample) scalers.Pod {
	p := scalers.Pod{
		Name: pod.Name, Deleted: pod.DeletionTimestamp != nil, Phase: pod.Status.Phase,
		Created: pod.CreationTimestamp.Time, Started: timeOf(pod.Status.StartTime), Sample: sample,
	}
	if pod.Spec.Resources != nil {
		p.Requests = pod.Spec.Resources.Requests
	}
	for _, c := range pod.Status.Conditions {
		p.Ready = scalers.Condition{Status: c.Status, Since: c.LastTransitionTime.Time}
	}
	for _, c := range slices.Concat(pod.Spec.Containers, pod.Spec.InitContainers) {
		p.Containers = append(p.Containers, scalers.Container{Name: c.Name, Requests: c.Resources.Requests})
	}
	return p
}

func timeOf(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}
