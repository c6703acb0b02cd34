// Package security holds the field cases of what a user or a stolen token could reach: egress, Secrets and the fields that the autoscaler may write.
//
// It owns the cases and nothing that they share: package world starts what they work with.
package security

import (
	"slices"

	"autoscale.io/e2e/world"
)

// Cases are the cases of this family.
func Cases() []world.Case {
	return slices.Concat(egressCases(), fenceCases(), secretCases())
}
