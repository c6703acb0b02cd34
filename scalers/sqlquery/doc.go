// Package sqlquery is what the sources that ask a database for a number have in common.
//
// It owns the parameters of a query, the rule that an answer is one row with one finite number ≥ 0, the read-only transaction that every query runs in, the
// small pool that all users of one database share, and the joining of identical queries. It knows no wire protocol, no form of a connection string and
// no error code: those come with a [Dialect].
package sqlquery
