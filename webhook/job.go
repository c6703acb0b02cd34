package webhook

import (
	"autoscale.io/annotations"
	"autoscale.io/annotations/schema"
)

// countField is the name in the spec under which a kind has its count; empty for a CronJob, which has none. A Job's is the number of pods that run at a time.
func countField(group, kind string) string {
	switch {
	case group == "batch" && kind == "Job":
		return "parallelism"
	case group == "batch" && kind == "CronJob":
		return ""
	}
	return "replicas"
}

func (q request) isJob() bool { return q.new.field == "parallelism" }

// queueLabel names the queue of Kueue that admits a Job, and changes its parallelism for that.
const queueLabel = "kueue.x-k8s.io/queue-name"

// ledByOther says whether another controller sets the parallelism of a Job.
func ledByOther(q request) bool {
	if !q.isJob() || q.new.Spec == nil {
		return false
	}
	manager := q.new.Spec.ManagedBy
	return q.new.Metadata.Labels[queueLabel] != "" || manager != nil && manager != "kubernetes.io/job-controller"
}

const jobMode = annotations.Prefix + "job-mode"

// templateFaults are those of an object that is to be the template of Jobs and runs by itself. A Job that is created is none of them, as it is suspended by the
// answer; but to suspend one that runs would end its pods.
func templateFaults(q request, o *object) annotations.Faults {
	text := ""
	switch {
	case o.suspended():
	case o.field == "":
		text = `"spawn" takes a suspended CronJob as the template of Jobs; want spec.suspend: true`
	case q.old != nil && !q.old.suspended():
		text = `"spawn" takes a suspended Job as the template of Jobs, and to suspend this one now would end its pods; want it on a Job that is created with it, or spec.suspend: true`
	}
	if text == "" {
		return nil
	}
	return annotations.Faults{{Key: jobMode, Problem: schema.Problem{Text: text}}}
}

// keepTemplate keeps a Job that is a template from running: it is suspended when it is created, and stays so whatever a manifest that is applied again says. Its
// parallelism is content like all the rest. A CronJob is not changed.
func keepTemplate(q request, v *verdict) {
	switch {
	case !q.isJob() || q.new.suspended():
	case q.old == nil:
		v.suspend = true
		v.warn("spec.suspend is set, since this Job is a template (autoscale.io/job-mode: spawn): it starts no pods itself, a Job is made of it for each unit of work")
	case q.old.suspended():
		v.suspend = true
		v.warn("spec.suspend stays true, since this Job is a template (autoscale.io/job-mode: spawn); to run it, remove the annotations first")
	}
}

// leaveTemplate leaves a template suspended whose annotations are removed by this request: it was never meant to run as it is.
func leaveTemplate(q request, v *verdict) {
	switch {
	case !q.old.suspended() || !q.isJob() && !q.new.suspended():
		return
	case !q.new.suspended():
		v.suspend = true
	}
	v.warn("spec.suspend stays true now that autoscale.io no longer manages this %s; to run it, set it to false", q.kind)
}
