// Package sqltest is what the scalers of all databases promise beyond the contract of scalertest, as tests that run on a server of either kind.
//
// It owns the scenarios that are the same for every database. It knows no dialect: what a database words or forbids in its own way is an argument.
package sqltest

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"autoscale.io/scalers"
	"autoscale.io/scalers/scalertest"
	"autoscale.io/scalers/scalertest/servers"
)

// Password is that of the user reader, unlike any word of an error.
const Password = "correct-horse-42"

// Main is TestMain of a database's package.
func Main(m *testing.M) {
	// The proxy of the tests forgets a goroutine when a fault is taken away while bytes pass.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*NoopToxic).Pipe"))
}

// Server is a running server with a table jobs of seven rows, which the user reader may read.
type Server interface {
	Addr() string
	// DB is a pool of the administrator's.
	DB() *sql.DB
}

// Kit is how one kind of database is tested.
type Kit struct {
	// Define makes the scaler's definition.
	Define func(scalers.Env) scalers.Definition
	// Trigger is the YAML of a trigger of reader's on a server at an address, with the password of the key password and without the query. More
	// parameters are put before it, each followed by a comma.
	Trigger func(address, more, query string) string
	// Connections is a query for the number of reader's connections.
	Connections string
}

// Exec runs statements as whoever the pool is.
func Exec(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := db.ExecContext(scalertest.Within(t), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// Number asks for one.
func Number(t *testing.T, server Server, query string) (n int) {
	t.Helper()
	if err := server.DB().QueryRowContext(scalertest.Within(t), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// AwaitNumber asks until that is the answer.
func AwaitNumber(t *testing.T, server Server, query string, want int) {
	t.Helper()
	scalertest.Await(t, func() string {
		if n := Number(t, server, query); n != want {
			return fmt.Sprintf("%s: got %d, want %d", query, n, want)
		}
		return ""
	})
}

// WithPassword are the references of a trigger whose password is right.
func WithPassword() scalertest.Texts { return scalertest.Texts{"password": Password} }

// PEM makes certificates.
func PEM(t *testing.T) servers.PEM {
	t.Helper()
	pem, err := servers.NewPEM(time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return pem
}

// Bench is a bench of the kit's definition.
func (k Kit) Bench(t *testing.T) *scalertest.Bench {
	t.Helper()
	return scalertest.NewBench(t, k.Define)
}

// AtMost compares the number of connections.
func (k Kit) AtMost(t *testing.T, server Server, most int) {
	t.Helper()
	if n := Number(t, server, k.Connections); n > most {
		t.Errorf("%d connections, want at most %d", n, most)
	}
}

// Answer is a query with the value and note, or the fault, that it must come to. More is put before the query.
type Answer struct {
	Query, More string
	Value       float64
	Note, Fault string
}

// Answers asks each query.
func (k Kit) Answers(t *testing.T, server Server, answers []Answer) {
	t.Helper()
	b := k.Bench(t)
	for _, a := range answers {
		source := b.Open(t, k.Trigger(server.Addr(), a.More, a.Query), WithPassword())
		if a.Fault != "" {
			scalertest.WantError(t, source, a.Fault)
			continue
		}
		if reading, err := source.Read(scalertest.Within(t)); err != nil || reading != (scalers.Reading{Value: a.Value, Note: a.Note}) {
			t.Errorf("%s: got %+v, %v", a.Query, reading, err)
		}
	}
}

// Fault is a trigger with the faults and warnings that it has, as scalertest.Bench joins them.
type Fault struct{ Trigger, Faults, Warnings string }

// Faults decodes each trigger, of a type, with a query.
func (k Kit) Faults(t *testing.T, typ string, faults []Fault) {
	t.Helper()
	b := k.Bench(t)
	for _, f := range faults {
		gotFaults, gotWarnings := b.Faults("{type: " + typ + ", target: 1, " + f.Trigger + "query: select 1}")
		if gotFaults != f.Faults || gotWarnings != f.Warnings {
			t.Errorf("%s:\ngot faults   %s\nwant         %s\ngot warnings %s\nwant         %s", f.Trigger, gotFaults, f.Faults, gotWarnings, f.Warnings)
		}
	}
}

// ManyShareFew has a thousand workloads on one database hold few connections, and identical queries, each of which takes half a second, run together. Every second
// workload has more parameters, and is watched where they let it be.
func (k Kit) ManyShareFew(t *testing.T, server Server, more, slow string, value float64) {
	t.Helper()
	b := k.Bench(t)
	var reading sync.WaitGroup
	for i := range 1000 {
		every := more
		if i%2 == 0 {
			every = ""
		}
		source := b.Open(t, k.Trigger(server.Addr(), every, fmt.Sprintf("select count(*) from jobs where id <> %d", 100+i)), WithPassword())
		if source.Wakes() {
			defer source.Watch(func() {}, func(err error) { t.Error(err) })()
		}
		reading.Go(func() { scalertest.WantValue(t, source, 7) })
	}
	reading.Wait()
	k.AtMost(t, server, 4)
	for range 100 {
		source := b.Open(t, k.Trigger(server.Addr(), "", slow), WithPassword())
		reading.Go(func() { scalertest.WantValue(t, source, value) })
	}
	start := time.Now()
	reading.Wait()
	// One by one, three at a time, they would take 17 s. The margin is for a busy machine.
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("100 identical queries of half a second took %s together", took)
	}
}

const count = "select count(*) from jobs"

// NothingIsLeftOpen is PG-10 and SP-06: neither failing, nor editing, nor closing leaves anything behind.
func (k Kit) NothingIsLeftOpen(t *testing.T, server Server) {
	t.Helper()
	proxy := servers.MustProxy(t, server.Addr())
	b := k.Bench(t)
	var sources []*scalers.Source
	for range 100 {
		sources = append(sources, b.Open(t, k.Trigger(proxy.Addr(), "", count), WithPassword()))
	}
	set(t, proxy, servers.Refuse)
	before := runtime.NumGoroutine()
	for range 10 {
		for _, source := range sources {
			if reading, err := source.Read(scalertest.Within(t)); err == nil {
				t.Fatalf("read %+v of a server that refuses", reading)
			}
		}
	}
	scalertest.Await(t, func() string {
		if n := runtime.NumGoroutine(); n > before+2 {
			return fmt.Sprintf("%d goroutines after 1000 failed reads, %d before", n, before)
		}
		return ""
	})
	set(t, proxy, servers.Pass)
	for _, source := range sources {
		scalertest.WantValue(t, source, 7)
	}
	k.AtMost(t, server, 3)
	k.edits(t, b, server)
	for _, source := range sources {
		scalertest.Close(t, source)
	}
	AwaitNumber(t, server, k.Connections, 0)
	b.WantAllClosed(t)
}

// edits opens the new trigger and closes the old one a thousand times.
func (k Kit) edits(t *testing.T, b *scalertest.Bench, server Server) {
	t.Helper()
	for i := range 1000 {
		source, err := b.Try(t, k.Trigger(server.Addr(), "", fmt.Sprintf("select %d", i)), WithPassword())
		if err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 {
			scalertest.WantValue(t, source, float64(i))
		}
		scalertest.Close(t, source)
	}
}

func set(t *testing.T, proxy *servers.Proxy, mode servers.Mode) {
	t.Helper()
	if err := proxy.Set(mode); err != nil {
		t.Fatal(err)
	}
}

// EndsOnTheServer has the server end a query of a minute by itself when the time of the read is over, so that a client that is gone leaves no work behind. running
// is a query for how many of it still run.
func (k Kit) EndsOnTheServer(t *testing.T, server Server, minute, running, cancelled string) {
	t.Helper()
	source := k.Bench(t).Open(t, k.Trigger(server.Addr(), "", minute), WithPassword())
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := source.Read(ctx)
	// On a busy machine the server's word may come too late; it has ended the query all the same.
	if err == nil || err.Error() != cancelled && !strings.HasPrefix(err.Error(), "no answer in time: ") {
		t.Errorf("got  %v\nwant %s", err, cancelled)
	}
	AwaitNumber(t, server, running, 0)
}

// NoAnswerInTime reads what a frozen server cannot answer.
func NoAnswerInTime(t *testing.T, source *scalers.Source) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	start := time.Now()
	if reading, err := source.Read(ctx); err == nil || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("read %+v, %v of a frozen server", reading, err)
	}
	// The margin is for a busy machine. The server stays frozen for longer.
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
}

// RotatedPassword is AU-01: with the new password a trigger reads at once, whatever connections the old one left; with the old one it is an error. alter sets the
// password that stands for %s, and drop ends reader's connections.
func (k Kit) RotatedPassword(t *testing.T, server Server, alter, drop, refused string) {
	t.Helper()
	const another = "another-horse-43"
	b := k.Bench(t)
	trigger := k.Trigger(server.Addr(), "", count)
	old := b.Open(t, trigger, WithPassword())
	scalertest.WantValue(t, old, 7)
	Exec(t, server.DB(), fmt.Sprintf(alter, another))
	fresh := b.Open(t, trigger, scalertest.Texts{"password": another})
	scalertest.WantValue(t, fresh, 7)
	Exec(t, server.DB(), drop)
	scalertest.AwaitError(t, old, refused)
	scalertest.AwaitValue(t, fresh, 7)
}

// Documented is the block of SQL of a page of the documentation, with the password of the tests.
func Documented(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "```sql\n")
	block, _, found := strings.Cut(block, "```")
	if !found {
		t.Fatalf("%s has no block of SQL", page)
	}
	return strings.ReplaceAll(block, "'PASSWORD'", "'"+Password+"'")
}

// Hosts decodes and reads triggers of a type and compares the addresses that they dial: a host without a dot is a Service of the workload's namespace.
func (k Kit) Hosts(t *testing.T, typ string, dialled map[string]string) {
	t.Helper()
	for trigger, want := range dialled {
		b := k.Bench(t)
		source := b.Open(t, "{type: "+typ+", target: 1, timeout: 1s, query: select 1, "+trigger+"}", nil)
		// Nobody has the name here; what counts is what was asked for.
		_, _ = source.Read(scalertest.Within(t))
		if got := b.Dialled(); got != want {
			t.Errorf("%s: dialled %s, want %s", trigger, got, want)
		}
	}
}

// Identity is AU-10: everything that changes who asks, whom, or who is trusted, keeps connections apart; nothing else does. P are the scaler's parameters.
func Identity[P any](t *testing.T, key func(change func(*P)) [32]byte, apart, together map[string]func(*P)) {
	t.Helper()
	same := key(func(*P) {})
	for name, change := range apart {
		if key(change) == same {
			t.Errorf("%s: another one shares the connections", name)
		}
	}
	for name, change := range together {
		if key(change) != same {
			t.Errorf("%s: does not share the connections", name)
		}
	}
}
