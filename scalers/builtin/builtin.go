// Package builtin is the list of the sources that the autoscaler ships with: one line each. It knows them all, so that nobody else has to; it owns nothing.
package builtin

import (
	"autoscale.io/scalers"
	"autoscale.io/scalers/mysql"
	"autoscale.io/scalers/postgres"
	"autoscale.io/scalers/redisstreams"
	"autoscale.io/scalers/resource"
)

// Registry returns a new registry of all sources. With a zero Env it can decode triggers, which is all that admission and
// documentation need.
func Registry(env scalers.Env) (*scalers.Registry, error) {
	return scalers.NewRegistry(
		resource.CPU(env),
		resource.Memory(env),
		mysql.Definition(env),
		postgres.Definition(env),
		redisstreams.Definition(env),
	)
}
