// Package decision holds the field cases of which replica count follows from the readings: zero, unknown triggers, fallback, pauses and odd numbers.
//
// It owns the cases and nothing that they share: package world starts what they work with.
package decision

import (
	"slices"

	"autoscale.io/e2e/world"
)

// Cases are the cases of this family.
func Cases() []world.Case {
	return slices.Concat(zeroCases(), numberCases(), decideCases(), fallbackCases(), pauseCases())
}
