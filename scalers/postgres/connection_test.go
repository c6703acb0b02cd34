package postgres

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"

	"autoscale.io/scalers"
	"autoscale.io/scalers/scalertest"
	"autoscale.io/scalers/scalertest/servers"
	"autoscale.io/scalers/scalertest/sqltest"
)

// quoteKeyword is how libpq wants a value.
func quoteKeyword(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

// PG-01 and PG-04: every character of a password arrives as it is, in every form; an unescaped URL works or is a fault that keeps the password to itself.
func TestEveryCharacterOfAPassword(t *testing.T) {
	server := withJobs(t, servers.PostgresOptions{})
	host, port, _ := net.SplitHostPort(server.Addr())
	b := kit().Bench(t)
	count := query("select count(*) from jobs")
	passwords := []string{"x\thost=evil sslmode=disable", "x host=evil", "x\nport=1", `a b'c"d\e@f/g#h%i?j:k&l=m`, "p@ss/w#rd%", "a b", "host=evil", "ünïcödé"}
	for c := rune(0x20); c < 0x7f; c++ {
		passwords = append(passwords, "q"+string(c)+"w")
	}
	t.Run("names", func(t *testing.T) { namesAreValues(t, server) })
	for i, password := range passwords {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			sqltest.Exec(t, server.DB(), "alter role reader password "+"'"+strings.ReplaceAll(password, "'", "''")+"'")
			scalertest.WantValue(t, open(t, b, at(server.Addr())+plainly+count, scalertest.Texts{"password": password}), 7)
			for _, connection := range []string{
				// QueryEscape writes a space as +.
				fmt.Sprintf("postgres://reader:%s@%s/postgres?sslmode=disable", strings.ReplaceAll(url.QueryEscape(password), "+", "%20"), server.Addr()),
				fmt.Sprintf("host=%s port = %s user=reader dbname=postgres sslmode=disable password=%s", host, port, quoteKeyword(password)),
			} {
				scalertest.WantValue(t, open(t, b, "connectionFrom: {secret: s, key: dsn}, "+count, scalertest.Texts{"dsn": connection}), 7)
			}
			for _, connection := range []string{
				fmt.Sprintf("postgres://reader:%s@%s/postgres?sslmode=disable", password, server.Addr()),
				fmt.Sprintf("host=%s port=%s user=reader dbname=postgres sslmode=disable password=%s", host, port, password),
			} {
				before := b.Dials()
				err := b.Attempt(t, trigger("connectionFrom: {secret: s, key: dsn}, "+count), scalertest.Texts{"dsn": connection})
				if err != nil && err.Error() != "connection: "+errForm.Error() && scalertest.Leaks(err.Error(), password, 3) {
					t.Errorf("the error of %q quotes it: %v", password, err)
				}
				if b.Dials() != before && b.Dialled() != server.Addr() {
					t.Errorf("with the password %q %s was dialled", password, b.Dialled())
				}
			}
		})
	}
}

// PG-01 and AU-11: the names of users, databases and tables are values, too, in every form.
func namesAreValues(t *testing.T, server *servers.Postgres) {
	host, port, _ := net.SplitHostPort(server.Addr())
	b := kit().Bench(t)
	for _, odd := range append(scalertest.OddNames(), "a b'c host=evil\tsslmode=disable\\") {
		quoted := `"` + strings.ReplaceAll(odd, `"`, `""`) + `"`
		sqltest.Exec(t, server.DB(), "create role "+quoted+" login password '"+secret+"'", "create database "+quoted+" owner "+quoted)
		db, err := server.Open(odd, secret, odd)
		if err != nil {
			t.Fatal(err)
		}
		sqltest.Exec(t, db, "create table "+quoted+" (name text)", "insert into "+quoted+" select current_database() from generate_series(1, 3)")
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		count := query("select count(*) from " + quoted + " where name = current_database() and name = current_user")
		parameters := fmt.Sprintf("host: %s, port: %s, username: %q, database: %q, passwordFrom: {secret: s, key: password}, sslmode: disable, ", host, port, odd, odd)
		scalertest.WantValue(t, open(t, b, parameters+count, sqltest.WithPassword()), 3)
		escaped := strings.ReplaceAll(url.QueryEscape(odd), "+", "%20")
		for _, connection := range []string{
			fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", escaped, secret, server.Addr(), escaped),
			fmt.Sprintf("host=%s port=%s user=%s dbname=%s sslmode=disable password=%s", host, port, quoteKeyword(odd), quoteKeyword(odd), secret),
		} {
			scalertest.WantValue(t, open(t, b, "connectionFrom: {secret: s, key: dsn}, "+count, scalertest.Texts{"dsn": connection}), 3)
		}
	}
}

// PG-03: a connection string is a fault as a whole; no part of it is quoted. Files, sockets and services are refused.
func TestConnectionFaults(t *testing.T) {
	b := kit().Bench(t)
	for text, want := range map[string]error{
		"canary":                                   errForm,
		"postgres://u:p@ss/w#rd%@h/d":              errForm,
		"postgres://u:12#canary@h/d":               errForm,
		"postgres://u:12/canary@h/d":               errForm,
		"postgres://u:12?canary@h/d":               errForm,
		"postgres://u:canary@h:port/d":             errForm,
		"postgres://u:canary@h/d/e":                errForm,
		"postgres://h/d":                           errForm,
		"postgres://u:canary@/d":                   errForm,
		"postgres://u:canary@h/d?sslmode=prefer":   errMode,
		"postgres://u:canary@h/d?canary=1":         errUnknown,
		"postgres://u:canary@h/d?user=v":           errForm,
		"postgres://u:canary@%2Fvar%2Frun/d":       errForm,
		"postgres://u:canary@/d?host=/var/run":     errFile,
		"postgres://u:canary@h/d?service=x":        errFile,
		"postgres://u:canary@h/d?sslrootcert=/x":   errFile,
		"postgres://u:canary@h/d?options=-c%20a=b": errUnknown,
		"host=h user=u password=a canary":          errForm,
		"host=h user=u password='canary":           errForm,
		"host=h user=u password='can'ary":          errForm,
		"host=h user=u password=canary\\":          errForm,
		"host=h user=u password=canary host=i":     errForm,
		"host=h password=canary":                   errForm,
		"host=a,b port=1,2,3 user=u":               errForm,
		"host=/var/run user=u password=canary":     errFile,
		"host=@abstract user=u":                    errFile,
		"host=h user=u passfile=/x":                errFile,
		"host=h user=u sslcert=/x":                 errFile,
		"host=h user=u canary=x":                   errUnknown,
		"host=h user=u target_session_attrs=x":     errAttrs,
		"host=h user=u channel_binding=x":          errBinding,
	} {
		err := b.Attempt(t, trigger("connectionFrom: {secret: s, key: dsn}, "+query("select 1")), scalertest.Texts{"dsn": text})
		if err == nil || err.Error() != "connection: "+want.Error() {
			t.Errorf("%s:\ngot  %v\nwant %v", text, err, want)
		}
		if faults, _ := b.Faults(trigger(fmt.Sprintf("connection: %q, %s", text, query("select 1")))); faults != "connection: "+want.Error() {
			t.Errorf("%s: at admission: %q", text, faults)
		}
	}
}

func TestConnectionForms(t *testing.T) {
	for text, want := range map[string]string{
		"postgres://u:p%40@h:1,i:2/d%2Fe?target_session_attrs=primary&connect_timeout=3": "[{h 1} {i 2}] u p@ d/e primary",
		"postgresql://u@[::1]:7":                          "[{::1 7}] u   ",
		"postgresql://u@h":                                "[{h 5432}] u   ",
		"host=a,b user=u port=7":                          "[{a 7} {b 7}] u   ",
		" host = 'a' user='u u' password=p\\ q dbname='":  "",
		" host = 'a'\tuser='u u' password=p\\ q dbname=x": "[{a 5432}] u u p q x ",
		"host=a port='' user=u password=''":               "[{a 5432}] u   ",
	} {
		s, err := parseConnection(text)
		got := fmt.Sprintf("%v %s %s %s %s", s.hosts, s.user, s.password, s.database, s.attrs)
		if err != nil {
			got = ""
		}
		if got != want {
			t.Errorf("%s:\ngot  %q, %v\nwant %q", text, got, err, want)
		}
	}
}

func TestFaults(t *testing.T) {
	const ok = "host: h, username: u, "
	kit().Faults(t, "postgres", []sqltest.Fault{
		{Trigger: ok},
		{Trigger: "connectionFrom: {secret: s, key: k}, "},
		{Trigger: "hostFromEnv: H, usernameFromEnv: U, portFromEnv: P, passwordFrom: {secret: s, key: k}, "},
		{Trigger: ok + "tls: {caFrom: {configMap: c, key: k}}, "},
		{Trigger: "", Faults: "host: missing; want the server's name, or connectionFrom a Secret|username: missing; want the user that reads"},
		{Trigger: "host: h, ", Faults: "username: missing; want the user that reads"},
		{Trigger: "host: 'h:5432', username: u, ", Faults: "host: not a host name; want a name or an IP address, with the port in port and the user in username"},
		{Trigger: "host: /var/run, username: u, ", Faults: "host: not a host name; want a name or an IP address, with the port in port and the user in username"},
		{Trigger: ok + "port: 0, ", Faults: `port: got "0", want a whole number ≥ 1 and ≤ 65535`},
		{Trigger: ok + "connectionFrom: {secret: s, key: k}, ", Faults: "host: given beside connection; want one of the two|username: given beside connection; want one of the two"},
		{Trigger: ok + "nullAs: -1, ", Faults: `nullAs: got "-1", want a number ≥ 0, or unknown`},
		{Trigger: ok + "nullAs: NaN, ", Faults: `nullAs: got "NaN", want a number ≥ 0, or unknown`},
		{Trigger: ok + "sslmode: prefer, ", Faults: `sslmode: got "prefer", want one of disable, require, verify-ca, verify-full`},
		{Trigger: ok + "sslmode: disable, tls: {caFrom: {configMap: c, key: k}}, ", Faults: "sslmode: disable, yet tls parameters are given; want verify-full, or none of them"},
		{Trigger: ok + "sslmode: require, tls: {enabled: false}, ", Faults: "tls.enabled: false, yet sslmode is require; want sslmode alone"},
		{Trigger: ok + "sslmode: require, ", Warnings: "sslmode: require accepts any certificate; credentials go to whoever answers"},
		{Trigger: ok + "tls: {insecureSkipVerify: true}, ", Warnings: "tls.insecureSkipVerify: any certificate is accepted; credentials go to whoever answers"},
		{Trigger: "connection: 'postgres://u@h/d?sslmode=require', sslmode: verify-full, ", Faults: "sslmode: differs from the sslmode of connection; want one of the two"},
		{Trigger: "connection: 'postgres://u@h/d?target_session_attrs=any', targetSessionAttrs: primary, ", Faults: "targetSessionAttrs: differs from the target_session_attrs of connection; want one of the two"},
		{Trigger: ok + "targetSessionAttrs: leader, ", Faults: `targetSessionAttrs: got "leader", want one of any, read-write, read-only, primary, standby`},
	})
}

func TestIdentity(t *testing.T) {
	base := func() *params {
		p := &params{}
		p.Host, p.Username, p.Password, p.Database, p.Query, p.SSLMode = "h", "u", "p", "d", "select 1", verifyFull
		return p
	}
	key := func(change func(*params)) [32]byte {
		p := base()
		change(p)
		s, c := resolve(p, nil)
		if err := c.Err(); err != nil {
			t.Fatal(err)
		}
		return s.identity()
	}
	apart := map[string]func(*params){
		"host": func(p *params) { p.Host = "i" }, "port": func(p *params) { p.Port = 1 }, "user": func(p *params) { p.Username = "v" },
		"password": func(p *params) { p.Password = "q" }, "moved letter": func(p *params) { p.Username, p.Password = "up", "" },
		"database": func(p *params) { p.Database = "e" }, "sslmode": func(p *params) { p.SSLMode = verifyCA }, "attrs": func(p *params) { p.TargetSessionAttrs = "primary" },
		"ca": func(p *params) { p.TLS.CA = "x" }, "server name": func(p *params) { p.TLS.ServerName = "x" },
		"connection": func(p *params) {
			p.Connection, p.SSLMode = "postgres://u:p@h/d?search_path=x", ""
			p.Host, p.Username, p.Password, p.Database = "", "", "", ""
		},
	}
	together := map[string]func(*params){
		"query": func(p *params) { p.Query = "select 2" }, "null": func(p *params) { p.NullAs.Unknown = true }, "channel": func(p *params) { p.Listen = "c" },
		"the same as a string": func(p *params) {
			p.Connection = "postgres://u:p@h/d"
			p.Host, p.Username, p.Password, p.Database = "", "", "", ""
		},
	}
	sqltest.Identity(t, key, apart, together)
}

// A host without a dot is a Service of the workload's namespace. The environment of the process is not asked.
func TestHostsAreServicesOfTheNamespace(t *testing.T) {
	t.Setenv("PGHOST", "evil")
	t.Setenv("PGPASSWORD", "evil")
	t.Setenv("PGOPTIONS", "-c a=b")
	kit().Hosts(t, "postgres", map[string]string{
		"host: db, username: u":                           "db.shop.svc:5432",
		"host: db.other.svc, port: 7, username: u":        "db.other.svc:7",
		"host: '::1', username: u":                        "[::1]:5432",
		"host: '[::1]', username: u":                      "[::1]:5432",
		"connection: 'postgres://u@db/d'":                 "db.shop.svc:5432",
		"connection: 'host=db port=7 user=u password=x'":  "db.shop.svc:7",
		"connection: 'postgres://u@[::1]:7/d?port=8'":     "[::1]:8",
		"connection: 'postgres://u@db.other.svc.:5432/d'": "db.other.svc.:5432",
	})
	s := server{hosts: []endpoint{{"h", 1}}, user: "u", sslmode: disable}
	config, err := s.config(scalers.Env{})
	if err != nil || config.Password != "" || len(config.RuntimeParams) != 1 {
		t.Errorf("got the password %q and the parameters %v, %v", config.Password, config.RuntimeParams, err)
	}
}
