package target

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// queueLabel names the queue of Kueue that admits a Job.
const queueLabel = "kueue.x-k8s.io/queue-name"

// leftAlone says in a sentence why the parallelism of a Job is not to be touched, since it means nothing or is another's; empty when it may be.
func leftAlone(job *batchv1.Job) string {
	if manager := job.Spec.ManagedBy; manager != nil && *manager != batchv1.JobControllerName {
		return fmt.Sprintf("%s manages this Job (spec.managedBy), so its parallelism is left alone", *manager)
	}
	if queue := job.Labels[queueLabel]; queue != "" {
		return fmt.Sprintf("Kueue admits this Job (label %s: %s) and would suspend it when its parallelism changes, which is therefore left alone", queueLabel, queue)
	}
	if text := ended(job); text != "" {
		return text
	}
	if job.Spec.Suspend != nil && *job.Spec.Suspend {
		return "the Job is suspended; its parallelism is left alone until spec.suspend is false"
	}
	if job.Spec.Completions == nil && succeeded(job) {
		return "a pod has succeeded, and a Job without completions starts no pods after that"
	}
	return ""
}

// ended says how a Job has ended, or is about to once its last pods have gone.
func ended(job *batchv1.Job) string {
	for _, c := range job.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case batchv1.JobComplete, batchv1.JobSuccessCriteriaMet:
			return "the Job is complete and starts no more pods"
		case batchv1.JobFailed, batchv1.JobFailureTarget:
			return fmt.Sprintf("the Job has failed (%s) and starts no more pods", c.Reason)
		}
	}
	return ""
}

// succeeded says whether a pod has succeeded, counted by the Job controller or not yet.
func succeeded(job *batchv1.Job) bool {
	u := job.Status.UncountedTerminatedPods
	return job.Status.Succeeded > 0 || u != nil && len(u.Succeeded) > 0
}
