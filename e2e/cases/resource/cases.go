// Package resource holds the field cases of CPU and memory triggers.
//
// It owns the cases and nothing that they share: package world starts what they work with.
package resource

import "autoscale.io/e2e/world"

// Cases are the cases of this family.
func Cases() []world.Case { return resourceCases() }
