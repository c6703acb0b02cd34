package jobs

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/annotations"
)

// slimJob keeps what a count and a history need, which is little: finished Jobs can be many.
func slimJob(object any) (any, error) {
	job, ok := object.(*batchv1.Job)
	if !ok {
		return object, nil
	}
	slim := &batchv1.Job{ObjectMeta: slimMeta(&job.ObjectMeta)}
	slim.Labels = map[string]string{annotations.TemplateHash: job.Labels[annotations.TemplateHash]}
	slim.Status.Succeeded, slim.Status.Failed, slim.Status.Ready = job.Status.Succeeded, job.Status.Failed, job.Status.Ready
	for _, c := range job.Status.Conditions {
		if c.Status == corev1.ConditionTrue && (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) {
			slim.Status.Conditions = append(slim.Status.Conditions, batchv1.JobCondition{Type: c.Type, Status: c.Status, LastTransitionTime: c.LastTransitionTime})
		}
	}
	return slim, nil
}

// slimPod keeps how far a pod has come.
func slimPod(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	slim := &corev1.Pod{ObjectMeta: slimMeta(&pod.ObjectMeta)}
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

func slimMeta(m *metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: m.Name, Namespace: m.Namespace, UID: m.UID, ResourceVersion: m.ResourceVersion,
		CreationTimestamp: m.CreationTimestamp, DeletionTimestamp: m.DeletionTimestamp, OwnerReferences: m.OwnerReferences,
	}
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

// finished says whether a Job has ended, whether well, and when.
func finished(job *batchv1.Job) (done, succeeded bool, at metav1.Time) {
	for _, c := range job.Status.Conditions {
		if c.Status == corev1.ConditionTrue && (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) {
			return true, c.Type == batchv1.JobComplete, c.LastTransitionTime
		}
	}
	return false, false, metav1.Time{}
}
