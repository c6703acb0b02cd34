// Package redis holds the field cases of Redis streams: the number that a trigger reads from a real Redis server.
//
// It owns the cases and nothing that they share: package world starts what they work with.
package redis

import "autoscale.io/e2e/world"

// Cases are the cases of this family.
func Cases() []world.Case { return redisCases() }
