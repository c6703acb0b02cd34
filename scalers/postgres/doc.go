// Package postgres asks a PostgreSQL server for a number.
//
// It owns what is particular to PostgreSQL: the form of a connection string, what sslmode means, how a connection is opened and listens for NOTIFY, and what the
// server's error codes ask a person to do. No text of a user is ever joined into a connection string or a command; a connection string is read into fields, and
// anything in it that names a file, a socket or a service is refused, as is everything unknown.
//
// How a query is run and its answer read is package sqlquery's business. It knows no Kubernetes object and no replica count.
//
// # Connection poolers
//
// No prepared statement outlives its query and no session setting outlives its transaction, so pgbouncer in transaction mode needs no setting. It does not carry
// NOTIFY, though: listen needs a direct connection, or a pool in session mode.
package postgres
