// Package managed holds the field cases of which workloads the autoscaler manages: kinds, other autoscalers, and release.
//
// It owns the cases and nothing that they share: package world starts what they work with.
package managed

import (
	"slices"

	"autoscale.io/e2e/world"
)

// Cases are the cases of this family.
func Cases() []world.Case {
	return slices.Concat(kindCases(), releaseCases(), rivalCases())
}
