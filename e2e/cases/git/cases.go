// Package git holds the field cases of manifests that are applied again: kubectl, Helm, Argo CD, Flux, federation layers and Argo Rollouts.
//
// It owns the cases and nothing that they share: package world starts what they work with.
package git

import (
	"slices"

	"autoscale.io/e2e/world"
)

// Cases are the cases of this family.
func Cases() []world.Case {
	return slices.Concat(gitCases(), gitToolCases(), gitDuelCases(), gitBoundsCases(), customKindCases())
}
