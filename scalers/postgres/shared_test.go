package postgres

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"autoscale.io/scalers"
	"autoscale.io/scalers/scalertest/servers"
	"autoscale.io/scalers/sqlquery"
)

// PG-05: pgbouncer in transaction mode with few connections, many pollers at once, and a restart between polls.
func TestPgBouncerInTransactionMode(t *testing.T) {
	server := withJobs(t, servers.PostgresOptions{})
	pooler := servers.MustPgBouncer(t, server, servers.PgBouncerOptions{Users: map[string]string{"reader": secret}, Config: []string{"default_pool_size = 2"}})
	poll := func(sources []*scalers.Source, times int) {
		var wg sync.WaitGroup
		for i, source := range sources {
			wg.Go(func() {
				for range times {
					if reading, err := source.Read(within(t)); err != nil || reading.Value != float64(i) {
						t.Errorf("workload %d read %+v, %v", i, reading, err)
					}
				}
			})
		}
		wg.Wait()
	}
	var sources []*scalers.Source
	for i := range 6 {
		// A definition each, as though each were a process of its own: connections are not shared.
		sources = append(sources, newBench(t, sqlquery.DefaultLimits()).open(t, at(pooler.Addr())+plainly+query(fmt.Sprintf("select count(*) - 7 + %d from jobs", i)), withPassword()))
	}
	poll(sources, 30)
	if err := pooler.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A connection that was used a moment ago is not tried before it is used again; a poll later it is.
	await(t, func() string {
		for _, source := range sources {
			if _, err := source.Read(within(t)); err != nil {
				return err.Error()
			}
		}
		return ""
	})
	poll(sources, 5)
}

// A thousand workloads on one database hold few connections; identical queries run together.
func TestManyWorkloadsShareFewConnections(t *testing.T) {
	server := withJobs(t, servers.PostgresOptions{})
	exec(t, server.DB(), "create sequence runs", "grant usage on runs to reader")
	b := newBench(t, sqlquery.DefaultLimits())
	var sources []*scalers.Source
	for i := range 1000 {
		channel := ""
		if i%2 == 0 {
			channel = "listen: jobs, "
		}
		sources = append(sources, b.open(t, at(server.Addr())+plainly+channel+query(fmt.Sprintf("select count(*) from jobs where id <> %d", 100+i)), withPassword()))
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var watching, reading sync.WaitGroup
	for _, source := range sources {
		if source.Wakes() {
			watching.Go(func() { source.Wake(ctx, func() {}, func(err error) { t.Error(err) }) })
		}
		reading.Go(func() { wantValue(t, source, 7) })
	}
	reading.Wait()
	if n := connections(t, server); n > 4 {
		t.Errorf("%d connections, want at most 4", n)
	}
	stop()
	watching.Wait()

	slow := at(server.Addr()) + plainly + query("select count(*) + 0 * length(pg_sleep(0.5)::text) from jobs")
	for range 100 {
		source := b.open(t, slow, withPassword())
		reading.Go(func() { wantValue(t, source, 7) })
	}
	start := time.Now()
	reading.Wait()
	// One by one, three at a time, they would take 17 s.
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("100 identical queries of half a second took %s together", took)
	}
}

// PG-10 and SP-06: neither failing nor opening and closing leaves anything behind.
func TestNothingIsLeftOpen(t *testing.T) {
	server := withJobs(t, servers.PostgresOptions{})
	proxy := servers.MustProxy(t, server.Addr())
	b := newBench(t, sqlquery.DefaultLimits())
	trigger := at(proxy.Addr()) + plainly + query("select count(*) from jobs")
	var sources []*scalers.Source
	for range 100 {
		sources = append(sources, b.open(t, trigger, withPassword()))
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
	}
	if n := connections(t, server); n > 3 {
		t.Errorf("%d connections after the outage, want at most 3", n)
	}
	// An edit opens the new trigger and closes the old one.
	for i := range 1000 {
		source, err := b.try(t, at(server.Addr())+plainly+query(fmt.Sprintf("select %d", i)), withPassword())
		if err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 {
			wantValue(t, source, float64(i))
		}
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, source := range sources {
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

// PG-11: a query whose backend stops answering ends by the deadline; its connection is not used again, and others read on.
func TestFrozenBackend(t *testing.T) {
	server := withJobs(t, servers.PostgresOptions{})
	b := newBench(t, sqlquery.DefaultLimits())
	frozen := b.open(t, at(server.Addr())+plainly+query("select count(*) from jobs"), withPassword())
	other := b.open(t, at(server.Addr())+plainly+query("select count(*) + 1 from jobs"), withPassword())
	wantValue(t, frozen, 7)
	var pid int
	if err := server.DB().QueryRowContext(within(t), "select pid from pg_stat_activity where usename = 'reader'").Scan(&pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }() // it may have ended
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	start := time.Now()
	if reading, err := frozen.Read(ctx); err == nil || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("read %+v, %v of a frozen backend", reading, err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %s", took)
	}
	wantValue(t, other, 8)
	await(t, func() string {
		if reading, err := frozen.Read(within(t)); err != nil || reading.Value != 7 {
			return fmt.Sprint(reading, err)
		}
		return ""
	})
}

// The server ends a query by itself when the time of the read is over, so that a client that is gone leaves no work behind.
func timeoutOnTheServer(t *testing.T, server *servers.Postgres) {
	source := newBench(t, sqlquery.DefaultLimits()).open(t, at(server.Addr())+plainly+query("select count(*) + 0 * length(pg_sleep(60)::text) from jobs"), withPassword())
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := source.Read(ctx)
	const cancelled = "the query was cancelled, most likely because it ran longer than the trigger's timeout: ERROR: canceling statement due to statement timeout (SQLSTATE 57014)"
	// On a busy machine the server's word may come too late; it has ended the query all the same.
	if err == nil || err.Error() != cancelled && !strings.HasPrefix(err.Error(), "no answer in time: ") {
		t.Errorf("got  %v\nwant %s", err, cancelled)
	}
	await(t, func() string {
		var n int
		if err := server.DB().QueryRowContext(within(t), "select count(*) from pg_stat_activity where usename = 'reader' and wait_event = 'PgSleep'").Scan(&n); err != nil || n > 0 {
			return fmt.Sprint(n, " queries still run ", err)
		}
		return ""
	})
}

// PG-13: after a failover behind one name the connections to the old server end by age.
func TestFailoverBehindOneName(t *testing.T) {
	old := withJobs(t, servers.PostgresOptions{})
	standby := servers.MustPostgres(t, servers.PostgresOptions{Standby: old})
	name := &switchboard{to: old.Addr()}
	limits := sqlquery.DefaultLimits()
	limits.Age = 300 * time.Millisecond
	registry, err := scalers.NewRegistry(definition(scalers.Env{Dial: name.dial}, limits))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{registry: registry}
	any := b.open(t, "host: db, username: reader, database: postgres, passwordFrom: {secret: s, key: password}, "+plainly+query("select count(*) from jobs"), withPassword())
	primary := b.open(t, "host: db, username: reader, database: postgres, targetSessionAttrs: primary, passwordFrom: {secret: s, key: password}, "+plainly+query("select count(*) from jobs"), withPassword())
	wantValue(t, any, 7)
	wantValue(t, primary, 7)
	// The name moves to a server that has not been promoted yet: who wants the primary is told so.
	name.set(standby.Addr())
	await(t, func() string {
		if _, err := primary.Read(within(t)); err == nil || !strings.Contains(err.Error(), "no server is one that targetSessionAttrs asks for: db.shop.svc:5432 (db.shop.svc): ValidateConnect failed: server is in standby mode") {
			return fmt.Sprint("reads on: ", err)
		}
		return ""
	})
	exec(t, standby.DB(), "select pg_promote()")
	await(t, func() string {
		_, err := standby.DB().ExecContext(within(t), "insert into jobs (id) values (8)")
		if err != nil {
			return err.Error()
		}
		return ""
	})
	for _, source := range []*scalers.Source{any, primary} {
		await(t, func() string {
			if reading, err := source.Read(within(t)); err != nil || reading.Value != 8 {
				return fmt.Sprint(reading, err)
			}
			return ""
		})
	}
}

// A hot standby cancels a query that is in the way of what it replays. One cancel is retried within the poll; two are an error.
func standbyCancel(t *testing.T, server *servers.Postgres) {
	// The first call of a session and an argument fails as the standby does. The lock outlives the transaction.
	exec(t, server.DB(), `create function cancelled(times int) returns int language plpgsql as $$ declare n int; begin
		for n in 1..times loop if not exists (select from pg_locks where locktype = 'advisory' and objid = n and pid = pg_backend_pid()) then
			perform pg_advisory_lock(n); raise exception 'canceling statement due to conflict with recovery' using errcode = '40001'; end if; end loop;
		perform pg_advisory_unlock_all(); return 5; end $$`)
	b := newBench(t, sqlquery.DefaultLimits())
	wantValue(t, b.open(t, at(server.Addr())+plainly+query("select cancelled(1)"), withPassword()), 5)
	wantError(t, b.open(t, at(server.Addr())+plainly+query("select cancelled(2)"), withPassword()),
		"the standby had to cancel the query twice to replay changes; ask the primary, or raise max_standby_streaming_delay: ERROR: canceling statement due to conflict with recovery (SQLSTATE 40001)")
}
