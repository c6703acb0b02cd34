// Package jobs holds the field cases of Jobs and CronJobs: resize mode, spawn mode, and the permissions that they need.
//
// It owns the cases and nothing that they share: package world starts what they work with.
package jobs

import (
	"slices"

	"autoscale.io/e2e/world"
)

// Cases are the cases of this family.
func Cases() []world.Case {
	return slices.Concat(jobResizeCases(), jobRightsCases(), spawnCases())
}
