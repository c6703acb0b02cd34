// Package ha holds the field cases of several replicas of the autoscaler: Leases, takeover, outages of the API server and upgrades.
//
// It owns the cases and nothing that they share: package world starts what they work with.
package ha

import "autoscale.io/e2e/world"

// Cases are the cases of this family.
func Cases() []world.Case { return haCases() }
