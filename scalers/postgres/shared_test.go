package postgres

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"autoscale.io/scalers"
	"autoscale.io/scalers/scalertest"
	"autoscale.io/scalers/scalertest/servers"
	"autoscale.io/scalers/scalertest/sqltest"
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
					if reading, err := source.Read(scalertest.Within(t)); err != nil || reading.Value != float64(i) {
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
		sources = append(sources, open(t, kit().Bench(t), at(pooler.Addr())+plainly+query(fmt.Sprintf("select count(*) - 7 + %d from jobs", i)), sqltest.WithPassword()))
	}
	poll(sources, 30)
	if err := pooler.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A connection that was used a moment ago is not tried before it is used again; a poll later it is.
	scalertest.Await(t, func() string {
		for _, source := range sources {
			if _, err := source.Read(scalertest.Within(t)); err != nil {
				return err.Error()
			}
		}
		return ""
	})
	poll(sources, 5)
}

// A thousand workloads on one database hold few connections, every second with a channel to listen to; identical queries run together.
func TestManyWorkloadsShareFewConnections(t *testing.T) {
	kit().ManyShareFew(t, withJobs(t, servers.PostgresOptions{}), "listen: jobs, ", "select count(*) + 0 * length(pg_sleep(0.5)::text) from jobs", 7)
}

func TestNothingIsLeftOpen(t *testing.T) {
	kit().NothingIsLeftOpen(t, withJobs(t, servers.PostgresOptions{}))
}

// PG-11: a query whose backend stops answering ends by the deadline; its connection is not used again, and others read on.
func TestFrozenBackend(t *testing.T) {
	server := withJobs(t, servers.PostgresOptions{})
	b := kit().Bench(t)
	frozen := open(t, b, at(server.Addr())+plainly+query("select count(*) from jobs"), sqltest.WithPassword())
	other := open(t, b, at(server.Addr())+plainly+query("select count(*) + 1 from jobs"), sqltest.WithPassword())
	scalertest.WantValue(t, frozen, 7)
	var pid int
	if err := server.DB().QueryRowContext(scalertest.Within(t), "select pid from pg_stat_activity where usename = 'reader'").Scan(&pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }() // it may have ended
	sqltest.NoAnswerInTime(t, frozen)
	scalertest.WantValue(t, other, 8)
	scalertest.AwaitValue(t, frozen, 7)
}

func timeoutOnTheServer(t *testing.T, server *servers.Postgres) {
	kit().EndsOnTheServer(t, server, "select count(*) + 0 * length(pg_sleep(60)::text) from jobs",
		"select count(*) from pg_stat_activity where usename = 'reader' and wait_event = 'PgSleep'",
		"the query was cancelled, most likely because it ran longer than the trigger's timeout: ERROR: canceling statement due to statement timeout (SQLSTATE 57014)")
}

// PG-13: after a failover behind one name the connections to the old server end by age.
func TestFailoverBehindOneName(t *testing.T) {
	old := withJobs(t, servers.PostgresOptions{})
	standby := servers.MustPostgres(t, servers.PostgresOptions{Standby: old})
	limits := sqlquery.DefaultLimits()
	limits.Age = 300 * time.Millisecond
	b := scalertest.NewBench(t, func(env scalers.Env) scalers.Definition { return definition(env, limits) })
	b.Redirect(old.Addr())
	any := open(t, b, "host: db, username: reader, database: postgres, passwordFrom: {secret: s, key: password}, "+plainly+query("select count(*) from jobs"), sqltest.WithPassword())
	primary := open(t, b, "host: db, username: reader, database: postgres, targetSessionAttrs: primary, passwordFrom: {secret: s, key: password}, "+plainly+query("select count(*) from jobs"), sqltest.WithPassword())
	scalertest.WantValue(t, any, 7)
	scalertest.WantValue(t, primary, 7)
	// The name moves to a server that has not been promoted yet: who wants the primary is told so.
	b.Redirect(standby.Addr())
	scalertest.Await(t, func() string {
		if _, err := primary.Read(scalertest.Within(t)); err == nil || !strings.Contains(err.Error(), "no server is one that targetSessionAttrs asks for: db.shop.svc:5432 (db.shop.svc): ValidateConnect failed: server is in standby mode") {
			return fmt.Sprint("reads on: ", err)
		}
		return ""
	})
	sqltest.Exec(t, standby.DB(), "select pg_promote()")
	scalertest.Await(t, func() string {
		_, err := standby.DB().ExecContext(scalertest.Within(t), "insert into jobs (id) values (8)")
		if err != nil {
			return err.Error()
		}
		return ""
	})
	for _, source := range []*scalers.Source{any, primary} {
		scalertest.AwaitValue(t, source, 8)
	}
}

// A hot standby cancels a query that still needs the rows whose removal it replays. It is asked once more within the poll.
func TestStandbyCancelsForAReplay(t *testing.T) {
	primary := withJobs(t, servers.PostgresOptions{})
	standby := servers.MustPostgres(t, servers.PostgresOptions{Standby: primary, Config: []string{"max_standby_streaming_delay = 0"}})
	source := open(t, kit().Bench(t), at(standby.Addr())+plainly+query("select count(*) + 0 * length(pg_sleep(2)::text) from jobs"), sqltest.WithPassword())
	done := make(chan struct{})
	go func() {
		defer close(done)
		scalertest.WantValue(t, source, 6)
	}()
	sqltest.AwaitNumber(t, standby, "select count(*) from pg_stat_activity where usename = 'reader' and wait_event = 'PgSleep'", 1)
	sqltest.Exec(t, primary.DB(), "delete from jobs where id = 1", "vacuum jobs")
	<-done
	sqltest.AwaitNumber(t, standby, "select confl_snapshot from pg_stat_database_conflicts where datname = 'postgres'", 1)
}

// One cancel is retried within the poll; two are an error.
func standbyCancel(t *testing.T, server *servers.Postgres) {
	// The first call of a session and an argument fails as the standby does. The lock outlives the transaction.
	sqltest.Exec(t, server.DB(), `create function cancelled(times int) returns int language plpgsql as $$ declare n int; begin
		for n in 1..times loop if not exists (select from pg_locks where locktype = 'advisory' and objid = n and pid = pg_backend_pid()) then
			perform pg_advisory_lock(n); raise exception 'canceling statement due to conflict with recovery' using errcode = '40001'; end if; end loop;
		perform pg_advisory_unlock_all(); return 5; end $$`)
	b := kit().Bench(t)
	scalertest.WantValue(t, open(t, b, at(server.Addr())+plainly+query("select cancelled(1)"), sqltest.WithPassword()), 5)
	scalertest.WantError(t, open(t, b, at(server.Addr())+plainly+query("select cancelled(2)"), sqltest.WithPassword()),
		"the standby had to cancel the query twice to replay changes; ask the primary, or raise max_standby_streaming_delay: ERROR: canceling statement due to conflict with recovery (SQLSTATE 40001)")
}
