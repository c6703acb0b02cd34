package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schema"
	"autoscale.io/scalers"
	"autoscale.io/scalers/scalertest/servers"
	"autoscale.io/scalers/sqlquery"
)

func TestMain(m *testing.M) {
	// The proxy of the tests forgets a goroutine when a fault is taken away while bytes pass.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*NoopToxic).Pipe"))
}

// secret is the password of the user reader, unlike any word of an error.
const secret = "correct-horse-42"

// within is a context with a deadline that a slow machine can keep.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// exec runs statements as whoever the pool is.
func exec(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := db.ExecContext(within(t), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// jobs are a table with seven rows and a user who may read it.
func jobs(t *testing.T, server *servers.Postgres) {
	t.Helper()
	exec(t, server.DB(), "create table jobs (id int, done bool default false, cost numeric)", "insert into jobs (id, cost) select n, n from generate_series(1, 7) n",
		"create role reader login password '"+secret+"'", "grant select on jobs to reader")
}

func withJobs(t *testing.T, opts servers.PostgresOptions) *servers.Postgres {
	t.Helper()
	server := servers.MustPostgres(t, opts)
	jobs(t, server)
	return server
}

// bench opens triggers of one definition, and counts what they dial.
type bench struct {
	registry *scalers.Registry
	dials    atomic.Int64
	// address is what was dialled last.
	address atomic.Value
}

func newBench(t *testing.T, limits sqlquery.Limits) *bench {
	t.Helper()
	b := &bench{}
	registry, err := scalers.NewRegistry(definition(scalers.Env{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		b.dials.Add(1)
		b.address.Store(address)
		return new(net.Dialer).DialContext(ctx, network, address)
	}}, limits))
	if err != nil {
		t.Fatal(err)
	}
	b.registry = registry
	return b
}

// texts resolves references by key.
type texts map[string]string

func (r texts) Resolve(_ context.Context, ref schema.Ref) (string, error) { return r[ref.Key], nil }

func decode(t *testing.T, b *bench, trigger string) annotations.Result {
	t.Helper()
	return annotations.Decode(map[string]string{"autoscale.io/max-replicas": "10", "autoscale.io/trigger.t": "{type: postgres, target: 1, " + trigger + "}"}, b.registry)
}

// try opens a trigger, which may be faulty.
func (b *bench) try(t *testing.T, trigger string, refs texts) (*scalers.Source, error) {
	t.Helper()
	result := decode(t, b, trigger)
	if len(result.Faults) > 0 {
		t.Fatalf("%s: %v", trigger, result.Faults)
	}
	source, err := b.registry.Open(t.Context(), scalers.Host{Namespace: "shop", MaxReplicas: 10}, result.Workload.Triggers[0], refs)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := source.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return source, nil
}

func (b *bench) open(t *testing.T, trigger string, refs texts) *scalers.Source {
	t.Helper()
	source, err := b.try(t, trigger, refs)
	if err != nil {
		t.Fatalf("%s: %v", trigger, err)
	}
	return source
}

// at names a server in parameters, and the user reader.
func at(address string) string {
	host, port, _ := net.SplitHostPort(address)
	return fmt.Sprintf("host: %s, port: %s, username: reader, database: postgres, passwordFrom: {secret: s, key: password}, ", host, port)
}

const plainly = "sslmode: disable, "

func withPassword() texts { return texts{"password": secret} }

func query(text string) string { return fmt.Sprintf("query: %q", text) }

func wantValue(t *testing.T, source *scalers.Source, want float64) {
	t.Helper()
	reading, err := source.Read(within(t))
	if err != nil || reading.Value != want {
		t.Errorf("read %+v, %v; want %v", reading, err, want)
	}
}

func wantError(t *testing.T, source *scalers.Source, want string) {
	t.Helper()
	reading, err := source.Read(within(t))
	if err == nil || err.Error() != want {
		t.Errorf("read %+v\ngot  %v\nwant %s", reading, err, want)
	}
}

// await polls a condition until it returns an empty text.
func await(t *testing.T, condition func() string) {
	t.Helper()
	ctx := within(t)
	for {
		missing := condition()
		if missing == "" {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(missing)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// connections counts those of reader, as the server sees them.
func connections(t *testing.T, server *servers.Postgres) (n int) {
	t.Helper()
	if err := server.DB().QueryRowContext(within(t), "select count(*) from pg_stat_activity where usename = 'reader'").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// leaks says whether the text holds a piece of the secret that is too long to be there by chance.
func leaks(text, secret string) bool {
	const piece = 3
	for i := 0; i+piece <= len(secret); i++ {
		if strings.Contains(text, secret[i:i+piece]) {
			return true
		}
	}
	return false
}

// switchboard leads a name to one server and later to another: for new connections alone, as DNS does.
type switchboard struct {
	mu sync.Mutex
	to string
}

func (s *switchboard) set(to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to = to
}

func (s *switchboard) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	s.mu.Lock()
	to := s.to
	s.mu.Unlock()
	return new(net.Dialer).DialContext(ctx, network, to)
}
