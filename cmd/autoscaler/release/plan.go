package release

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/annotations"
	"autoscale.io/scaling/controller"
	"autoscale.io/scaling/target"
)

// plan is what becomes of one workload.
type plan struct {
	// template says that the object has no count: Jobs are made of it.
	template bool
	job      bool
	// from and to are the counts now and afterwards, and before is that from before adoption, nil when unknown.
	from, to int32
	before   *int32
	// kept says why the count from before is not put back although that was asked for; empty when it is.
	kept string
}

// planFor decides. restore asks for the count from before adoption, as the workload's own on-removal may do.
func planFor(kind controller.Kind, object *metav1.PartialObjectMetadata, settings annotations.Settings, live target.Scale, restore bool) plan {
	p := plan{
		job:      target.IsJob(kind.Resource),
		template: kind.Group == batchv1.GroupName && (kind.Kind == "CronJob" || settings.JobMode == annotations.JobSpawn),
		from:     live.Replicas, to: live.Replicas,
	}
	if p.template {
		return p
	}
	state, known := annotations.ReadState(object.Annotations, object.UID)
	p.before = state.Replicas
	if !known {
		state.Zero = true // nobody can tell any more who made a zero
	}
	if !restore && settings.OnRemoval != "restore" {
		return p
	}
	to := annotations.CountAfterRemoval("restore", state, live.Replicas)
	switch {
	case to == live.Replicas:
	case settings.DryRun:
		p.kept = "autoscale.io/dry-run is set"
	case live.LeftAlone != "":
		p.kept = live.LeftAlone
	case p.job && to < live.Replicas:
		p.kept = "to lower it would end pods that run"
	default:
		p.to = to
	}
	return p
}

// String says what becomes of the count.
func (p plan) String() string {
	unit := "replicas"
	if p.job {
		unit = "parallelism"
	}
	switch {
	case p.template:
		return "a template of Jobs, which stays suspended"
	case p.to != p.from:
		return fmt.Sprintf("%s: %d → %d", unit, p.from, p.to)
	case p.kept != "":
		return fmt.Sprintf("%s: %d (not restored: %s)", unit, p.from, p.kept)
	case p.to == 0 && p.before != nil:
		return fmt.Sprintf("%s: 0 (%d before the autoscaler)", unit, *p.before)
	}
	return fmt.Sprintf("%s: %d", unit, p.to)
}

// asleep says that the workload is left at 0.
func (p plan) asleep() bool { return !p.template && p.to == 0 }
