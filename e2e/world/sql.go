package world

import (
	"database/sql"
	"fmt"
	"net"

	"autoscale.io/e2e/product"
	"autoscale.io/scalers/scalertest/servers"
)

// Reads is what the user of the triggers logs in with.
const Reads = "correct-horse-42"

// Exec runs statements as whoever the pool is.
func (w *World) Exec(db *sql.DB, statements ...string) {
	w.T.Helper()
	for _, statement := range statements {
		if _, err := db.ExecContext(w.T.Context(), statement); err != nil {
			w.T.Fatalf("%s: %v", statement, err)
		}
	}
}

// Postgres starts a server with a table of jobs and a user who may read it.
func (w *World) Postgres(jobs int) *servers.Postgres {
	w.T.Helper()
	server := servers.MustPostgres(w.T, servers.PostgresOptions{})
	w.Exec(server.DB(), "create table jobs (id int)", fmt.Sprintf("insert into jobs select generate_series(1, %d)", jobs),
		"create role reader login password '"+Reads+"'", "grant select on jobs to reader")
	return server
}

// SQLTrigger is a trigger on a server with a target of 1, read every half second as the user reader with the password of the Secret db.
func (w *World) SQLTrigger(address, query string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		w.T.Fatal(err)
	}
	return fmt.Sprintf("{type: postgres, host: %s, port: %s, username: reader, database: postgres, sslmode: disable, passwordFrom: {secret: db, key: password}, target: 1, interval: %s, query: %q}",
		host, port, product.TestInterval, query)
}

// CountJobs is a query for the number of jobs in the table that Postgres makes.
const CountJobs = "select count(*) from jobs"

// Count is the number of rows of the table jobs.
func (w *World) Count(db *sql.DB) (n int) {
	w.T.Helper()
	if err := db.QueryRowContext(w.T.Context(), CountJobs).Scan(&n); err != nil {
		w.T.Fatal(err)
	}
	return n
}
