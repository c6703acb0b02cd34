package scalers_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"autoscale.io/scalers/scalertest/bubble"

	"autoscale.io/scalers"
)

// conclusion is how a starter's answer is read.
type conclusion = func() (scalers.Reading, bool, error)

// starter is a scaler whose Start is a function of the test's. Its Read takes a second and finds 7.
type starter struct {
	start func(answered func(conclusion))
}

func (starter) Read(ctx context.Context) (scalers.Reading, error) {
	select {
	case <-time.After(time.Second):
		return scalers.Reading{Value: 7}, nil
	case <-ctx.Done():
		return scalers.Reading{}, fmt.Errorf("no answer in time: %w", ctx.Err()) // the guard's words, since either may be first
	}
}

func (s starter) Start(_ context.Context, answered func(func() (scalers.Reading, bool, error))) {
	s.start(answered)
}

func found(value float64) conclusion {
	return func() (scalers.Reading, bool, error) { return scalers.Reading{Value: value}, true, nil }
}

func notWhole() (scalers.Reading, bool, error) { return scalers.Reading{}, false, nil }

// TestStart: whatever a scaler that starts its reads does, each read has one outcome by its deadline, and the next one can begin then.
func TestStart(t *testing.T) {
	soon := func(c conclusion) func(func(conclusion)) {
		return func(answered func(conclusion)) { time.AfterFunc(time.Second, func() { answered(c) }) }
	}
	var late sync.WaitGroup // for answers that come after the deadline
	for name, test := range map[string]struct {
		start func(answered func(conclusion))
		want  float64
		// text is the first line of the error, with the secret redacted.
		text string
		took time.Duration
	}{
		"an answer": {start: soon(found(3)), want: 3, took: time.Second},
		"at once":   {start: func(answered func(conclusion)) { answered(found(3)) }, want: 3},
		"twice":     {start: func(answered func(conclusion)) { answered(found(3)); answered(found(4)) }, want: 3},
		"no number": {start: soon(found(-1)), text: "the source said -1; want a finite number ≥ 0", took: time.Second},
		"an error": {start: soon(func() (scalers.Reading, bool, error) {
			return scalers.Reading{Value: 1}, true, errors.New("NOAUTH canary")
		}), text: "NOAUTH <redacted>", took: time.Second},
		"not whole":          {start: soon(notWhole), want: 7, took: 2 * time.Second},
		"not whole, at once": {start: func(answered func(conclusion)) { answered(notWhole) }, want: 7, took: time.Second},
		"not whole, late":    {start: func(answered func(conclusion)) { time.AfterFunc(2500*time.Millisecond, func() { answered(notWhole) }) }, text: "no answer in time: context deadline exceeded", took: 3 * time.Second},
		"never":              {start: func(func(conclusion)) {}, text: "no answer in time: context deadline exceeded", took: 3 * time.Second},
		"a panic":            {start: func(func(conclusion)) { panic("broken canary") }, text: "the scaler panicked: broken <redacted>"},
		"a panic, answered":  {start: func(answered func(conclusion)) { answered(found(3)); panic("broken") }, want: 3},
		"a panic as it ends": {start: soon(func() (scalers.Reading, bool, error) { panic("broken") }), text: "the scaler panicked: broken", took: time.Second},
		"late": {
			start: func(answered func(conclusion)) {
				late.Add(1)
				time.AfterFunc(4*time.Second, func() {
					defer late.Done()
					answered(func() (scalers.Reading, bool, error) { panic("a late answer is looked at") })
				})
			}, text: "no answer in time: context deadline exceeded", took: 3 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				source := sourceOf(t, starter{test.start})
				if !source.Starts() {
					t.Fatal("it says that it does not start reads")
				}
				for range 3 {
					ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
					began := time.Now()
					var outcomes []string
					source.Start(ctx, func(reading scalers.Reading, err error) {
						text := ""
						if err != nil {
							text, _, _ = strings.Cut(err.Error(), "\n")
						}
						outcomes = append(outcomes, text)
						if took := time.Since(began); reading.Value != test.want || took != test.took {
							t.Errorf("got %v after %s, want %v after %s", reading, took, test.want, test.took)
						}
					})
					<-ctx.Done()
					synctest.Wait()
					cancel()
					if !slices.Equal(outcomes, []string{test.text}) {
						t.Errorf("got %q, want %q", outcomes, test.text)
					}
				}
				late.Wait()
			})
		})
	}
}

// TestAStartedReadIsAlone: a second one waits for nobody.
func TestAStartedReadIsAlone(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		source := sourceOf(t, starter{func(func(conclusion)) {}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		source.Start(ctx, func(scalers.Reading, error) {})
		const want = "the previous read has not come back yet"
		if _, err := source.Read(ctx); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		<-ctx.Done()
		synctest.Wait()
	})
}

func TestOnlyAStarterStarts(t *testing.T) {
	if sourceOf(t, silent{}).Starts() {
		t.Error("a scaler that only reads says that it starts reads")
	}
}
