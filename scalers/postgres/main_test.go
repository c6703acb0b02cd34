package postgres

import (
	"fmt"
	"net"
	"testing"

	"autoscale.io/scalers"
	"autoscale.io/scalers/scalertest"
	"autoscale.io/scalers/scalertest/servers"
	"autoscale.io/scalers/scalertest/sqltest"
)

func TestMain(m *testing.M) { sqltest.Main(m) }

const secret = sqltest.Password

func kit() sqltest.Kit {
	return sqltest.Kit{
		Define:      Definition,
		Trigger:     func(address, more, text string) string { return trigger(at(address) + plainly + more + query(text)) },
		Connections: "select count(*) from pg_stat_activity where usename = 'reader'",
	}
}

// withJobs starts a server with a table of seven rows and a user who may read it.
func withJobs(t *testing.T, opts servers.PostgresOptions) *servers.Postgres {
	t.Helper()
	server := servers.MustPostgres(t, opts)
	sqltest.Exec(t, server.DB(), "create table jobs (id int, done bool default false, cost numeric)", "insert into jobs (id, cost) select n, n from generate_series(1, 7) n",
		"create role reader login password '"+secret+"'", "grant select on jobs to reader")
	return server
}

// trigger is the whole of one, of these parameters.
func trigger(parameters string) string { return "{type: postgres, target: 1, " + parameters + "}" }

func open(t *testing.T, b *scalertest.Bench, parameters string, refs scalertest.Texts) *scalers.Source {
	t.Helper()
	return b.Open(t, trigger(parameters), refs)
}

// at names a server in parameters, and the user reader.
func at(address string) string {
	host, port, _ := net.SplitHostPort(address)
	return fmt.Sprintf("host: %s, port: %s, username: reader, database: postgres, passwordFrom: {secret: s, key: password}, ", host, port)
}

const plainly = "sslmode: disable, "

func query(text string) string { return fmt.Sprintf("query: %q", text) }
