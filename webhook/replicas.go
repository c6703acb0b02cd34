package webhook

import (
	"slices"
	"time"

	"autoscale.io/annotations"
)

// keepReplicas undoes a change of the count by anybody but the autoscaler: a manifest that is applied again, or one whose replicas were dropped, the
// request that adopts included. Bounds that change in the same request hold at once.
func (r Reviewer) keepReplicas(q request, workload annotations.Workload, v *verdict) {
	settings := workload.Settings
	live, ok := q.old.replicas()
	asked, okNew := q.new.replicas()
	if !ok || !okNew {
		return
	}
	if settings.DryRun {
		// A dry run writes no replicas, so the manifest's count is in force.
		if asked != live {
			v.warn("spec.%s goes from %d to %d as asked, since autoscale.io/dry-run is on; without it, it would stay at %d", q.new.field, live, asked, live)
		}
		return
	}
	kept := live
	// Where schedules change the bounds too, it is the loop that knows which hold.
	if len(workload.Schedules) == 0 && !paused(settings, q.now) && r.boundsMoved(q, settings) {
		kept = within(settings, live, q.old)
	}
	if q.isJob() {
		kept = max(kept, live) // lower is for the loop, which ends no pod
	}
	if asked == kept {
		// A custom kind has no default in its place, and its scale would read as zero.
		if q.new.writtenReplicas() == nil && q.old.writtenReplicas() != nil {
			v.replicas = &kept
		}
		return
	}
	v.replicas = &kept
	switch {
	case kept == live:
		v.warn("spec.%s stays at %d instead of %d, since autoscale.io manages it: leave %s out of the manifest; to change the count use %sautoscale.io/pause or the bounds",
			q.new.field, kept, asked, q.new.field, orScale(q))
	case asked == live:
		v.warn("spec.%s goes from %d to %d, the nearest count within the new bounds %d to %d", q.new.field, live, kept, settings.MinReplicas, settings.MaxReplicas)
	default:
		v.warn("spec.%s goes from %d to %d instead of %d, the count nearest to the live one within the new bounds %d to %d; autoscale.io manages it",
			q.new.field, live, kept, asked, settings.MinReplicas, settings.MaxReplicas)
	}
}

func paused(s annotations.Settings, now time.Time) bool {
	return s.Pause.Mode != annotations.PauseOff && (s.PauseUntil == nil || s.PauseUntil.After(now))
}

// boundsMoved says whether the request changes the bounds of an object that had sound ones, and then it has sound ones still, or it were denied. An adoption
// does not: it holds the live count, which the loop then leads into the bounds at the pace of the behavior.
func (r Reviewer) boundsMoved(q request, s annotations.Settings) bool {
	if !boundsRewritten(q) {
		return false
	}
	before := r.decode(q, q.old)
	b := before.Workload.Settings
	return len(before.Faults) == 0 && (b.MinReplicas != s.MinReplicas || b.MaxReplicas != s.MaxReplicas || !equal(b.IdleReplicas, s.IdleReplicas))
}

// boundsRewritten compares the texts, which spares nearly every request the decoding of the old annotations.
func boundsRewritten(q request) bool {
	return slices.ContainsFunc([]string{"min-replicas", "max-replicas", "idle-replicas"}, func(name string) bool {
		key := annotations.Prefix + name
		return !equal(lookup(q.old.Metadata.Annotations, key), lookup(q.new.Metadata.Annotations, key))
	})
}

// within leads the live count into the bounds. A zero that a person set stays, and an idle count is not below the floor.
func within(s annotations.Settings, live int32, old *object) int32 {
	if state, _ := stateOf(old); live == 0 && !state.Zero {
		return 0
	}
	floor := s.MinReplicas
	if s.IdleReplicas != nil {
		floor = *s.IdleReplicas
	}
	return min(max(live, floor), s.MaxReplicas)
}

// leaveReplicas sets the count of an object whose annotations are removed by this request. What the state says is read from the old object, as a person
// removes all annotations of the prefix at once.
//
// A count that the request itself names is taken for meant, except for 1: that is also what Kubernetes makes of a manifest without replicas.
func leaveReplicas(q request, settings annotations.Settings, v *verdict) {
	live, ok := q.old.replicas()
	asked, okNew := q.new.replicas()
	if !ok || !okNew || asked != live && asked != defaultReplicas {
		return
	}
	if settings.DryRun {
		return
	}
	state, known := stateOf(q.old)
	if !known {
		// The loop works on labelled objects only, and there a zero is likelier its own than a person's.
		state.Zero = q.old.own().label != nil
	}
	left := annotations.CountAfterRemoval(settings.OnRemoval, state, live)
	if q.isJob() && left < live {
		left = live
		v.warn("autoscale.io/on-removal was restore, but spec.parallelism stays at %d: to lower it would end pods that run", live)
	}
	if left == asked {
		return
	}
	v.replicas = &left
	switch {
	case left == live:
		v.warn("spec.%s stays at %d instead of %d now that autoscale.io no longer manages it; to change the count use %s", q.new.field, left, asked, countTool(q))
	case live == 0 && state.Zero:
		v.warn("spec.%s goes from 0 to %d now that autoscale.io no longer manages it: a zero made by the autoscaler is not left behind", q.new.field, left)
	default:
		v.warn("spec.%s goes from %d to %d now that autoscale.io no longer manages it: autoscale.io/on-removal was restore", q.new.field, live, left)
	}
}

// countTool is what a person sets the count of a kind with: a Job has no scale subresource.
func countTool(q request) string {
	if q.isJob() {
		return "kubectl patch"
	}
	return "kubectl scale"
}

// orScale names kubectl scale among the ways to change a managed count. On a Job it is none: what it writes is an ordinary update, which is undone.
func orScale(q request) string {
	if q.isJob() {
		return ""
	}
	return "kubectl scale, "
}
