package scalers

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"strings"

	"autoscale.io/annotations/schema"
)

// guard bounds one scaler's reads in time and keeps its faults to itself.
type guard struct {
	scaler Scaler
	// start runs a read beside the caller.
	start func(func())
	// late holds the answer of a read that outlived its deadline; until it comes, no further read starts.
	late chan answer
}

type answer struct {
	reading Reading
	err     error
}

func (g *guard) read(ctx context.Context) (Reading, error) {
	if g.late != nil {
		select {
		case <-g.late:
			g.late = nil
		default:
			return Reading{}, errors.New("the previous read has not come back yet")
		}
	}
	done := make(chan answer, 1)
	g.start(func() { done <- readOnce(ctx, g.scaler) })
	select {
	case a := <-done:
		return a.checked()
	case <-ctx.Done():
	}
	// A scaler that honours its context is about to answer with an error that says more than ours.
	select {
	case a := <-done:
		return a.checked()
	default:
		g.late = done
		return Reading{}, fmt.Errorf("no answer in time: %w", ctx.Err())
	}
}

func readOnce(ctx context.Context, scaler Scaler) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			a = answer{err: fmt.Errorf("the scaler panicked: %v\n%s", p, debug.Stack())}
		}
	}()
	reading, err := scaler.Read(ctx)
	return answer{reading, err}
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
