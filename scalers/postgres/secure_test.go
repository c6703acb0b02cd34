package postgres

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"autoscale.io/scalers/scalertest"
	"autoscale.io/scalers/scalertest/servers"
	"autoscale.io/scalers/scalertest/sqltest"
)

// PG-14: TLS that verifies is the default, SCRAM with channel binding works, and a refusal says who refused what.
func TestTLS(t *testing.T) {
	pem, stranger := sqltest.PEM(t), sqltest.PEM(t)
	server := withJobs(t, servers.PostgresOptions{TLS: &pem, HBA: []string{"hostssl postgres reader all scram-sha-256 ", "hostssl postgres certified all cert", "hostssl all postgres all scram-sha-256"}})
	sqltest.Exec(t, server.DB(), "create role certified login", "grant select on jobs to certified", `create role "test client" login`)
	plain := withJobs(t, servers.PostgresOptions{})
	clear := withJobs(t, servers.PostgresOptions{HBA: []string{"host all reader all password", "host all all all scram-sha-256"}})
	refs := scalertest.Texts{"password": secret, "ca": pem.CA, "stranger": stranger.CA, "cert": pem.ClientCert, "key": pem.ClientKey, "wrong": "canary-8d1f7"}
	count := query("select count(*) from jobs")
	const ca = "tls: {caFrom: {secret: s, key: ca}}, "
	dsn := func(more string) string {
		refs["dsn"] = fmt.Sprintf("postgres://reader:%s@%s/postgres?%s", secret, server.Addr(), more)
		return "connectionFrom: {secret: s, key: dsn}, "
	}
	for _, test := range []struct{ name, trigger, fault string }{
		{"verify-full by default", at(server.Addr()) + ca, ""},
		{"require", at(server.Addr()) + "sslmode: require, ", ""},
		{"verify-ca", at(server.Addr()) + "sslmode: verify-ca, " + strings.Replace(ca, "}}", "}, serverName: elsewhere}", 1), ""},
		{"channel binding", dsn("channel_binding=require") + ca, ""},
		{"insecureSkipVerify", at(server.Addr()) + "tls: {insecureSkipVerify: true}, ", ""},
		{"client certificate", strings.Replace(strings.Replace(at(server.Addr()), "reader", "test client", 1), "passwordFrom: {secret: s, key: password}, ", "", 1) +
			"tls: {caFrom: {secret: s, key: ca}, certFrom: {secret: s, key: cert}, keyFrom: {secret: s, key: key}}, ",
			`the server refused the login of user test client: FATAL: no pg_hba.conf entry for host "127.0.0.1", user "test client", database "postgres", SSL encryption (SQLSTATE 28000)`},
		{"no authority", at(server.Addr()), "the server's certificate is of an authority that is not trusted; give its certificate as tls.caFrom: ADDR (127.0.0.1): failed to write startup message: write failed: tls: failed to verify certificate: x509: certificate signed by unknown authority"},
		{"wrong authority", at(server.Addr()) + strings.ReplaceAll(ca, "key: ca", "key: stranger"), "the server's certificate is of an authority that is not trusted; give its certificate as tls.caFrom: ADDR (127.0.0.1): " +
			`failed to write startup message: write failed: tls: failed to verify certificate: x509: certificate signed by unknown authority (possibly because of "x509: ECDSA verification failure" while trying to verify candidate authority certificate "test authority")`},
		{"wrong authority with verify-ca", at(server.Addr()) + "sslmode: verify-ca, " + strings.ReplaceAll(ca, "key: ca", "key: stranger"), "the server's certificate is of an authority that is not trusted; give its certificate as tls.caFrom: ADDR (127.0.0.1): " +
			`failed to write startup message: write failed: x509: certificate signed by unknown authority (possibly because of "x509: ECDSA verification failure" while trying to verify candidate authority certificate "test authority")`},
		{"require with an authority asks it", at(server.Addr()) + "sslmode: require, " + strings.ReplaceAll(ca, "key: ca", "key: stranger"), "the server's certificate is of an authority that is not trusted; give its certificate as tls.caFrom: ADDR (127.0.0.1): " +
			`failed to write startup message: write failed: x509: certificate signed by unknown authority (possibly because of "x509: ECDSA verification failure" while trying to verify candidate authority certificate "test authority")`},
		{"wrong name", at(server.Addr()) + strings.Replace(ca, "}}", "}, serverName: elsewhere}", 1), "the server's certificate is for another name; set tls.serverName, or sslmode: verify-ca: ADDR (127.0.0.1): " +
			"failed to write startup message: write failed: tls: failed to verify certificate: x509: certificate is valid for localhost, not elsewhere"},
		{"plain text where TLS is demanded", at(server.Addr()) + plainly, "the server refused a login without TLS; remove sslmode: disable: " +
			`FATAL: no pg_hba.conf entry for host "127.0.0.1", user "reader", database "postgres", no encryption (SQLSTATE 28000)`},
		{"TLS where there is none", at(plain.Addr()), "the server does not offer TLS; turn it on there, or set sslmode: disable to send everything in plain text: ADDR (127.0.0.1): tls error: server refused TLS connection"},
		{"a password in plain text", at(clear.Addr()) + plainly, "the server asks for the password in plain text, which without TLS is not sent; set sslmode: verify-full, or scram-sha-256 at the server: ADDR (127.0.0.1): " +
			`require_auth check failed: authentication method requirement "!password" failed: server requested password authentication`},
		{"wrong password", strings.Replace(at(server.Addr()), "key: password", "key: wrong", 1) + ca, `the server refused user reader or the password: FATAL: password authentication failed for user "reader" (SQLSTATE 28P01)`},
		{"no such database", strings.Replace(at(plain.Addr()), "database: postgres", "database: other", 1) + plainly, `the database does not exist: FATAL: database "other" does not exist (SQLSTATE 3D000)`},
	} {
		t.Run(test.name, func(t *testing.T) {
			source := open(t, kit().Bench(t), test.trigger+count, refs)
			if test.fault == "" {
				scalertest.WantValue(t, source, 7)
				return
			}
			_, err := source.Read(scalertest.Within(t))
			got := ""
			if err != nil {
				got = strings.NewReplacer(server.Addr(), "ADDR", plain.Addr(), "ADDR", clear.Addr(), "ADDR").Replace(err.Error())
			}
			if got != test.fault {
				t.Errorf("got  %s\nwant %s", got, test.fault)
			}
			// AU-02 and AU-03: no credential is in any error.
			if strings.Contains(got, "horse") || strings.Contains(got, "canary") {
				t.Errorf("a credential is in the error: %s", got)
			}
		})
	}
	t.Run("a client certificate instead of a password", func(t *testing.T) {
		sqltest.Exec(t, server.DB(), `grant select on jobs to "test client"`)
		withCert := servers.MustPostgres(t, servers.PostgresOptions{TLS: &pem, HBA: []string{`hostssl all "test client" all cert`, "hostssl all all all scram-sha-256"}})
		sqltest.Exec(t, withCert.DB(), `create role "test client" login`)
		host, port, _ := net.SplitHostPort(withCert.Addr())
		source := open(t, kit().Bench(t), fmt.Sprintf("host: %s, port: %s, username: test client, database: postgres, ", host, port)+
			"tls: {caFrom: {secret: s, key: ca}, certFrom: {secret: s, key: cert}, keyFrom: {secret: s, key: key}}, "+query("select 3"), refs)
		scalertest.WantValue(t, source, 3)
	})
}

func TestRotatedPassword(t *testing.T) {
	kit().RotatedPassword(t, withJobs(t, servers.PostgresOptions{}), "alter role reader password '%s'", "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'reader'",
		`the server refused user reader or the password: FATAL: password authentication failed for user "reader" (SQLSTATE 28P01)`)
}

// The role that the documentation gives reads what it is meant to, and can do nothing else.
func TestLeastPrivilegedRole(t *testing.T) {
	server := withJobs(t, servers.PostgresOptions{})
	sqltest.Exec(t, server.DB(), "create database app")
	app, err := server.Open(servers.PostgresAdmin, servers.PostgresAdminPassword, "app")
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	sqltest.Exec(t, app, "create table jobs (id int, done bool)", "insert into jobs values (1, false), (2, true)", "create table secrets (id int)", sqltest.Documented(t, "../../docs/notes/postgres.md"))
	b := kit().Bench(t)
	login := strings.NewReplacer("reader", "autoscaler", "database: postgres", "database: app").Replace(at(server.Addr())) + plainly
	scalertest.WantValue(t, open(t, b, login+query("select count(*) from jobs where not done"), sqltest.WithPassword()), 1)
	for text, want := range map[string]string{
		"select count(*) from secrets":               "permission denied for table secrets",
		"select length(pg_read_file('/etc/passwd'))": "permission denied for function pg_read_file",
		"select lo_import('/etc/passwd')::int":       "permission denied for function lo_import",
		"select pg_reload_conf()::int":               "permission denied for function pg_reload_conf",
		"select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'postgres'": "must be a superuser to terminate superuser process",
	} {
		if _, err := open(t, b, login+query(text), sqltest.WithPassword()).Read(scalertest.Within(t)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
	own, err := server.Open("autoscaler", secret, "app")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	for _, statement := range []string{"update jobs set done = true", "create table t (id int)", "create temp table t (id int)", "set role postgres"} {
		if _, err := own.ExecContext(scalertest.Within(t), "begin read write; "+statement+"; commit"); err == nil {
			t.Errorf("%s: was let", statement)
		}
	}
}
