package annotations

import "strings"

// GroupOf is the API group of an apiVersion; empty for the core group.
func GroupOf(apiVersion string) string {
	group, _, found := strings.Cut(apiVersion, "/")
	if !found {
		return ""
	}
	return group
}

// ScalableOwner says whether a controller owner of that kind is scaled itself. A child inherits its annotations (a ReplicaSet those of its Deployment)
// and must not be scaled a second time.
func ScalableOwner(apiVersion, kind string) bool {
	switch GroupOf(apiVersion) {
	case "apps":
		return kind == "Deployment" || kind == "StatefulSet" || kind == "ReplicaSet"
	case "batch":
		return kind == "Job" || kind == "CronJob"
	}
	return false
}

// CountAfterRemoval is the count that a workload is left with when its annotations go: what is live, or with on-removal "restore" the
// count from before adoption. A zero that the autoscaler made is never left behind: it becomes the count from before adoption, at least 1.
func CountAfterRemoval(onRemoval string, state State, live int32) int32 {
	before := live
	if state.Replicas != nil {
		before = *state.Replicas
	}
	switch {
	case live == 0 && state.Zero:
		return max(before, 1)
	case onRemoval == "restore":
		return before
	}
	return live
}
