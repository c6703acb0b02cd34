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

// MY-01: every character of a password and of a database's name arrives as it is, in parameters and in a connection string.
func TestEveryCharacterIsAValue(t *testing.T) {
	server := withJobs(t, servers.MySQLOptions{})
	b := kit().Bench(t)
	count := query("select count(*) from app.jobs")
	passwords := []string{"p@ss:w/o?rd#%", "x\thost=evil", "a b'c\"d\\e@f/g#h%i?j:k&l=m", "@tcp(evil:1)/", "canary)/x?tls=skip-verify&a=", "ünïcödé"}
	for c := rune(0x20); c < 0x7f; c++ {
		passwords = append(passwords, "q"+string(c)+"w")
	}
	for i, password := range passwords {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			sqltest.Exec(t, server.DB(), "alter user reader identified by '"+strings.NewReplacer(`\`, `\\`, "'", "''").Replace(password)+"'")
			scalertest.WantValue(t, open(t, b, at(server.Addr())+count, scalertest.Texts{"password": password}), 7)
			before := b.Dials()
			err := b.Attempt(t, trigger("connectionFrom: {secret: s, key: dsn}, "+count), scalertest.Texts{"dsn": fmt.Sprintf("reader:%s@tcp(%s)/app", password, server.Addr())})
			if err != nil {
				t.Errorf("the connection string with %q: %v", password, err)
			}
			if b.Dials() != before && b.Dialled() != server.Addr() {
				t.Errorf("with the password %q %s was dialled", password, b.Dialled())
			}
		})
	}
	namesAreValues(t, server)
}

// AU-11: the names of users, databases and tables are values, too.
func namesAreValues(t *testing.T, server *servers.MySQL) {
	t.Helper()
	b := kit().Bench(t)
	host, port, _ := net.SplitHostPort(server.Addr())
	for _, odd := range append(scalertest.OddNames(), "a/b?c=d@tcp(evil:1)&tls=false `q") {
		name, user := "`"+strings.ReplaceAll(odd, "`", "``")+"`", "'"+strings.NewReplacer(`\`, `\\`, "'", "''").Replace(odd)+"'"
		sqltest.Exec(t, server.DB(), "create database "+name, "create table "+name+"."+name+" (id int)", "insert into "+name+"."+name+" values (1), (2), (3)",
			"create user "+user+" identified by '"+secret+"'", "grant select on *.* to "+user)
		parameters := fmt.Sprintf("host: %s, port: %s, username: %q, database: %q, passwordFrom: {secret: s, key: password}, ", host, port, odd, odd)
		count := query(fmt.Sprintf("select count(*) from %s where database() = %s and substring_index(user(), '@', length(%s) - length(replace(%s, '@', '')) + 1) = %s",
			name, user, user, user, user))
		scalertest.WantValue(t, open(t, b, parameters+count, sqltest.WithPassword()), 3)
	}
}

// MY-06 and AU-03: a connection string is a fault as a whole; no part of it is quoted, and none of its switches is taken.
func TestConnectionFaults(t *testing.T) {
	b := kit().Bench(t)
	for text, want := range map[string]error{
		"canary":                              errForm,
		"mysql://u:canary@h/d":                errForm,
		"u:canary@tcp(h:3306":                 errForm,
		"u:canary@tcp(h:port)/d":              errForm,
		"u:canary@tcp(h:0)/d":                 errForm,
		":canary@tcp(h)/d":                    errForm,
		"u:canary@unix(/var/run/mysql.sock)/": errSocket,
		"u:canary@other(h)/":                  errSocket,
		"u:canary@tcp(h)/d?tls=skip-verify":   errTLS,
		"u:canary@tcp(h)/d?tls=preferred":     errTLS,
		"u:canary@tcp(h)/d?tls=canary":        errTLS,
		"u:canary@tcp(h)/d?sql_mode=canary":   errParams,
		"u:canary@tcp(h)/d?parseTime=canary":  errForm,
	} {
		err := b.Attempt(t, trigger("connectionFrom: {secret: s, key: dsn}, "+query("select 1")), scalertest.Texts{"dsn": text})
		if err == nil || err.Error() != "connection: "+want.Error() {
			t.Errorf("%s:\ngot  %v\nwant %v", text, err, want)
		}
	}
	s, _, err := parseConnection("u:p@tcp([::1]:7)/d?multiStatements=true&allowCleartextPasswords=true&parseTime=true&charset=utf8")
	if err != nil || s.host != "::1" || s.port != 7 || s.database != "d" {
		t.Errorf("got %+v, %v", s, err)
	}
	if config, err := s.config(scalers.Env{}); err != nil || config.MultiStatements || config.AllowAllFiles || config.AllowCleartextPasswords || config.AllowFallbackToPlaintext || config.Addr != "[::1]:7" {
		t.Errorf("got %+v, %v", config, err)
	}
}

func TestFaults(t *testing.T) {
	const ok = "host: h, username: u, "
	kit().Faults(t, "mysql", []sqltest.Fault{
		{Trigger: ok},
		{Trigger: "connectionString: 'u:p@tcp(h:3306)/d?tls=true', "},
		{Trigger: "connectionFromEnv: DSN, "},
		{Trigger: "", Faults: "host: missing; want the server's name, or connectionFrom a Secret|username: missing; want the user that reads"},
		{Trigger: ok + "connectionFromEnv: DSN, ", Faults: "host: given beside connection; want one of the two|username: given beside connection; want one of the two"},
		{Trigger: "connection: 'u:p@tcp(h:3306)/d?tls=false', tls: {enabled: true}, ", Faults: "connection: turns TLS off, yet tls parameters are given; want one of the two"},
		{Trigger: ok + "tls: {insecureSkipVerify: true}, ", Warnings: "tls.insecureSkipVerify: any certificate is accepted; credentials go to whoever answers"},
		{Trigger: ok + "tls: {cert: x}, ", Faults: "tls.key: missing; want the private key of cert"},
		{Trigger: ok + "listen: x, ", Faults: "unknown parameter listen"},
	})
}

func TestIdentity(t *testing.T) {
	key := func(change func(*params)) [32]byte {
		p := &params{}
		p.Host, p.Username, p.Password, p.Database, p.Query = "h", "u", "p", "d", "select 1"
		change(p)
		s, c := resolve(p, nil)
		if err := c.Err(); err != nil {
			t.Fatal(err)
		}
		return s.identity()
	}
	on := true
	apart := map[string]func(*params){
		"host": func(p *params) { p.Host = "i" }, "port": func(p *params) { p.Port = 1 }, "user": func(p *params) { p.Username = "v" },
		"password": func(p *params) { p.Password = "q" }, "moved letter": func(p *params) { p.Username, p.Password = "up", "" },
		"database": func(p *params) { p.Database = "e" }, "tls": func(p *params) { p.TLS.Enabled = &on }, "ca": func(p *params) { p.TLS.CA = "x" },
		"server name": func(p *params) { p.TLS.ServerName = "x" },
		"tls of the string": func(p *params) {
			p.Connection = "u:p@tcp(h)/d?tls=true"
			p.Host, p.Username, p.Password, p.Database = "", "", "", ""
		},
	}
	together := map[string]func(*params){
		"query": func(p *params) { p.Query = "select 2" }, "null": func(p *params) { p.NullAs.Unknown = true },
		"the same as a string": func(p *params) {
			p.Connection = "u:p@tcp(h)/d"
			p.Host, p.Username, p.Password, p.Database = "", "", "", ""
		},
	}
	sqltest.Identity(t, key, apart, together)
}

func TestHostsAreServicesOfTheNamespace(t *testing.T) {
	kit().Hosts(t, "mysql", map[string]string{
		"host: db, username: u":                    "db.shop.svc:3306",
		"host: db.other.svc, port: 7, username: u": "db.other.svc:7",
		"host: '::1', username: u":                 "[::1]:3306",
		"connection: 'u:p@tcp(db)/d'":              "db.shop.svc:3306",
		"connection: 'u:p@tcp(db.other.svc:7)/d'":  "db.other.svc:7",
	})
}
