// Package redisstreams counts the work that waits in a Redis stream: standalone, Sentinel or Cluster.
//
// It owns the question of how many entries a consumer group has not read or not finished, and answers it without believing the server's own lag, which is
// nil or wrong after ordinary use (a group created with $, XDEL, XTRIM, MAXLEN). An answer that cannot be proved is an error, never 0.
//
// It sends read-only commands alone: XINFO GROUPS and XINFO STREAM, or XLEN; XRANGE when entries must be counted one by one; XPENDING for the measure lag; ROLE.
// No script, no INFO, no write. It knows no Kubernetes object, no replica count and no other source.
//
// # Permissions
//
// What a user of the server needs, by measure, for a stream named orders. HELLO and AUTH, which open a connection, need no permission.
//
//	backlog   +xinfo|groups +xinfo|stream +xrange ~orders
//	lag       +xinfo|groups +xinfo|stream +xrange +xpending ~orders
//	pending   +xinfo|groups ~orders
//	length    +xlen ~orders
//
// On Redis Cluster also +cluster|slots. +role is optional everywhere: with it a replica that is cut off from its master, or still copying from it, is told
// from a stream that does not exist.
package redisstreams
