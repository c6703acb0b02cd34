// Package fleet holds the field cases of many workloads at once: speed, memory, connections and requests to the API server.
//
// It owns the cases and nothing that they share: package world starts what they work with.
package fleet

import "autoscale.io/e2e/world"

// Cases are the cases of this family.
func Cases() []world.Case { return fleetCases() }
