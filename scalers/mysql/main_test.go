package mysql

import (
	"fmt"
	"net"
	"strings"
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
		Trigger:     func(address, more, text string) string { return trigger(at(address) + more + query(text)) },
		Connections: "select count(*) from information_schema.processlist where user = 'reader'",
	}
}

// withJobs starts a server with a table of seven rows in the database app, and a user who may read it.
func withJobs(t *testing.T, opts servers.MySQLOptions) *servers.MySQL {
	t.Helper()
	server := servers.MustMySQL(t, opts)
	sqltest.Exec(t, server.DB(), "create database app", "create table app.jobs (id int primary key, done bool not null default false, cost decimal(10, 2))",
		"insert into app.jobs (id, cost) values (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7)",
		"create user reader identified by '"+secret+"'", "grant select on app.jobs to reader")
	return server
}

// trigger is the whole of one, of these parameters.
func trigger(parameters string) string { return "{type: mysql, target: 1, " + parameters + "}" }

func open(t *testing.T, b *scalertest.Bench, parameters string, refs scalertest.Texts) *scalers.Source {
	t.Helper()
	return b.Open(t, trigger(parameters), refs)
}

// at names a server in parameters, and the user reader.
func at(address string) string {
	host, port, _ := net.SplitHostPort(address)
	return fmt.Sprintf("host: %s, port: %s, username: reader, database: app, passwordFrom: {secret: s, key: password}, ", host, port)
}

// admin makes the user of a trigger one who may do everything.
func admin(trigger string) (string, scalertest.Texts) {
	return strings.Replace(trigger, "username: reader", "username: "+servers.MySQLAdmin, 1), scalertest.Texts{"password": servers.MySQLAdminPassword}
}

func query(text string) string { return fmt.Sprintf("query: %q", text) }
