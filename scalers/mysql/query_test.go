package mysql

import (
	"strings"
	"testing"

	"autoscale.io/scalers/scalertest"
	"autoscale.io/scalers/scalertest/servers"
	"autoscale.io/scalers/scalertest/sqltest"
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
	b := kit().Bench(t)
	t.Run("answers", func(t *testing.T) { answers(t, server) })
	t.Run("PG-07 nothing is written", func(t *testing.T) { nothingIsWritten(t, server, b) })
	t.Run("the least privileged user", func(t *testing.T) { leastPrivilegedUser(t, server, b) })
}

func answers(t *testing.T, server *servers.MySQL) {
	const one = "; want exactly one row with one number, such as the answer of select count(*)"
	kit().Answers(t, server, []sqltest.Answer{
		{Query: "select count(*) from jobs", Value: 7},
		{Query: "select count(*) from jobs;", Value: 7},
		{Query: "# how many\n/* are */ (select count(*) from jobs)", Value: 7},
		{Query: "with open as (select * from jobs) select count(*) from open", Value: 7},
		{Query: "values (3)", Value: 3},
		{Query: "select sum(cost) from jobs", Value: 28},
		{Query: "select avg(id) from jobs", Value: 4},
		{Query: "select 1.5e0", Value: 1.5},
		{Query: "select cast(3 as unsigned)", Value: 3},
		{Query: "select 18446744073709551615", Value: 18446744073709551615},
		{Query: "select true", Value: 1},
		{Query: "select 1e308", Value: 1e308},
		{Query: "select sum(cost) from jobs where done", Note: "the query answered NULL; it counts as 0"},
		{Query: "select null", Note: "the query answered NULL; it counts as 0"},
		{Query: "select sum(cost) from jobs where done", More: "nullAs: 2.5, ", Value: 2.5, Note: "the query answered NULL; it counts as 2.5"},
		{Query: "select sum(cost) from jobs where done", More: "nullAs: unknown, ", Fault: "the query answered NULL, which nullAs makes unknown; want a number, such as coalesce(sum(cost), 0)"},
		{Query: "select -5", Fault: "the query answered -5; want a finite number ≥ 0"},
		{Query: "select id from jobs where id > 100", Fault: "the query answered no row" + one},
		{Query: "select id from jobs", Fault: "the query answered more than one row" + one},
		{Query: "select a.id from jobs a, jobs b, jobs c, jobs d, jobs e, jobs f, jobs g, jobs h", Fault: "the query answered more than one row" + one},
		{Query: "select 1, 2", Fault: "the query answered 2 columns" + one},
		{Query: "select '5'", Fault: "the query answered a value of type VARCHAR; want a number, if need be through a cast"},
		{Query: "select now()", Fault: "the query answered a value of type DATETIME; want a number, if need be through a cast"},
		{Query: "select nonsense", Fault: "the server refused: Error 1054 (42S22): Unknown column 'nonsense' in 'SELECT'"},
		{Query: "select count(*) from mysql.global_priv", Fault: "user reader may not read what the query reads; grant it with: GRANT SELECT ON … TO reader: " +
			"Error 1142 (42000): SELECT command denied to user 'reader'@'127.0.0.1' for table `mysql`.`global_priv`"},
	})
}

// What writes, locks or holds more than one statement is refused and changes nothing, even for who may do everything.
func nothingIsWritten(t *testing.T, server *servers.MySQL, b *scalertest.Bench) {
	sqltest.Exec(t, server.DB(), "create sequence app.s", "create procedure app.p() begin delete from app.jobs; select 1; end",
		"create function app.f() returns int begin delete from app.jobs; return 1; end")
	login, refs := admin(at(server.Addr()))
	const readonly = "the query writes, which a trigger may not: Error 1792 (25006): Cannot execute statement in a READ ONLY transaction"
	for text, want := range map[string]string{
		"select f()":        readonly,
		"select nextval(s)": readonly,
		"with x as (select 1) delete from jobs": "the query is not one valid statement: Error 1064 (42000): You have an error in your SQL syntax; check the manual that " +
			"corresponds to your MariaDB server version for the right syntax to use near 'delete from jobs' at line 1",
		"select 1; delete from jobs": "the query is not one valid statement: Error 1064 (42000): You have an error in your SQL syntax; check the manual that " +
			"corresponds to your MariaDB server version for the right syntax to use near 'delete from jobs' at line 1",
	} {
		scalertest.WantError(t, open(t, b, login+query(text), refs), want)
	}
	scalertest.WantValue(t, open(t, b, login+query("select count(*) from jobs where not done"), refs), 7)

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
		if faults, _ := b.Faults(trigger("host: h, username: u, " + query(text))); faults != "query: "+want {
			t.Errorf("%s:\ngot  %s\nwant query: %s", text, faults, want)
		}
	}
}

// The user that the documentation gives reads what it is meant to, and can do nothing else.
func leastPrivilegedUser(t *testing.T, server *servers.MySQL, b *scalertest.Bench) {
	for statement := range strings.SplitSeq(strings.TrimSpace(sqltest.Documented(t, "../../docs/notes/mysql.md")), ";") {
		if statement != "" {
			sqltest.Exec(t, server.DB(), statement)
		}
	}
	sqltest.Exec(t, server.DB(), "create table app.secrets (id int)")
	login := strings.Replace(at(server.Addr()), "reader", "autoscaler", 1)
	scalertest.WantValue(t, open(t, b, login+query("select count(*) from jobs where not done"), sqltest.WithPassword()), 7)
	scalertest.WantValue(t, open(t, b, login+query("select count(load_file('/etc/passwd'))"), sqltest.WithPassword()), 0)
	if _, err := open(t, b, login+query("select count(*) from secrets"), sqltest.WithPassword()).Read(scalertest.Within(t)); err == nil || !strings.Contains(err.Error(), "SELECT command denied") {
		t.Errorf("another table: %v", err)
	}
	own, err := server.Open("autoscaler", secret, "app")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	for _, statement := range []string{"update jobs set done = true", "create table t (id int)", "create temporary table t (id int)", "select 1 into outfile '/tmp/autoscale-test'", "set global read_only = 1", "call p()", "select f()"} {
		if _, err := own.ExecContext(scalertest.Within(t), statement); err == nil {
			t.Errorf("%s: was let", statement)
		}
	}
}
