package mysql

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"autoscale.io/scalers"
	"autoscale.io/scalers/scalertest/servers"
	"autoscale.io/scalers/sqlquery"
)

func scalersEnv() scalers.Env { return scalers.Env{Dial: new(net.Dialer).DialContext} }

// On one server: MY-05 and SP-06, PG-11, the deadline on the server, AU-01.
func TestShared(t *testing.T) {
	server := withJobs(t, servers.MySQLOptions{})
	t.Run("MY-05 one workload holds one connection, whatever is edited", func(t *testing.T) { oneConnection(t, server) })
	t.Run("many workloads share few connections", func(t *testing.T) { manyShareFew(t, server) })
	t.Run("PG-10 and SP-06 nothing is left open", func(t *testing.T) { nothingIsLeftOpen(t, server) })
	t.Run("the server ends the query", func(t *testing.T) { timeoutOnTheServer(t, server) })
	t.Run("no TLS where it is wanted", func(t *testing.T) {
		source := newBench(t, sqlquery.DefaultLimits()).open(t, at(server.Addr())+"tls: {enabled: true}, "+query("select 1"), withPassword())
		wantError(t, source, "the server does not offer TLS; turn it on there, or remove the tls parameters to send everything in plain text")
	})
	t.Run("PG-11 a frozen server", func(t *testing.T) { frozenServer(t, server) })
	t.Run("AU-01 a rotated password", func(t *testing.T) { rotatedPassword(t, server) })
}

func oneConnection(t *testing.T, server *servers.MySQL) {
	b := newBench(t, sqlquery.DefaultLimits())
	current := b.open(t, at(server.Addr())+query("select count(*) from jobs"), withPassword())
	for i := range 50 {
		wantValue(t, current, 7)
		// An edit: the new trigger is opened before the old one is closed.
		next := b.open(t, at(server.Addr())+fmt.Sprintf("activation: %d, ", i)+query("select count(*) from jobs"), withPassword())
		if err := current.Close(); err != nil {
			t.Error(err)
		}
		current = next
		if n := connections(t, server); n != 1 {
			t.Fatalf("%d connections after edit %d, want 1", n, i)
		}
	}
	if n := b.dials.Load(); n != 1 {
		t.Errorf("dialled %d times, want once", n)
	}
	if err := current.Close(); err != nil {
		t.Error(err)
	}
	await(t, func() string {
		if n := connections(t, server); n > 0 {
			return fmt.Sprintf("%d connections after the trigger is gone", n)
		}
		return ""
	})
}

func manyShareFew(t *testing.T, server *servers.MySQL) {
	b := newBench(t, sqlquery.DefaultLimits())
	var reading sync.WaitGroup
	for i := range 500 {
		source := b.open(t, at(server.Addr())+query(fmt.Sprintf("select count(*) from jobs where id <> %d", 100+i)), withPassword())
		reading.Go(func() { wantValue(t, source, 7) })
	}
	reading.Wait()
	if n := connections(t, server); n > 4 {
		t.Errorf("%d connections, want at most 4", n)
	}
	for range 100 {
		source := b.open(t, at(server.Addr())+query("select count(*) + sleep(0.5) from (select 1) one"), withPassword())
		reading.Go(func() { wantValue(t, source, 1) })
	}
	start := time.Now()
	reading.Wait()
	// One by one, three at a time, they would take 17 s.
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("100 identical queries of half a second took %s together", took)
	}
}

func nothingIsLeftOpen(t *testing.T, server *servers.MySQL) {
	proxy := servers.MustProxy(t, server.Addr())
	b := newBench(t, sqlquery.DefaultLimits())
	var sources []*scalers.Source
	for range 100 {
		sources = append(sources, b.open(t, at(proxy.Addr())+query("select count(*) from jobs"), withPassword()))
	}
	if err := proxy.Set(servers.Refuse); err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	for range 10 {
		for _, source := range sources {
			if reading, err := source.Read(within(t)); err == nil {
				t.Fatalf("read %+v of a server that refuses", reading)
			}
		}
	}
	await(t, func() string {
		if n := runtime.NumGoroutine(); n > before+2 {
			return fmt.Sprintf("%d goroutines after 1000 failed reads, %d before", n, before)
		}
		return ""
	})
	if err := proxy.Set(servers.Pass); err != nil {
		t.Fatal(err)
	}
	for _, source := range sources {
		wantValue(t, source, 7)
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	}
	await(t, func() string {
		if n := connections(t, server); n > 0 {
			return fmt.Sprintf("%d connections after everything was closed", n)
		}
		return ""
	})
}

func timeoutOnTheServer(t *testing.T, server *servers.MySQL) {
	source := newBench(t, sqlquery.DefaultLimits()).open(t, at(server.Addr())+query("select count(*) + sleep(60) from (select 1) one"), withPassword())
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := source.Read(ctx)
	const cancelled = "the query ran longer than the trigger's timeout and was cancelled: Error 1969 (70100): Query execution was interrupted (max_statement_time exceeded)"
	// On a busy machine the server's word may come too late; it has ended the query all the same.
	if err == nil || err.Error() != cancelled && !strings.HasPrefix(err.Error(), "no answer in time: ") {
		t.Errorf("got  %v\nwant %s", err, cancelled)
	}
	await(t, func() string {
		var n int
		if err := server.DB().QueryRowContext(within(t), "select count(*) from information_schema.processlist where user = 'reader' and info like '%sleep(60)%'").Scan(&n); err != nil || n > 0 {
			return fmt.Sprint(n, " queries still run ", err)
		}
		return ""
	})
}

func frozenServer(t *testing.T, server *servers.MySQL) {
	source := newBench(t, sqlquery.DefaultLimits()).open(t, at(server.Addr())+query("select count(*) from jobs"), withPassword())
	wantValue(t, source, 7)
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	if reading, err := source.Read(ctx); err == nil || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("read %+v, %v of a frozen server", reading, err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %s", took)
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	await(t, func() string {
		if reading, err := source.Read(within(t)); err != nil || reading.Value != 7 {
			return fmt.Sprint(reading, err)
		}
		return ""
	})
}

func rotatedPassword(t *testing.T, server *servers.MySQL) {
	b := newBench(t, sqlquery.DefaultLimits())
	trigger := at(server.Addr()) + query("select count(*) from jobs")
	old := b.open(t, trigger, withPassword())
	wantValue(t, old, 7)
	exec(t, server.DB(), "alter user reader identified by 'another-horse-43'")
	fresh := b.open(t, trigger, texts{"password": "another-horse-43"})
	wantValue(t, fresh, 7)
	exec(t, server.DB(), "kill connection user reader")
	const refused = "the server refused user reader or the password, or it wants TLS (tls.enabled: true): Error 1045 (28000): Access denied for user 'reader'@'127.0.0.1' (using password: YES)"
	await(t, func() string {
		if _, err := old.Read(within(t)); err == nil || err.Error() != refused {
			return fmt.Sprint("with the old password: ", err)
		}
		return ""
	})
	await(t, func() string {
		if reading, err := fresh.Read(within(t)); err != nil || reading.Value != 7 {
			return fmt.Sprint("with the new password: ", reading, err)
		}
		return ""
	})
}

// MY-03: after a failover behind one name the connections to the old server, which still answers, end by age.
func TestFailoverBehindOneName(t *testing.T) {
	old, fresh := withJobs(t, servers.MySQLOptions{}), withJobs(t, servers.MySQLOptions{})
	exec(t, old.DB(), "set global read_only = 1")
	exec(t, fresh.DB(), "insert into app.jobs (id) values (8)")
	var mu sync.Mutex
	to := old.Addr()
	limits := sqlquery.DefaultLimits()
	limits.Age = 300 * time.Millisecond
	registry, err := scalers.NewRegistry(definition(scalers.Env{Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		mu.Lock()
		address := to
		mu.Unlock()
		return new(net.Dialer).DialContext(ctx, network, address)
	}}, limits))
	if err != nil {
		t.Fatal(err)
	}
	source := (&bench{registry: registry}).open(t, "host: db, username: reader, database: app, passwordFrom: {secret: s, key: password}, "+query("select count(*) from jobs"), withPassword())
	wantValue(t, source, 7)
	mu.Lock()
	to = fresh.Addr()
	mu.Unlock()
	await(t, func() string {
		if reading, err := source.Read(within(t)); err != nil || reading.Value != 8 {
			return fmt.Sprint(reading, err)
		}
		return ""
	})
}

// MY-08: two servers with authorities of their own at the same time, and one that gets a new authority.
func TestTLS(t *testing.T) {
	first, second := newPEM(t), newPEM(t)
	one := withJobs(t, servers.MySQLOptions{TLS: &first, Args: []string{"--require-secure-transport=ON"}})
	two := withJobs(t, servers.MySQLOptions{TLS: &second})
	b := newBench(t, sqlquery.DefaultLimits())
	refs := texts{"password": secret, "first": first.CA, "second": second.CA, "wrong": "canary-8d1f7", "dsn": "reader:" + secret + "@tcp(" + two.Addr() + ")/app?tls=true"}
	count := query("select count(*) from jobs")
	ca := func(key string) string { return "tls: {caFrom: {secret: s, key: " + key + "}}, " }
	wantValue(t, b.open(t, at(one.Addr())+ca("first")+count, refs), 7)
	wantValue(t, b.open(t, at(two.Addr())+ca("second")+count, refs), 7)
	wantValue(t, b.open(t, "connectionFrom: {secret: s, key: dsn}, "+ca("second")+count, refs), 7)
	wantValue(t, b.open(t, at(two.Addr())+"tls: {insecureSkipVerify: true}, "+count, refs), 7)
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
		source := b.open(t, trigger+count, refs)
		wantError(t, source, want)
	}
	// The rotated authority is used as soon as the trigger is opened with it; the old one is not trusted any more.
	refs["first"] = second.CA
	wantValue(t, b.open(t, at(two.Addr())+ca("first")+count, refs), 7)
	wantError(t, b.open(t, at(one.Addr())+ca("first")+count, refs), other)
}

func newPEM(t *testing.T) servers.PEM {
	t.Helper()
	pem, err := servers.NewPEM(time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return pem
}
