package scalers_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schema"
	"autoscale.io/scalers"
)

type bellParams struct {
	Password string `name:"password" secret:"true" doc:"Any."`
}

// bell is a scaler whose Wake is a function of the test's.
type bell struct {
	watch func(ctx context.Context, wake func()) error
}

func (bell) Read(context.Context) (scalers.Reading, error) { return scalers.Reading{}, nil }

func (b bell) Wake(ctx context.Context, wake func()) error { return b.watch(ctx, wake) }

type silent struct{}

func (silent) Read(context.Context) (scalers.Reading, error) { return scalers.Reading{}, nil }

type fixed string

func (f fixed) Resolve(context.Context, schema.Ref) (string, error) { return string(f), nil }

func sourceOf(t *testing.T, scaler scalers.Scaler) *scalers.Source {
	t.Helper()
	registry, err := scalers.NewRegistry(scalers.Define(scalers.Definition{TriggerType: annotations.TriggerType{Name: "bell"}, Doc: "Rings."},
		func(scalers.Host, *bellParams) (scalers.Scaler, error) { return scaler, nil }))
	if err != nil {
		t.Fatal(err)
	}
	result := annotations.Decode(map[string]string{
		"autoscale.io/max-replicas": "1", "autoscale.io/trigger.t": "{type: bell, target: 1, passwordFrom: {secret: s, key: k}}",
	}, registry)
	if len(result.Faults) > 0 {
		t.Fatal(result.Faults)
	}
	source, err := registry.Open(t.Context(), scalers.Host{}, result.Workload.Triggers[0], fixed("canary"))
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func TestOnlyAWakerWakes(t *testing.T) {
	source := sourceOf(t, silent{})
	if source.Wakes() {
		t.Error("it says that it can")
	}
	// It returns at once.
	source.Wake(t.Context(), func() {}, func(error) {})
	if !sourceOf(t, bell{}).Wakes() {
		t.Error("it says that it cannot")
	}
}

func TestABurstMakesTwoWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wakes atomic.Int64
		source := sourceOf(t, bell{func(ctx context.Context, wake func()) error {
			wake()
			synctest.Wait() // the first call has been passed on, and the pause has begun
			if n := wakes.Load(); n != 1 {
				t.Errorf("%d wakes at the start of a burst, want 1", n)
			}
			for range 50 {
				wake()
			}
			<-ctx.Done()
			return nil
		}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		source.Wake(ctx, func() { wakes.Add(1) }, func(err error) { t.Error(err) })
		if n := wakes.Load(); n != 2 {
			t.Errorf("%d wakes of a burst, want 2", n)
		}
	})
}

// A watch that breaks is tried again, ever less often until it was heard from, and every break is told without secrets.
func TestABrokenWatchIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		source := sourceOf(t, bell{func(ctx context.Context, wake func()) error {
			tries++
			switch tries {
			case 1:
				return errors.New("the line canary is dead")
			case 2:
				panic("canary")
			case 3:
				return nil
			case 4:
				wake()
				return net.ErrClosed
			}
			<-ctx.Done()
			return nil
		}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var breaks []string
		var at []time.Duration
		start, wakes := time.Now(), atomic.Int64{}
		source.Wake(ctx, func() { wakes.Add(1) }, func(err error) {
			text, _, _ := strings.Cut(err.Error(), "\n")
			breaks, at = append(breaks, text), append(at, time.Since(start))
		})
		want := []string{"the line <redacted> is dead", "watching the source panicked: <redacted>", "the watch ended by itself", net.ErrClosed.Error()}
		if strings.Join(breaks, "|") != strings.Join(want, "|") {
			t.Errorf("got %q, want %q", breaks, want)
		}
		for i, bounds := range [][2]time.Duration{{0, 0}, {500 * time.Millisecond, time.Second}, {time.Second, 2 * time.Second}, {2 * time.Second, 4 * time.Second}} {
			pause := at[i]
			if i > 0 {
				pause -= at[i-1]
			}
			if pause < bounds[0] || pause > bounds[1] {
				t.Errorf("break %d came %s after the last, want between %s and %s", i, pause, bounds[0], bounds[1])
			}
		}
		if tries != 5 || wakes.Load() != 1 {
			t.Errorf("%d tries and %d wakes, want 5 and 1", tries, wakes.Load())
		}
	})
}

// TestOneBreakIsToldOnce: a user that may not listen stays so for days.
func TestOneBreakIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		source := sourceOf(t, bell{func(_ context.Context, wake func()) error {
			if tries++; tries == 10 {
				wake() // it has worked in between
			}
			return errors.New("not allowed")
		}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		told := 0
		source.Wake(ctx, func() {}, func(error) { told++ })
		if told != 2 || tries < 60 {
			t.Errorf("told %d times in %d tries, want 2 in 60 at least", told, tries)
		}
	})
}

// TestBreaksByTurnsAreToldOnce: a server that comes back cuts old connections and refuses new ones, and so on, for every workload on it. A watch that held ends that.
func TestBreaksByTurnsAreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		source := sourceOf(t, bell{func(ctx context.Context, _ func()) error {
			if tries++; tries == 20 {
				select {
				case <-ctx.Done():
				case <-time.After(time.Minute):
				}
			}
			return errors.New([]string{"EOF", "connection reset"}[tries%2])
		}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var told []string
		source.Wake(ctx, func() {}, func(err error) { told = append(told, err.Error()) })
		if want := "connection reset|EOF|EOF|connection reset"; strings.Join(told, "|") != want {
			t.Errorf("told %q in %d tries, want %q", told, tries, want)
		}
	})
}

// TestAnOutageIsToldAFewTimes: a text may differ each time.
func TestAnOutageIsToldAFewTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		source := sourceOf(t, bell{func(context.Context, func()) error {
			tries++
			return fmt.Errorf("port %d", tries)
		}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		told := 0
		source.Wake(ctx, func() {}, func(error) { told++ })
		if told != 4 || tries < 60 {
			t.Errorf("told %d times in %d tries, want 4 in 60 at least", told, tries)
		}
	})
}
