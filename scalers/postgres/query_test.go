package postgres

import (
	"strings"
	"testing"

	"autoscale.io/scalers"
	"autoscale.io/scalers/scalertest"
	"autoscale.io/scalers/scalertest/servers"
	"autoscale.io/scalers/sqlquery"
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
	b := newBench(t, sqlquery.DefaultLimits())
	const one = "; want exactly one row with one number, such as the answer of select count(*)"
	for _, test := range []struct {
		query, more string
		value       float64
		note, fault string
	}{
		{query: "select count(*) from jobs", value: 7},
		{query: "select count(*) from jobs;", value: 7},
		{query: "-- how many\n/* are */ ( select count(*) from jobs )", value: 7},
		{query: "with open as (select * from jobs) select count(*) from open", value: 7},
		{query: "values (3)", value: 3},
		{query: "select 1.5::float4", value: 1.5},
		{query: "select 2.25::numeric", value: 2.25},
		{query: "select 3::int2", value: 3},
		{query: "select 1e308::float8", value: 1e308},
		{query: "select '-0'::float8", value: 0},
		{query: "select sum(cost) from jobs where done", value: 0, note: "the query answered NULL; it counts as 0"},
		{query: "select sum(cost) from jobs where done", more: "nullAs: 2.5", value: 2.5, note: "the query answered NULL; it counts as 2.5"},
		{query: "select null", value: 0, note: "the query answered NULL; it counts as 0"},
		{query: "select sum(cost) from jobs where done", more: "nullAs: unknown", fault: "the query answered NULL, which nullAs makes unknown; want a number, such as coalesce(sum(cost), 0)"},
		{query: "select 'NaN'::float8", fault: "the query answered NaN; want a finite number ≥ 0"},
		{query: "select 'NaN'::numeric", fault: "the query answered NaN; want a finite number ≥ 0"},
		{query: "select 'Infinity'::float8", fault: "the query answered +Inf; want a finite number ≥ 0"},
		{query: "select '-Infinity'::numeric", fault: "the query answered -Infinity; want a finite number ≥ 0"},
		{query: "select -5", fault: "the query answered -5; want a finite number ≥ 0"},
		{query: "select 1e400::numeric", fault: "the query answered 100000000000000000000000000000…; want a finite number ≥ 0"},
		{query: "select 1 where false", fault: "the query answered no row" + one},
		{query: "select id from jobs", fault: "the query answered more than one row" + one},
		{query: "select generate_series(1, 1000000000)", fault: "the query answered more than one row" + one},
		{query: "select 1, 2", fault: "the query answered 2 columns" + one},
		{query: "select", fault: "the query answered 0 columns" + one},
		{query: "select '5'::text", fault: "the query answered a value of type TEXT; want a number, if need be through a cast"},
		{query: "select true", fault: "the query answered a value of type BOOL; want a number, if need be through a cast"},
		{query: "select now()", fault: "the query answered a value of type TIMESTAMPTZ; want a number, if need be through a cast"},
		{query: "select nonsense", fault: `the server refused: ERROR: column "nonsense" does not exist (SQLSTATE 42703)`},
		{query: "select from where", fault: `the query is not valid SQL: ERROR: syntax error at or near "where" (SQLSTATE 42601)`},
		{query: "select 1/0", fault: "the server refused: ERROR: division by zero (SQLSTATE 22012)"},
		{query: "select count(*) from pg_authid", fault: "user reader may not read what the query reads; grant it with: GRANT SELECT ON … TO reader: ERROR: permission denied for table pg_authid (SQLSTATE 42501)"},
	} {
		more := ""
		if test.more != "" {
			more = test.more + ", "
		}
		source := b.open(t, at(server.Addr())+plainly+more+query(test.query), withPassword())
		if test.fault != "" {
			wantError(t, source, test.fault)
			continue
		}
		if reading, err := source.Read(within(t)); err != nil || reading != (scalers.Reading{Value: test.value, Note: test.note}) {
			t.Errorf("%s: got %+v, %v", test.query, reading, err)
		}
	}
}

// PG-08: a sum over no rows, some, and none again.
func nullFollowsTheTable(t *testing.T, server *servers.Postgres) {
	source := newBench(t, sqlquery.DefaultLimits()).open(t, at(server.Addr())+plainly+query("select sum(cost) from jobs where not done"), withPassword())
	wantValue(t, source, 28)
	exec(t, server.DB(), "update jobs set done = true")
	wantValue(t, source, 0)
	exec(t, server.DB(), "update jobs set done = false where id = 3")
	wantValue(t, source, 3)
}

// PG-06 and PG-07: what writes, locks or holds more than one statement is refused and changes nothing, even for who may do everything.
func nothingIsWritten(t *testing.T, server *servers.Postgres) {
	exec(t, server.DB(), "create sequence s")
	b := newBench(t, sqlquery.DefaultLimits())
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
		source := b.open(t, admin+query(text), texts{"password": servers.PostgresAdminPassword})
		wantError(t, source, want)
	}
	// What a query sets for the session goes with its transaction.
	source := b.open(t, admin+query("select length(set_config('statement_timeout', '77', false)) + length(set_config('default_transaction_read_only', 'off', false))"), texts{"password": servers.PostgresAdminPassword})
	wantValue(t, source, 7)
	wantValue(t, b.open(t, admin+query("select count(*) from pg_settings where name = 'statement_timeout' and setting = '77'"), texts{"password": servers.PostgresAdminPassword}), 0)
	wantValue(t, b.open(t, at(server.Addr())+plainly+query("select count(*) from jobs where not done"), withPassword()), 7)
}

// PG-07: statements that a read-only transaction lets pass never reach the server.
func TestStatementsThatDoNotReadAreFaults(t *testing.T) {
	b := newBench(t, sqlquery.DefaultLimits())
	for text, word := range map[string]string{
		"update jobs set done = true returning id": "UPDATE", "delete from jobs": "DELETE", "insert into jobs values (1) returning 1": "INSERT",
		"copy (select 1) to program 'sh'": "COPY", "call p()": "CALL", "do $$ begin end $$": "DO", "set role postgres": "SET", "commit": "COMMIT",
		"/* select */ truncate jobs": "TRUNCATE", "explain analyze select 1": "EXPLAIN", "-- select\nlisten x": "LISTEN",
	} {
		faults := decode(t, b, "host: h, username: u, "+query(text)).Faults.Texts()
		want := "autoscale.io/trigger.t: query: starts with " + word + "; want one statement that reads, such as select count(*) from jobs"
		if len(faults) != 1 || faults[0] != want {
			t.Errorf("%s:\ngot  %q\nwant %s", text, faults, want)
		}
	}
	for _, text := range []string{"/* /* */ select */ copy (select 1) to program 'sh'", "7"} {
		faults := decode(t, b, "host: h, username: u, "+query(text)).Faults.Texts()
		want := "autoscale.io/trigger.t: query: starts with no keyword; want one statement that reads, such as select count(*) from jobs"
		if len(faults) != 1 || faults[0] != want {
			t.Errorf("%s: got %q", text, faults)
		}
	}
}
