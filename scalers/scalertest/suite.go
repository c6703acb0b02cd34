// Package scalertest is the contract that every scaler keeps, as a test suite: a scaler's own tests call Run with a running server.
//
// It owns the promises that are the same for every source: no I/O before the first read, an answer or an error by the deadline, an error and never 0 for every
// failure, no secret in an error, nothing left open. It knows no source and no meaning of a number.
package scalertest

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

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
	// deadline of a read that cannot succeed, and grace that a busy machine may add. What bounds a read beside its deadline
	// is longer than the grace.
	deadline = 300 * time.Millisecond
	grace    = 2500 * time.Millisecond
	// patience is the deadline of a read that should succeed.
	patience = 30 * time.Second
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

func (s Suite) bench(t *testing.T) *Bench {
	t.Helper()
	return NewBench(t, s.Definition)
}

// open opens the suite's trigger for a server and a password. The caller closes it.
func (s Suite) open(t *testing.T, b *Bench, address, secret string) *scalers.Source {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("ADDRESS", address, "HOST", host, "PORT", port, "SECRET", "{secret: s, key: k}").Replace(s.Trigger)
	source, err := b.Try(t, text, Texts{"k": secret})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func (s Suite) opensWithoutIO(t *testing.T) {
	b := s.bench(t)
	for range 3 {
		Close(t, s.open(t, b, s.Address, s.Password))
	}
	if n := b.Dials(); n != 0 {
		t.Errorf("dialled %d times; want none before the first read", n)
	}
}

func (s Suite) reads(t *testing.T) {
	b := s.bench(t)
	source := s.open(t, b, s.Address, s.Password)
	defer Close(t, source)
	for range 3 {
		WantValue(t, source, s.Want)
	}
	if b.Dials() == 0 {
		t.Error("connected without the dialer of the environment")
	}
}

func (s Suite) outages(t *testing.T) {
	proxy := servers.MustProxy(t, s.Address)
	source := s.open(t, s.bench(t), proxy.Addr(), s.Password)
	defer Close(t, source)
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

// recovers waits until the source reads again. A reading that is no error and not the right one is none that an outage excuses.
func (s Suite) recovers(t *testing.T, source *scalers.Source) {
	t.Helper()
	Await(t, func() string {
		reading, err := source.Read(Within(t))
		switch {
		case err != nil:
			return err.Error()
		case reading.Value != s.Want:
			t.Fatalf("read %+v; want %v", reading, s.Want)
		}
		return ""
	})
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
		case Leaks(err.Error(), wrong, 6):
			t.Errorf("the error quotes the password: %v", err)
		}
		Close(t, source)
	}
}

func (s Suite) identities(t *testing.T) {
	b := s.bench(t)
	right, wrong := s.open(t, b, s.Address, s.Password), s.open(t, b, s.Address, "canary-8d1f7")
	defer Close(t, right)
	defer Close(t, wrong)
	WantValue(t, right, s.Want)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if reading, err := wrong.Read(ctx); err == nil {
		t.Errorf("read %+v with a wrong password beside a right one; want an error", reading)
	}
	WantValue(t, right, s.Want)
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
		Close(t, source)
	}
	b.WantAllClosed(t)
	goleak.VerifyNone(t, running)
}

func (s Suite) registries(t *testing.T) {
	one, two := s.bench(t), s.bench(t)
	first, second := s.open(t, one, s.Address, s.Password), s.open(t, two, s.Address, s.Password)
	WantValue(t, first, s.Want)
	WantValue(t, second, s.Want)
	if one.Dials() == 0 || two.Dials() == 0 {
		t.Error("one registry reads through the connections of the other")
	}
	Close(t, first)
	one.WantAllClosed(t)
	WantValue(t, second, s.Want)
	Close(t, second)
	two.WantAllClosed(t)
}
