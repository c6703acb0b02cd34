// Package sql holds the field cases of PostgreSQL and MySQL: queries, slow and silent databases, and notifications.
//
// It owns the cases and nothing that they share: package world starts what they work with.
package sql

import "autoscale.io/e2e/world"

// Cases are the cases of this family.
func Cases() []world.Case { return sqlCases() }
