package jobs

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// slimPod keeps how far a pod has come.
func slimPod(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	slim := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID, ResourceVersion: pod.ResourceVersion, OwnerReferences: pod.OwnerReferences,
	}}
	slim.Status.Phase = pod.Status.Phase
	for _, c := range pod.Status.Conditions {
		if c.Status == corev1.ConditionTrue {
			slim.Status.Conditions = append(slim.Status.Conditions, corev1.PodCondition{Type: c.Type, Status: c.Status})
		}
	}
	if begun(pod) {
		started := true
		slim.Status.ContainerStatuses = []corev1.ContainerStatus{{Started: &started, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
	}
	return slim, nil
}

// begun says whether anything of a pod has ever run, an init container for one: a pod with the phase Pending may have.
func begun(pod *corev1.Pod) bool {
	if pod.Status.Phase != corev1.PodPending && pod.Status.Phase != "" {
		return true
	}
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range statuses {
			if s := &statuses[i]; s.State.Running != nil || s.State.Terminated != nil || s.RestartCount > 0 {
				return true
			}
		}
	}
	return false
}
