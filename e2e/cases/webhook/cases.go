// Package webhook holds the field cases of admission: validation, the label and state that the webhook adds, and workloads that it did not process.
//
// It owns the cases and nothing that they share: package world starts what they work with.
package webhook

import (
	"slices"

	"autoscale.io/e2e/world"
)

// Cases are the cases of this family.
func Cases() []world.Case {
	return slices.Concat(webhookCases(), annotationCases())
}
