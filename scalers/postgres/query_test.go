package postgres

import (
	"strings"
	"testing"

	"autoscale.io/scalers/scalertest"
	"autoscale.io/scalers/scalertest/servers"
	"autoscale.io/scalers/scalertest/sqltest"
)

func TestContract(t *testing.T) {
	server := withJobs(t, servers.PostgresOptions{})
	scalertest.Run(t, scalertest.Suite{
		Definition: Definition,
		Address:    server.Addr(),
		Trigger:    "{type: postgresql, host: HOST, port: PORT, userName: reader, passwordFrom: SECRET, dbName: postgres, sslmode: disable, query: select count(*) from jobs, targetQueryValue: 1}",
		Password:   secret,
		Want:       7,
	})
}

// On one server, as starting one takes a while.
func TestQueries(t *testing.T) {
	server := withJobs(t, servers.PostgresOptions{})
	t.Run("answers", func(t *testing.T) { answers(t, server) })
	t.Run("PG-06 and PG-07 nothing is written", func(t *testing.T) { nothingIsWritten(t, server) })
	t.Run("the server ends the query", func(t *testing.T) { timeoutOnTheServer(t, server) })
	t.Run("a standby's cancel is retried once", func(t *testing.T) { standbyCancel(t, server) })
	t.Run("PG-08 NULL follows the table", func(t *testing.T) { nullFollowsTheTable(t, server) })
}

// PG-08 among them: NULL is what nullAs says. Whatever is not one finite number ≥ 0 is an error that names the shape.
func answers(t *testing.T, server *servers.Postgres) {
	const one = "; want exactly one row with one number, such as the answer of select count(*)"
	kit().Answers(t, server, []sqltest.Answer{
		{Query: "select count(*) from jobs", Value: 7},
		{Query: "select count(*) from jobs;", Value: 7},
		{Query: "-- how many\n/* are */ ( select count(*) from jobs )", Value: 7},
		{Query: "with open as (select * from jobs) select count(*) from open", Value: 7},
		{Query: "values (3)", Value: 3},
		{Query: "select 1.5::float4", Value: 1.5},
		{Query: "select 2.25::numeric", Value: 2.25},
		{Query: "select 3::int2", Value: 3},
		{Query: "select 1e308::float8", Value: 1e308},
		{Query: "select '-0'::float8", Value: 0},
		{Query: "select sum(cost) from jobs where done", Value: 0, Note: "the query answered NULL; it counts as 0"},
		{Query: "select sum(cost) from jobs where done", More: "nullAs: 2.5, ", Value: 2.5, Note: "the query answered NULL; it counts as 2.5"},
		{Query: "select null", Value: 0, Note: "the query answered NULL; it counts as 0"},
		{Query: "select sum(cost) from jobs where done", More: "nullAs: unknown, ", Fault: "the query answered NULL, which nullAs makes unknown; want a number, such as coalesce(sum(cost), 0)"},
		{Query: "select 'NaN'::float8", Fault: "the query answered NaN; want a finite number ≥ 0"},
		{Query: "select 'NaN'::numeric", Fault: "the query answered NaN; want a finite number ≥ 0"},
		{Query: "select 'Infinity'::float8", Fault: "the query answered +Inf; want a finite number ≥ 0"},
		{Query: "select '-Infinity'::numeric", Fault: "the query answered -Infinity; want a finite number ≥ 0"},
		{Query: "select -5", Fault: "the query answered -5; want a finite number ≥ 0"},
		{Query: "select 1e400::numeric", Fault: "the query answered 100000000000000000000000000000…; want a finite number ≥ 0"},
		{Query: "select 1 where false", Fault: "the query answered no row" + one},
		{Query: "select id from jobs", Fault: "the query answered more than one row" + one},
		{Query: "select generate_series(1, 1000000000)", Fault: "the query answered more than one row" + one},
		{Query: "select 1, 2", Fault: "the query answered 2 columns" + one},
		{Query: "select", Fault: "the query answered 0 columns" + one},
		{Query: "select '5'::text", Fault: "the query answered a value of type TEXT; want a number, if need be through a cast"},
		{Query: "select true", Fault: "the query answered a value of type BOOL; want a number, if need be through a cast"},
		{Query: "select now()", Fault: "the query answered a value of type TIMESTAMPTZ; want a number, if need be through a cast"},
		{Query: "select nonsense", Fault: `the server refused: ERROR: column "nonsense" does not exist (SQLSTATE 42703)`},
		{Query: "select from where", Fault: `the query is not valid SQL: ERROR: syntax error at or near "where" (SQLSTATE 42601)`},
		{Query: "select 1/0", Fault: "the server refused: ERROR: division by zero (SQLSTATE 22012)"},
		{Query: "select count(*) from pg_authid", Fault: "user reader may not read what the query reads; grant it with: GRANT SELECT ON … TO reader: ERROR: permission denied for table pg_authid (SQLSTATE 42501)"},
	})
}

// PG-08: a sum over no rows, some, and none again.
func nullFollowsTheTable(t *testing.T, server *servers.Postgres) {
	source := open(t, kit().Bench(t), at(server.Addr())+plainly+query("select sum(cost) from jobs where not done"), sqltest.WithPassword())
	scalertest.WantValue(t, source, 28)
	sqltest.Exec(t, server.DB(), "update jobs set done = true")
	scalertest.WantValue(t, source, 0)
	sqltest.Exec(t, server.DB(), "update jobs set done = false where id = 3")
	scalertest.WantValue(t, source, 3)
}

// PG-06 and PG-07: what writes, locks or holds more than one statement is refused and changes nothing, even for who may do everything.
func nothingIsWritten(t *testing.T, server *servers.Postgres) {
	sqltest.Exec(t, server.DB(), "create sequence s")
	b := kit().Bench(t)
	admin := strings.Replace(at(server.Addr()), "reader", servers.PostgresAdmin, 1) + plainly
	const writes, several = "the query writes or locks, which a trigger may not: ERROR: cannot execute ", "the query holds more than one statement; want one: ERROR: cannot insert multiple commands into a prepared statement (SQLSTATE 42601)"
	for text, want := range map[string]string{
		"select 1; delete from jobs":                                                  several,
		"select 1; commit; drop table jobs":                                           several,
		"select 1 /* ; */; -- more\ndelete from jobs":                                 several,
		"with gone as (delete from jobs returning id) select count(*) from gone":      writes + "SELECT in a read-only transaction (SQLSTATE 25006)",
		"with u as (update jobs set done = true returning id) select count(*) from u": writes + "SELECT in a read-only transaction (SQLSTATE 25006)",
		"with i as (insert into jobs values (8) returning id) select count(*) from i": writes + "SELECT in a read-only transaction (SQLSTATE 25006)",
		"select nextval('s')":                                                         writes + "nextval() in a read-only transaction (SQLSTATE 25006)",
		"select id from jobs where id = 1 for update":                                 writes + "SELECT FOR UPDATE in a read-only transaction (SQLSTATE 25006)",
		"select 1 into copied":                                                        writes + "SELECT INTO in a read-only transaction (SQLSTATE 25006)",
		"select length(set_config('transaction_read_only', 'off', false))":            "the server refused: ERROR: transaction read-write mode must be set before any query (SQLSTATE 25001)",
	} {
		source := open(t, b, admin+query(text), scalertest.Texts{"password": servers.PostgresAdminPassword})
		scalertest.WantError(t, source, want)
	}
	// What a query sets for the session goes with its transaction.
	source := open(t, b, admin+query("select length(set_config('statement_timeout', '77', false)) + length(set_config('default_transaction_read_only', 'off', false))"), scalertest.Texts{"password": servers.PostgresAdminPassword})
	scalertest.WantValue(t, source, 7)
	scalertest.WantValue(t, open(t, b, admin+query("select count(*) from pg_settings where name = 'statement_timeout' and setting = '77'"), scalertest.Texts{"password": servers.PostgresAdminPassword}), 0)
	scalertest.WantValue(t, open(t, b, at(server.Addr())+plainly+query("select count(*) from jobs where not done"), sqltest.WithPassword()), 7)
}

// PG-07: statements that a read-only transaction lets pass never reach the server.
func TestStatementsThatDoNotReadAreFaults(t *testing.T) {
	b := kit().Bench(t)
	for text, word := range map[string]string{
		"update jobs set done = true returning id": "UPDATE", "delete from jobs": "DELETE", "insert into jobs values (1) returning 1": "INSERT",
		"copy (select 1) to program 'sh'": "COPY", "call p()": "CALL", "do $$ begin end $$": "DO", "set role postgres": "SET", "commit": "COMMIT",
		"/* select */ truncate jobs": "TRUNCATE", "explain analyze select 1": "EXPLAIN", "-- select\nlisten x": "LISTEN",
	} {
		faults := b.Decode(trigger("host: h, username: u, " + query(text))).Faults.Texts()
		want := "autoscale.io/trigger.t: query: starts with " + word + "; want one statement that reads, such as select count(*) from jobs"
		if len(faults) != 1 || faults[0] != want {
			t.Errorf("%s:\ngot  %q\nwant %s", text, faults, want)
		}
	}
	for _, text := range []string{"/* /* */ select */ copy (select 1) to program 'sh'", "7"} {
		faults := b.Decode(trigger("host: h, username: u, " + query(text))).Faults.Texts()
		want := "autoscale.io/trigger.t: query: starts with no keyword; want one statement that reads, such as select count(*) from jobs"
		if len(faults) != 1 || faults[0] != want {
			t.Errorf("%s: got %q", text, faults)
		}
	}
}
