// Package scalertest is the contract that every scaler keeps, as a test suite: a scaler's own tests call Run with a running server.
//
// It owns the promises that are the same for every source: no I/O before the first read, an answer or an error by the deadline, an error and never 0 for every
// failure, no secret in an error, nothing left open. It knows no source and no meaning of a number.
package scalertest

import (
	"context"
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
)

// Suite describes one scaler and a server to try it on.
type Suite struct {
	// Definition makes the scaler's definition.
	Definition func(scalers.Env) scalers.Definition
	// Address is host:port of a running server that demands a password.
	Address string
	// Trigger is the YAML of a trigger in which ADDRESS, HOST and PORT stand for the server's, and SECRET for a reference to the password: passwordFrom: SECRET.
	Trigger string
	// Password is the right one, at least 8 letters long and unlike any word of an error.
	Password string
	// Want is what the trigger reads.
	Want float64
}

const (
	// deadline of a read that cannot succeed, and grace that a busy machine may add.
	deadline = 300 * time.Millisecond
	grace    = 500 * time.Millisecond
	// patience is the deadline of a read that should succeed.
	patience = 20 * time.Second
	// rounds is how often a leak is given the chance to show.
	rounds = 50
)

// Run tries the contract.
func Run(t *testing.T, s Suite) {
	t.Run("opening does no I/O", s.opensWithoutIO)
	t.Run("reads", s.reads)
	t.Run("an outage is an error by the deadline", s.outages)
	t.Run("a wrong password is an error that keeps it secret", s.wrongPassword)
	t.Run("who has the wrong password borrows nobody's connection", s.identities)
	t.Run("leaves nothing open", s.leaks)
	t.Run("registries share nothing", s.registries)
}

// bench is a registry of the one definition, with a dialer that counts.
type bench struct {
	registry *scalers.Registry
	// dials counts the connections that were opened or tried, open those that were not closed yet.
	dials, open atomic.Int64
}

// countedConn counts itself out when it is closed. One that the garbage collector closes stays counted.
type countedConn struct {
	*net.TCPConn
	closed func()
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	c.closed()
	return c.TCPConn.Close()
}

func (b *bench) dial(ctx context.Context, network, address string) (net.Conn, error) {
	b.dials.Add(1)
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	b.open.Add(1)
	return &countedConn{TCPConn: conn.(*net.TCPConn), closed: sync.OnceFunc(func() { b.open.Add(-1) })}, nil
}

func (s Suite) bench(t *testing.T) *bench {
	t.Helper()
	b := &bench{}
	registry, err := scalers.NewRegistry(s.Definition(scalers.Env{Dial: b.dial}))
	if err != nil {
		t.Fatal(err)
	}
	b.registry = registry
	return b
}

// password is a References that knows one text.
type password string

// Resolve implements scalers.References.
func (p password) Resolve(context.Context, schema.Ref) (string, error) { return string(p), nil }

// open opens the suite's trigger for a server and a password. The caller closes it.
func (s Suite) open(t *testing.T, b *bench, address, secret string) *scalers.Source {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("ADDRESS", address, "HOST", host, "PORT", port, "SECRET", "{secret: s, key: k}").Replace(s.Trigger)
	result := annotations.Decode(map[string]string{
		annotations.Prefix + "max-replicas": "10",
		annotations.Prefix + "trigger.t":    text,
	}, b.registry)
	if len(result.Faults) > 0 {
		t.Fatal(result.Faults)
	}
	source, err := b.registry.Open(t.Context(), scalers.Host{Namespace: "ns", MaxReplicas: 10}, result.Workload.Triggers[0], password(secret))
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func closeSource(t *testing.T, source *scalers.Source) {
	t.Helper()
	if err := source.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func (s Suite) wantReading(t *testing.T, source *scalers.Source) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	reading, err := source.Read(ctx)
	if err != nil || reading.Value != s.Want {
		t.Errorf("read %+v, %v; want %v", reading, err, s.Want)
	}
}

func (s Suite) opensWithoutIO(t *testing.T) {
	b := s.bench(t)
	for range 3 {
		closeSource(t, s.open(t, b, s.Address, s.Password))
	}
	if n := b.dials.Load(); n != 0 {
		t.Errorf("dialled %d times; want none before the first read", n)
	}
}

func (s Suite) reads(t *testing.T) {
	b := s.bench(t)
	source := s.open(t, b, s.Address, s.Password)
	defer closeSource(t, source)
	for range 3 {
		s.wantReading(t, source)
	}
	if b.dials.Load() == 0 {
		t.Error("connected without the dialer of the environment")
	}
}

func (s Suite) outages(t *testing.T) {
	proxy := servers.MustProxy(t, s.Address)
	source := s.open(t, s.bench(t), proxy.Addr(), s.Password)
	defer closeSource(t, source)
	for _, outage := range []struct {
		name string
		mode servers.Mode
	}{{"silent", servers.Silent}, {"refuse", servers.Refuse}, {"reset", servers.Reset}, {"freeze", servers.Freeze}} {
		if err := proxy.Set(servers.Pass); err != nil {
			t.Fatal(err)
		}
		s.recovers(t, source)
		if err := proxy.Set(outage.mode); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			s.wantFailure(t, outage.name, source)
		}
	}
}

// recovers waits until the source reads again.
func (s Suite) recovers(t *testing.T, source *scalers.Source) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		reading, err := source.Read(ctx)
		switch {
		case err == nil && reading.Value == s.Want:
			return
		case err == nil || ctx.Err() != nil:
			t.Fatalf("read %+v, %v; want %v", reading, err, s.Want)
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s Suite) wantFailure(t *testing.T, name string, source *scalers.Source) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	start := time.Now()
	reading, err := source.Read(ctx)
	if err == nil {
		t.Errorf("%s: read %+v; want an error", name, reading)
	}
	if late := time.Since(start) - deadline; late > grace {
		t.Errorf("%s: came back %v after the deadline", name, late)
	}
	if err != nil && strings.Contains(err.Error(), s.Password) {
		t.Errorf("%s: the error quotes the password: %v", name, err)
	}
}

func (s Suite) wrongPassword(t *testing.T) {
	for _, wrong := range []string{"canary-8d1f7", "a b'c\"d\\e@f/g#h%i"} {
		source := s.open(t, s.bench(t), s.Address, wrong)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		reading, err := source.Read(ctx)
		cancel()
		switch {
		case err == nil:
			t.Errorf("read %+v with a wrong password; want an error", reading)
		case leaks(err.Error(), wrong):
			t.Errorf("the error quotes the password: %v", err)
		}
		closeSource(t, source)
	}
}

// leaks says whether the text holds a piece of the secret that is too long to be there by chance.
func leaks(text, secret string) bool {
	const piece = 6
	for i := 0; i+piece <= len(secret); i++ {
		if strings.Contains(text, secret[i:i+piece]) {
			return true
		}
	}
	return false
}

func (s Suite) identities(t *testing.T) {
	b := s.bench(t)
	right, wrong := s.open(t, b, s.Address, s.Password), s.open(t, b, s.Address, "canary-8d1f7")
	defer closeSource(t, right)
	defer closeSource(t, wrong)
	s.wantReading(t, right)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if reading, err := wrong.Read(ctx); err == nil {
		t.Errorf("read %+v with a wrong password beside a right one; want an error", reading)
	}
	s.wantReading(t, right)
}

func (s Suite) leaks(t *testing.T) {
	running := goleak.IgnoreCurrent()
	b := s.bench(t)
	for round := range rounds {
		secret := s.Password
		if round%5 == 4 {
			// Failures must not leak either.
			secret = "canary-8d1f7"
		}
		source := s.open(t, b, s.Address, secret)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_, err := source.Read(ctx)
		cancel()
		if (err != nil) != (secret != s.Password) {
			t.Fatalf("round %d: %v", round, err)
		}
		closeSource(t, source)
	}
	b.wantAllClosed(t)
	goleak.VerifyNone(t, running)
}

// wantAllClosed waits until no connection is open: a dial that nobody waits for any more may still be on its way.
func (b *bench) wantAllClosed(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(patience); b.open.Load() > 0; {
		if time.Now().After(end) {
			t.Fatalf("%d of %d connections are still open after every source was closed", b.open.Load(), b.dials.Load())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (s Suite) registries(t *testing.T) {
	one, two := s.bench(t), s.bench(t)
	first, second := s.open(t, one, s.Address, s.Password), s.open(t, two, s.Address, s.Password)
	s.wantReading(t, first)
	s.wantReading(t, second)
	if one.dials.Load() == 0 || two.dials.Load() == 0 {
		t.Error("one registry reads through the connections of the other")
	}
	closeSource(t, first)
	one.wantAllClosed(t)
	s.wantReading(t, second)
	closeSource(t, second)
	two.wantAllClosed(t)
}
