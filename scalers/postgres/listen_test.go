package postgres

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"autoscale.io/scalers"
	"autoscale.io/scalers/scalertest"
	"autoscale.io/scalers/scalertest/servers"
	"autoscale.io/scalers/scalertest/sqltest"
)

// watch wakes a counter until the test ends.
type watch struct {
	wakes  atomic.Int64
	stop   func()
	mu     sync.Mutex
	broken []string
}

func startWatch(t *testing.T, source *scalers.Source) *watch {
	t.Helper()
	w := &watch{}
	w.stop = source.Watch(func() { w.wakes.Add(1) }, func(err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.broken = append(w.broken, err.Error())
	})
	t.Cleanup(w.stop)
	return w
}

func (w *watch) faults() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.broken...)
}

// more waits until there were more wakes than before.
func (w *watch) more(t *testing.T, before int64) {
	t.Helper()
	scalertest.Await(t, func() string {
		if n := w.wakes.Load(); n <= before {
			return fmt.Sprintf("%d wakes, want more than %d; breaks: %v", n, before, w.faults())
		}
		return ""
	})
}

// AU-11: the name of a channel is a value.
func TestOddChannels(t *testing.T) {
	server := withJobs(t, servers.PostgresOptions{})
	b := kit().Bench(t)
	count := query("select count(*) from jobs")
	for _, odd := range scalertest.OddNames() {
		w := startWatch(t, open(t, b, at(server.Addr())+plainly+fmt.Sprintf("listen: %q, ", odd)+count, sqltest.WithPassword()))
		w.more(t, 0)
		sqltest.Exec(t, server.DB(), "select pg_notify('"+strings.ReplaceAll(odd, "'", "''")+"', '')")
		w.more(t, 1)
		w.stop()
	}
}

func TestNotifyWakes(t *testing.T) {
	server := withJobs(t, servers.PostgresOptions{})
	proxy := servers.MustProxy(t, server.Addr())
	b := kit().Bench(t)
	count := query("select count(*) from jobs")
	const odd = `Jobs "of" shop; listen x`
	open := func(channel string) *scalers.Source {
		return open(t, b, at(proxy.Addr())+plainly+fmt.Sprintf("listen: %q, ", channel)+count, sqltest.WithPassword())
	}
	first, second, other := startWatch(t, open("jobs")), startWatch(t, open("jobs")), startWatch(t, open(odd))
	for _, w := range []*watch{first, second, other} {
		w.more(t, 0)
	}
	if n := sqltest.Number(t, server, kit().Connections); n != 1 {
		t.Errorf("%d connections listen, want 1", n)
	}
	sqltest.Exec(t, server.DB(), "notify jobs")
	first.more(t, 1)
	second.more(t, 1)
	if n := other.wakes.Load(); n != 1 {
		t.Errorf("%d wakes of another channel, want 1", n)
	}
	sqltest.Exec(t, server.DB(), `notify "`+strings.ReplaceAll(odd, `"`, `""`)+`"`)
	other.more(t, 1)

	t.Run("a burst makes few wakes", func(t *testing.T) {
		before := first.wakes.Load()
		start := time.Now()
		for range 200 {
			sqltest.Exec(t, server.DB(), "notify jobs")
		}
		first.more(t, before)
		most := int64(time.Since(start)/(100*time.Millisecond)) + 2
		if n := first.wakes.Load() - before; n > most {
			t.Errorf("%d wakes of 200 notifications in %s, want at most %d", n, time.Since(start), most)
		}
	})
	t.Run("who leaves is not missed", func(t *testing.T) {
		second.stop()
		before := first.wakes.Load()
		sqltest.Exec(t, server.DB(), "notify jobs")
		first.more(t, before)
	})
	t.Run("after a drop it listens again and wakes, as what came meanwhile is lost", func(t *testing.T) {
		// What the burst left is over when the server has nothing more to say and a pause has gone by.
		sqltest.Exec(t, server.DB(), "notify jobs")
		before := first.wakes.Load()
		first.more(t, before)
		before = first.wakes.Load()
		sqltest.Exec(t, server.DB(), "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'reader'", "notify jobs")
		scalertest.Await(t, func() string {
			if len(first.faults()) == 0 {
				return "the break was not reported"
			}
			return ""
		})
		first.more(t, before)
		want := "the connection that listens broke: the server refused: FATAL: terminating connection due to administrator command (SQLSTATE 57P01)"
		if faults := first.faults(); len(faults) != 1 || faults[0] != want {
			t.Errorf("got %q, want %s", faults, want)
		}
		before = first.wakes.Load()
		sqltest.Exec(t, server.DB(), "notify jobs")
		first.more(t, before)
	})
	t.Run("an outage is reported without the password", func(t *testing.T) {
		seen := len(first.faults())
		if err := proxy.Set(servers.Reset); err != nil {
			t.Fatal(err)
		}
		scalertest.Await(t, func() string {
			if len(first.faults()) < seen+2 {
				return "not reported"
			}
			return ""
		})
		before := first.wakes.Load()
		if err := proxy.Set(servers.Pass); err != nil {
			t.Fatal(err)
		}
		first.more(t, before)
		for _, fault := range first.faults() {
			if strings.Contains(fault, secret) {
				t.Errorf("the password is in %s", fault)
			}
		}
	})
	t.Run("the last one closes the connection", func(t *testing.T) {
		first.stop()
		other.stop()
		scalertest.Await(t, func() string {
			if n := sqltest.Number(t, server, kit().Connections); n > 0 {
				return fmt.Sprintf("%d connections are left", n)
			}
			return ""
		})
	})
}

// A read after a wake sees what the notification was about, even beside a query that began before.
func TestReadAfterWakeIsFresh(t *testing.T) {
	server := withJobs(t, servers.PostgresOptions{})
	sqltest.Exec(t, server.DB(), "create function slow() returns bigint language plpgsql volatile as $$ declare n bigint; begin select count(*) into n from jobs; perform pg_sleep(1); return n; end $$")
	b := kit().Bench(t)
	source := func() *scalers.Source {
		return open(t, b, at(server.Addr())+plainly+"listen: jobs, "+query("select slow()"), sqltest.WithPassword())
	}
	early, woken := source(), source()
	w := startWatch(t, woken)
	w.more(t, 0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		scalertest.WantValue(t, early, 7)
	}()
	scalertest.Await(t, func() string {
		var n int
		if err := server.DB().QueryRowContext(scalertest.Within(t), "select count(*) from pg_stat_activity where query = 'select slow()' and wait_event = 'PgSleep'").Scan(&n); err != nil || n != 1 {
			return fmt.Sprint(n, " queries are under way ", err)
		}
		return ""
	})
	before := w.wakes.Load()
	sqltest.Exec(t, server.DB(), "begin; insert into jobs (id) values (8); notify jobs; commit")
	w.more(t, before)
	scalertest.WantValue(t, woken, 8)
	<-done
}

func TestWithoutListenNobodyWakes(t *testing.T) {
	source := open(t, kit().Bench(t), "host: h, username: u, "+query("select 1"), nil)
	if source.Wakes() {
		t.Error("it says that it can wake")
	}
}
