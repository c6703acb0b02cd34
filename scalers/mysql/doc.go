// Package mysql asks a MySQL or MariaDB server for a number.
//
// It owns what is particular to MySQL: the form of a connection string, how a connection is opened and secured, what a query may not hold beside the read-only
// transaction's own refusals, and what the server's error numbers ask a person to do. The driver gets fields, never a connection string; of a connection string only
// the server, the user and the database are taken, so that none of its switches, such as several statements or local files, can be turned on.
//
// How a query is run and its answer read is package sqlquery's business. It knows no Kubernetes object and no replica count.
package mysql
