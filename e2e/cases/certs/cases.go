// Package certs holds the field cases of the webhook's certificates, and what happens while the API server cannot reach the webhook.
//
// It owns the cases and nothing that they share: package world starts what they work with.
package certs

import (
	"slices"

	"autoscale.io/e2e/world"
)

// Cases are the cases of this family.
func Cases() []world.Case {
	return slices.Concat(certsCases(), reachCases())
}
