package scalers

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"strings"
	"sync/atomic"

	"autoscale.io/annotations/schema"
)

// guard bounds one scaler's reads in time and keeps its faults to itself.
type guard struct {
	scaler Scaler
	// reading is true while a read is under way, also a Read that outlived its deadline; until it comes back, no further one starts.
	reading atomic.Bool
}

// read calls then once: when the answer is there, or when ctx ends before that.
func (g *guard) read(ctx context.Context, then func(Reading, error)) {
	if !g.reading.CompareAndSwap(false, true) {
		then(Reading{}, errors.New("the previous read has not come back yet"))
		return
	}
	if starter, ok := g.scaler.(Starter); ok {
		g.start(ctx, starter, then)
		return
	}
	g.wait(ctx, then)
}

// wait reads on the caller's goroutine.
func (g *guard) wait(ctx context.Context, then func(Reading, error)) {
	inTime := context.AfterFunc(ctx, func() { then(Reading{}, noAnswer(ctx)) })
	a := attempt(func() (Reading, bool, error) {
		reading, err := g.scaler.Read(ctx)
		return reading, true, err
	})
	g.reading.Store(false)
	if inTime() {
		then(a.checked())
	}
}

// start begins a read and leaves. An answer that comes late is not looked at, so it is no read under way either.
func (g *guard) start(ctx context.Context, starter Starter, then func(Reading, error)) {
	inTime := context.AfterFunc(ctx, func() {
		g.reading.Store(false)
		then(Reading{}, noAnswer(ctx))
	})
	answered := func(conclude func() (Reading, bool, error)) {
		if !inTime() {
			return
		}
		a := attempt(conclude)
		if a.err == nil && !a.whole {
			go g.wait(ctx, then)
			return
		}
		g.reading.Store(false)
		then(a.checked())
	}
	begun := attempt(func() (Reading, bool, error) {
		starter.Start(ctx, answered)
		return Reading{}, true, nil
	})
	if begun.err != nil {
		answered(func() (Reading, bool, error) { return Reading{}, true, begun.err })
	}
}

func noAnswer(ctx context.Context) error { return fmt.Errorf("no answer in time: %w", ctx.Err()) }

// answer is what a read came to; one that is not whole takes another read.
type answer struct {
	reading Reading
	whole   bool
	err     error
}

func attempt(read func() (Reading, bool, error)) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			a = answer{err: fmt.Errorf("the scaler panicked: %v\n%s", p, debug.Stack())}
		}
	}()
	a.reading, a.whole, a.err = read()
	return a
}

func (a answer) checked() (Reading, error) {
	if a.err != nil {
		return Reading{}, a.err
	}
	if v := a.reading.Value; math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
		return Reading{}, fmt.Errorf("the source said %v; want a finite number ≥ 0", v)
	}
	return a.reading, nil
}

// secretsOf lists the values that no error may quote: those of secret parameters, and everything that came from a reference.
func secretsOf(params *schema.Schema, values schema.Values, refs schema.Refs) []string {
	var secrets []string
	for path, value := range values {
		field, _ := params.Field(path)
		ref, indirect := refs[path]
		if value.Text != "" && (field.Secret || (indirect && ref.ConfigMap == "")) {
			secrets = append(secrets, value.Text)
		}
	}
	return secrets
}

// minRedacted keeps a one-letter password from turning an error into asterisks; such a text gives nothing away by itself.
const minRedacted = 3

func redact(text string, secrets []string) string {
	for _, secret := range secrets {
		if len(secret) >= minRedacted {
			text = strings.ReplaceAll(text, secret, "<redacted>")
		}
	}
	return text
}
