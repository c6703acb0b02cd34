package scalertest

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schema"
	"autoscale.io/scalers"
)

// Bench opens triggers of one definition, as one process of the product would, and knows what they dial.
type Bench struct {
	registry *scalers.Registry
	// dials counts the connections that were opened or tried, open those that were not closed yet.
	dials, open atomic.Int64

	mu sync.Mutex
	// dialled is the address that was asked for last, and redirect the one that is connected to instead, if set.
	dialled, redirect string
}

// NewBench makes a bench of its own.
func NewBench(t *testing.T, define func(scalers.Env) scalers.Definition) *Bench {
	t.Helper()
	b := &Bench{}
	b.registry = newRegistry(t, define, scalers.Env{Dial: b.dial})
	return b
}

// NewBenchIn makes a bench whose scalers have this environment as it is; what they dial is not known.
func NewBenchIn(t *testing.T, define func(scalers.Env) scalers.Definition, env scalers.Env) *Bench {
	t.Helper()
	return &Bench{registry: newRegistry(t, define, env)}
}

func newRegistry(t *testing.T, define func(scalers.Env) scalers.Definition, env scalers.Env) *scalers.Registry {
	t.Helper()
	registry, err := scalers.NewRegistry(define(env))
	if err != nil {
		t.Fatal(err)
	}
	return registry
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

func (b *Bench) dial(ctx context.Context, network, address string) (net.Conn, error) {
	b.dials.Add(1)
	b.mu.Lock()
	b.dialled = address
	if b.redirect != "" {
		address = b.redirect
	}
	b.mu.Unlock()
	conn, err := Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	b.open.Add(1)
	return &countedConn{TCPConn: conn.(*net.TCPConn), closed: sync.OnceFunc(func() { b.open.Add(-1) })}, nil
}

// Dials is how many connections were opened or tried.
func (b *Bench) Dials() int64 { return b.dials.Load() }

// Dialled is the address that was asked for last.
func (b *Bench) Dialled() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dialled
}

// Redirect leads every name to one address: for new connections alone, as DNS does.
func (b *Bench) Redirect(address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.redirect = address
}

// Texts are references that are resolved by their keys.
type Texts map[string]string

// Resolve implements scalers.References.
func (r Texts) Resolve(_ context.Context, ref schema.Ref) (string, error) { return r[ref.Key], nil }

// Decode decodes a trigger of the name t.
func (b *Bench) Decode(trigger string) annotations.Result {
	return annotations.Decode(map[string]string{annotations.Prefix + "max-replicas": "10", annotations.Prefix + "trigger.t": trigger}, b.registry)
}

// Faults are those of a trigger, and Warnings its warnings, joined by | and without the key.
func (b *Bench) Faults(trigger string) (faults, warnings string) {
	result := b.Decode(trigger)
	text := func(all annotations.Faults) string {
		return strings.ReplaceAll(strings.Join(all.Texts(), "|"), annotations.Prefix+"trigger.t: ", "")
	}
	return text(result.Faults), text(result.Warnings)
}

// Try opens a trigger without faults in the namespace shop. The error is that of opening it. The caller closes it.
func (b *Bench) Try(t *testing.T, trigger string, refs Texts) (*scalers.Source, error) {
	t.Helper()
	result := b.Decode(trigger)
	if len(result.Faults) > 0 {
		t.Fatalf("%s: %v", trigger, result.Faults)
	}
	return b.registry.Open(t.Context(), scalers.Host{Namespace: "shop", MaxReplicas: 10}, result.Workload.Triggers[0], refs)
}

// Open opens a trigger that can be opened. It is closed with the test, or before it with Close.
func (b *Bench) Open(t *testing.T, trigger string, refs Texts) *scalers.Source {
	t.Helper()
	source, err := b.Try(t, trigger, refs)
	if err != nil {
		t.Fatalf("%s: %v", trigger, err)
	}
	t.Cleanup(func() { Close(t, source) })
	return source
}

// Attempt opens a trigger without faults, reads it once and closes it. The error is that of what failed.
func (b *Bench) Attempt(t *testing.T, trigger string, refs Texts) error {
	t.Helper()
	source, err := b.Try(t, trigger, refs)
	if err != nil {
		return err
	}
	defer Close(t, source)
	_, err = source.Read(Within(t))
	return err
}

// Close closes a source, which may be closed already.
func Close(t *testing.T, source *scalers.Source) {
	t.Helper()
	if err := source.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// WantAllClosed waits until no connection is open: a dial that nobody waits for any more may still be on its way.
func (b *Bench) WantAllClosed(t *testing.T) {
	t.Helper()
	Await(t, func() string {
		if n := b.open.Load(); n > 0 {
			return fmt.Sprintf("%d of %d connections are still open after every source was closed", n, b.dials.Load())
		}
		return ""
	})
}

// Within is a context with a deadline that a slow machine can keep.
func Within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// Await looks at a condition until it returns an empty text; the last text ends the test.
func Await(t *testing.T, condition func() string) {
	t.Helper()
	ctx := Within(t)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		missing := condition()
		if missing == "" {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(missing)
		case <-ticker.C:
		}
	}
}

// WantValue reads once.
func WantValue(t *testing.T, source *scalers.Source, want float64) {
	t.Helper()
	if missing := reads(t, source, want); missing != "" {
		t.Error(missing)
	}
}

// AwaitValue reads until the value is there.
func AwaitValue(t *testing.T, source *scalers.Source, want float64) {
	t.Helper()
	Await(t, func() string { return reads(t, source, want) })
}

// WantError reads once and compares the whole error.
func WantError(t *testing.T, source *scalers.Source, want string) {
	t.Helper()
	if missing := fails(t, source, want); missing != "" {
		t.Error(missing)
	}
}

// AwaitError reads until that is the error.
func AwaitError(t *testing.T, source *scalers.Source, want string) {
	t.Helper()
	Await(t, func() string { return fails(t, source, want) })
}

func reads(t *testing.T, source *scalers.Source, want float64) (missing string) {
	t.Helper()
	reading, err := source.Read(Within(t))
	if err != nil || reading.Value != want {
		return fmt.Sprintf("read %+v, %v; want %v", reading, err, want)
	}
	return ""
}

func fails(t *testing.T, source *scalers.Source, want string) (missing string) {
	t.Helper()
	reading, err := source.Read(Within(t))
	if err == nil || err.Error() != want {
		return fmt.Sprintf("read %+v\ngot  %v\nwant %s", reading, err, want)
	}
	return ""
}

// Leaks says whether a text holds a piece of the secret, of that many letters: one that is too long to be there by chance.
func Leaks(text, secret string, piece int) bool {
	for i := 0; i+piece <= len(secret); i++ {
		if strings.Contains(text, secret[i:i+piece]) {
			return true
		}
	}
	return false
}
