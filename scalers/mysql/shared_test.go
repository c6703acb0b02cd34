package mysql

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"autoscale.io/scalers"
	"autoscale.io/scalers/scalertest"
	"autoscale.io/scalers/scalertest/servers"
	"autoscale.io/scalers/scalertest/sqltest"
	"autoscale.io/scalers/sqlquery"
)

// On one server: MY-05 and SP-06, PG-11, the deadline on the server, AU-01.
func TestShared(t *testing.T) {
	server := withJobs(t, servers.MySQLOptions{})
	t.Run("MY-05 one workload holds one connection, whatever is edited", func(t *testing.T) { oneConnection(t, server) })
	t.Run("many workloads share few connections", func(t *testing.T) {
		kit().ManyShareFew(t, server, "", "select count(*) + sleep(0.5) from (select 1) one", 1)
	})
	t.Run("PG-10 and SP-06 nothing is left open", func(t *testing.T) { kit().NothingIsLeftOpen(t, server) })
	t.Run("the server ends the query", func(t *testing.T) { timeoutOnTheServer(t, server) })
	t.Run("no TLS where it is wanted", func(t *testing.T) {
		source := open(t, kit().Bench(t), at(server.Addr())+"tls: {enabled: true}, "+query("select 1"), sqltest.WithPassword())
		scalertest.WantError(t, source, "the server does not offer TLS; turn it on there, or remove the tls parameters to send everything in plain text")
	})
	t.Run("PG-11 a frozen server", func(t *testing.T) { frozenServer(t, server) })
	t.Run("AU-01 a rotated password", func(t *testing.T) { rotatedPassword(t, server) })
}

func oneConnection(t *testing.T, server *servers.MySQL) {
	b := kit().Bench(t)
	current := open(t, b, at(server.Addr())+query("select count(*) from jobs"), sqltest.WithPassword())
	for i := range 50 {
		scalertest.WantValue(t, current, 7)
		// An edit: the new trigger is opened before the old one is closed.
		next := open(t, b, at(server.Addr())+fmt.Sprintf("activation: %d, ", i)+query("select count(*) from jobs"), sqltest.WithPassword())
		if err := current.Close(); err != nil {
			t.Error(err)
		}
		current = next
		if n := sqltest.Number(t, server, kit().Connections); n != 1 {
			t.Fatalf("%d connections after edit %d, want 1", n, i)
		}
	}
	if n := b.Dials(); n != 1 {
		t.Errorf("dialled %d times, want once", n)
	}
	if err := current.Close(); err != nil {
		t.Error(err)
	}
	sqltest.AwaitNumber(t, server, kit().Connections, 0)
}

func timeoutOnTheServer(t *testing.T, server *servers.MySQL) {
	kit().EndsOnTheServer(t, server, "select count(*) + sleep(60) from (select 1) one",
		"select count(*) from information_schema.processlist where user = 'reader' and info like '%sleep(60)%'",
		"the query ran longer than the trigger's timeout and was cancelled: Error 1969 (70100): Query execution was interrupted (max_statement_time exceeded)")
}

func frozenServer(t *testing.T, server *servers.MySQL) {
	source := open(t, kit().Bench(t), at(server.Addr())+query("select count(*) from jobs"), sqltest.WithPassword())
	scalertest.WantValue(t, source, 7)
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	sqltest.NoAnswerInTime(t, source)
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	scalertest.AwaitValue(t, source, 7)
}

func rotatedPassword(t *testing.T, server *servers.MySQL) {
	kit().RotatedPassword(t, server, "alter user reader identified by '%s'", "kill connection user reader",
		"the server refused user reader or the password, or it wants TLS (tls.enabled: true): Error 1045 (28000): Access denied for user 'reader'@'127.0.0.1' (using password: YES)")
}

// MY-03: after a failover behind one name the connections to the old server, which still answers, end by age.
func TestFailoverBehindOneName(t *testing.T) {
	old, fresh := withJobs(t, servers.MySQLOptions{}), withJobs(t, servers.MySQLOptions{})
	sqltest.Exec(t, old.DB(), "set global read_only = 1")
	sqltest.Exec(t, fresh.DB(), "insert into app.jobs (id) values (8)")
	limits := sqlquery.DefaultLimits()
	limits.Age = 300 * time.Millisecond
	b := scalertest.NewBench(t, func(env scalers.Env) scalers.Definition { return definition(env, limits) })
	b.Redirect(old.Addr())
	source := open(t, b, "host: db, username: reader, database: app, passwordFrom: {secret: s, key: password}, "+query("select count(*) from jobs"), sqltest.WithPassword())
	scalertest.WantValue(t, source, 7)
	b.Redirect(fresh.Addr())
	scalertest.AwaitValue(t, source, 8)
}

// MY-08: two servers with authorities of their own at the same time, and one that gets a new authority.
func TestTLS(t *testing.T) {
	first, second := sqltest.PEM(t), sqltest.PEM(t)
	one := withJobs(t, servers.MySQLOptions{TLS: &first, Args: []string{"--require-secure-transport=ON"}})
	two := withJobs(t, servers.MySQLOptions{TLS: &second})
	b := kit().Bench(t)
	refs := scalertest.Texts{"password": secret, "first": first.CA, "second": second.CA, "wrong": "canary-8d1f7", "dsn": "reader:" + secret + "@tcp(" + two.Addr() + ")/app?tls=true"}
	count := query("select count(*) from jobs")
	ca := func(key string) string { return "tls: {caFrom: {secret: s, key: " + key + "}}, " }
	scalertest.WantValue(t, open(t, b, at(one.Addr())+ca("first")+count, refs), 7)
	scalertest.WantValue(t, open(t, b, at(two.Addr())+ca("second")+count, refs), 7)
	scalertest.WantValue(t, open(t, b, "connectionFrom: {secret: s, key: dsn}, "+ca("second")+count, refs), 7)
	scalertest.WantValue(t, open(t, b, at(two.Addr())+"tls: {insecureSkipVerify: true}, "+count, refs), 7)
	const untrusted = "the server's certificate is of an authority that is not trusted; give its certificate as tls.caFrom: tls: failed to verify certificate: x509: certificate signed by unknown authority"
	const other = untrusted + ` (possibly because of "x509: ECDSA verification failure" while trying to verify candidate authority certificate "test authority")`
	for trigger, want := range map[string]string{
		at(one.Addr()) + ca("second"):             other,
		at(two.Addr()) + ca("first"):              other,
		at(one.Addr()) + "tls: {enabled: true}, ": untrusted,
		at(one.Addr()):                            "the server refused user reader or the password, or it wants TLS (tls.enabled: true): Error 1045 (28000): Access denied for user 'reader'@'127.0.0.1' (using password: YES)",
		at(one.Addr()) + "tls: {serverName: elsewhere, caFrom: {secret: s, key: first}}, ":    "the server's certificate is for another name; set tls.serverName: tls: failed to verify certificate: x509: certificate is valid for localhost, not elsewhere",
		strings.Replace(at(two.Addr()), "key: password", "key: wrong", 1) + ca("second"):      "the server refused user reader or the password: Error 1045 (28000): Access denied for user 'reader'@'127.0.0.1' (using password: YES)",
		strings.Replace(at(two.Addr()), "database: app", "database: other", 1) + ca("second"): "user reader may not use the database; grant it with: GRANT SELECT ON other.… TO reader: Error 1044 (42000): Access denied for user 'reader'@'%' to database 'other'",
	} {
		source := open(t, b, trigger+count, refs)
		scalertest.WantError(t, source, want)
	}
	// The rotated authority is used as soon as the trigger is opened with it; the old one is not trusted any more.
	refs["first"] = second.CA
	scalertest.WantValue(t, open(t, b, at(two.Addr())+ca("first")+count, refs), 7)
	scalertest.WantError(t, open(t, b, at(one.Addr())+ca("first")+count, refs), other)
}
