package mysql

import (
	"os"
	"strings"
	"testing"

	"autoscale.io/scalers"
	"autoscale.io/scalers/scalertest"
	"autoscale.io/scalers/scalertest/servers"
	"autoscale.io/scalers/sqlquery"
)

func TestContract(t *testing.T) {
	server := withJobs(t, servers.MySQLOptions{})
	scalertest.Run(t, scalertest.Suite{
		Definition: Definition,
		Address:    server.Addr(),
		Trigger:    "{type: mysql, host: HOST, port: PORT, username: reader, passwordFrom: SECRET, dbName: app, query: select count(*) from jobs, queryValue: 1}",
		Password:   secret,
		Want:       7,
	})
}

// PG-06, PG-07 and PG-08 for MySQL: one number, NULL as nullAs says, an error for everything else, and nothing is ever written.
func TestQueries(t *testing.T) {
	server := withJobs(t, servers.MySQLOptions{})
	b := newBench(t, sqlquery.DefaultLimits())
	t.Run("answers", func(t *testing.T) { answers(t, server, b) })
	t.Run("PG-07 nothing is written", func(t *testing.T) { nothingIsWritten(t, server, b) })
	t.Run("the least privileged user", func(t *testing.T) { leastPrivilegedUser(t, server, b) })
}

func answers(t *testing.T, server *servers.MySQL, b *bench) {
	const one = "; want exactly one row with one number, such as the answer of select count(*)"
	for _, test := range []struct {
		query, more string
		value       float64
		note, fault string
	}{
		{query: "select count(*) from jobs", value: 7},
		{query: "select count(*) from jobs;", value: 7},
		{query: "# how many\n/* are */ (select count(*) from jobs)", value: 7},
		{query: "with open as (select * from jobs) select count(*) from open", value: 7},
		{query: "values (3)", value: 3},
		{query: "select sum(cost) from jobs", value: 28},
		{query: "select avg(id) from jobs", value: 4},
		{query: "select 1.5e0", value: 1.5},
		{query: "select cast(3 as unsigned)", value: 3},
		{query: "select 18446744073709551615", value: 18446744073709551615},
		{query: "select true", value: 1},
		{query: "select 1e308", value: 1e308},
		{query: "select sum(cost) from jobs where done", note: "the query answered NULL; it counts as 0"},
		{query: "select null", note: "the query answered NULL; it counts as 0"},
		{query: "select sum(cost) from jobs where done", more: "nullAs: 2.5, ", value: 2.5, note: "the query answered NULL; it counts as 2.5"},
		{query: "select sum(cost) from jobs where done", more: "nullAs: unknown, ", fault: "the query answered NULL, which nullAs makes unknown; want a number, such as coalesce(sum(cost), 0)"},
		{query: "select -5", fault: "the query answered -5; want a finite number ≥ 0"},
		{query: "select id from jobs where id > 100", fault: "the query answered no row" + one},
		{query: "select id from jobs", fault: "the query answered more than one row" + one},
		{query: "select a.id from jobs a, jobs b, jobs c, jobs d, jobs e, jobs f, jobs g, jobs h", fault: "the query answered more than one row" + one},
		{query: "select 1, 2", fault: "the query answered 2 columns" + one},
		{query: "select '5'", fault: "the query answered a value of type VARCHAR; want a number, if need be through a cast"},
		{query: "select now()", fault: "the query answered a value of type DATETIME; want a number, if need be through a cast"},
		{query: "select nonsense", fault: "the server refused: Error 1054 (42S22): Unknown column 'nonsense' in 'SELECT'"},
		{query: "select count(*) from mysql.global_priv", fault: "user reader may not read what the query reads; grant it with: GRANT SELECT ON … TO reader: " +
			"Error 1142 (42000): SELECT command denied to user 'reader'@'127.0.0.1' for table `mysql`.`global_priv`"},
	} {
		source := b.open(t, at(server.Addr())+test.more+query(test.query), withPassword())
		if test.fault != "" {
			wantError(t, source, test.fault)
			continue
		}
		if reading, err := source.Read(within(t)); err != nil || reading != (scalers.Reading{Value: test.value, Note: test.note}) {
			t.Errorf("%s: got %+v, %v", test.query, reading, err)
		}
	}
}

// What writes, locks or holds more than one statement is refused and changes nothing, even for who may do everything.
func nothingIsWritten(t *testing.T, server *servers.MySQL, b *bench) {
	exec(t, server.DB(), "create sequence app.s", "create procedure app.p() begin delete from app.jobs; select 1; end",
		"create function app.f() returns int begin delete from app.jobs; return 1; end")
	trigger, refs := admin(at(server.Addr()))
	const readonly = "the query writes, which a trigger may not: Error 1792 (25006): Cannot execute statement in a READ ONLY transaction"
	for text, want := range map[string]string{
		"select f()":        readonly,
		"select nextval(s)": readonly,
		"with x as (select 1) delete from jobs": "the query is not one valid statement: Error 1064 (42000): You have an error in your SQL syntax; check the manual that " +
			"corresponds to your MariaDB server version for the right syntax to use near 'delete from jobs' at line 1",
		"select 1; delete from jobs": "the query is not one valid statement: Error 1064 (42000): You have an error in your SQL syntax; check the manual that " +
			"corresponds to your MariaDB server version for the right syntax to use near 'delete from jobs' at line 1",
	} {
		wantError(t, b.open(t, trigger+query(text), refs), want)
	}
	wantValue(t, b.open(t, trigger+query("select count(*) from jobs where not done"), refs), 7)

	const reads, only = "; want one statement that reads, such as select count(*) from jobs", "; want a statement that only reads"
	for text, want := range map[string]string{
		"call p()":               "starts with CALL" + reads,
		"update jobs set done=1": "starts with UPDATE" + reads,
		"kill 5":                 "starts with KILL" + reads,
		"set global read_only=1": "starts with SET" + reads,
		"# select\nshutdown":     "starts with SHUTDOWN" + reads,
		"load data local infile '/etc/passwd' into table jobs":      "starts with LOAD" + reads,
		"select 1 into outfile '/tmp/x'":                            "writes a file (INTO OUTFILE)" + only,
		"select '#' INTO/**/-- x\n# y\n/* a\nb */DUMPFILE '/tmp/x'": "writes a file (INTO OUTFILE)" + only,
		"select id from jobs for\tupdate":                           "locks what it reads (FOR UPDATE or FOR SHARE)" + only,
		"select id from jobs lock in share mode":                    "locks what it reads (LOCK IN SHARE MODE)" + only,
		"select 1 /*!50000 into outfile '/tmp/x' */":                "holds a comment that the server would run (/*! …); want the statement itself|query: writes a file (INTO OUTFILE)" + only,
		"/*M!100100 set global read_only=1 */ select 1":             "holds a comment that the server would run (/*! …); want the statement itself",
	} {
		faults := strings.ReplaceAll(strings.Join(decode(t, b, "host: h, username: u, "+query(text)).Faults.Texts(), "|"), "autoscale.io/trigger.t: ", "")
		if faults != "query: "+want {
			t.Errorf("%s:\ngot  %s\nwant query: %s", text, faults, want)
		}
	}
}

// The user that the documentation gives reads what it is meant to, and can do nothing else.
func leastPrivilegedUser(t *testing.T, server *servers.MySQL, b *bench) {
	text, err := os.ReadFile("../../docs/notes/mysql.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "```sql\n")
	block, _, found := strings.Cut(block, "```")
	if !found {
		t.Fatal("docs/notes/mysql.md has no block of SQL")
	}
	for statement := range strings.SplitSeq(strings.TrimSpace(block), ";") {
		if statement != "" {
			exec(t, server.DB(), strings.ReplaceAll(statement, "'PASSWORD'", "'"+secret+"'"))
		}
	}
	exec(t, server.DB(), "create table app.secrets (id int)")
	trigger := strings.Replace(at(server.Addr()), "reader", "autoscaler", 1)
	wantValue(t, b.open(t, trigger+query("select count(*) from jobs where not done"), withPassword()), 7)
	wantValue(t, b.open(t, trigger+query("select count(load_file('/etc/passwd'))"), withPassword()), 0)
	if _, err := b.open(t, trigger+query("select count(*) from secrets"), withPassword()).Read(within(t)); err == nil || !strings.Contains(err.Error(), "SELECT command denied") {
		t.Errorf("another table: %v", err)
	}
	own, err := server.Open("autoscaler", secret, "app")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	for _, statement := range []string{"update jobs set done = true", "create table t (id int)", "create temporary table t (id int)", "select 1 into outfile '/tmp/autoscale-test'", "set global read_only = 1", "call p()", "select f()"} {
		if _, err := own.ExecContext(within(t), statement); err == nil {
			t.Errorf("%s: was let", statement)
		}
	}
}
