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

	"autoscale.io/scalers/scalertest/bubble"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schema"
	"autoscale.io/scalers"
)

type bellParams struct {
	Password string `name:"password" secret:"true" doc:"Any."`
}

// bell is a scaler whose watch is a function of the test's, which runs until the watch breaks or ctx ends. An error that it returns by itself is told at once.
type bell struct {
	watch func(ctx context.Context, wake func()) error
}

func (bell) Read(context.Context) (scalers.Reading, error) { return scalers.Reading{}, nil }

func (b bell) Watch(wake func(), broken func(error)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		if err := b.watch(ctx, wake); ctx.Err() == nil {
			broken(err)
		}
	}()
	return cancel
}

// watched watches a source for a time, on the clock of synctest.
func watched(t *testing.T, source *scalers.Source, long time.Duration, wake func(), broken func(error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	stop := source.Watch(wake, broken)
	<-ctx.Done()
	stop()
}

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
	source.Watch(func() { t.Error("it wakes") }, func(err error) { t.Error(err) })()
	if !sourceOf(t, bell{}).Wakes() {
		t.Error("it says that it cannot")
	}
}

func TestABurstMakesTwoWakes(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
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
		watched(t, source, time.Minute, func() { wakes.Add(1) }, func(err error) { t.Error(err) })
		if n := wakes.Load(); n != 2 {
			t.Errorf("%d wakes of a burst, want 2", n)
		}
	})
}

// A watch that breaks is tried again, ever less often until it was heard from, and every break is told without secrets.
func TestABrokenWatchIsTriedAgain(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		tries := 0
		source := sourceOf(t, bell{func(ctx context.Context, wake func()) error {
			tries++
			switch tries {
			case 1:
				return errors.New("the line canary is dead")
			case 2, 3:
				return fmt.Errorf("dead again: %d", tries)
			case 4:
				wake()
				return net.ErrClosed
			}
			<-ctx.Done()
			return nil
		}})
		var breaks []string
		var at []time.Duration
		start, wakes := time.Now(), atomic.Int64{}
		watched(t, source, time.Hour, func() { wakes.Add(1) }, func(err error) {
			breaks, at = append(breaks, err.Error()), append(at, time.Since(start))
		})
		want := []string{"the line <redacted> is dead", "dead again: 2", "dead again: 3", net.ErrClosed.Error()}
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

// fragile is a scaler whose Watch panics at first.
type fragile struct {
	silent
	tries *int
}

func (f fragile) Watch(wake func(), _ func(error)) (stop func()) {
	if *f.tries++; *f.tries == 1 {
		panic("canary")
	}
	go wake()
	return func() {}
}

func TestAPanicBreaksAWatch(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var tries int
		var wakes atomic.Int64
		var breaks []string
		watched(t, sourceOf(t, fragile{tries: &tries}), time.Hour, func() { wakes.Add(1) }, func(err error) {
			text, _, _ := strings.Cut(err.Error(), "\n")
			breaks = append(breaks, text)
		})
		if want := "watching the source panicked: <redacted>"; strings.Join(breaks, "|") != want || tries != 2 || wakes.Load() != 1 {
			t.Errorf("told %q in %d tries and woken %d times, want %q, 2 and 1", breaks, tries, wakes.Load(), want)
		}
	})
}

// loose is a scaler whose watch does not stop when it is told to.
type loose struct {
	silent
	watches int
	stopped int
	wake    func()
	broken  func(error)
}

func (l *loose) Watch(wake func(), broken func(error)) (stop func()) {
	l.watches++
	l.wake, l.broken = wake, broken
	return func() { l.stopped++ }
}

// TestAfterStopNothingIsCalled: the source may be closed by then, and its workload gone.
func TestAfterStopNothingIsCalled(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var called []string
		wake, broken := func() { called = append(called, "wake") }, func(err error) { called = append(called, err.Error()) }
		l := &loose{}
		stop := sourceOf(t, l).Watch(wake, broken)
		l.wake()
		l.wake() // put off until the pause is over
		stop()
		stop()
		l.wake()
		l.broken(errors.New("after stop"))
		between := &loose{}
		stop = sourceOf(t, between).Watch(wake, broken)
		between.broken(errors.New("before stop")) // tried again after a pause
		stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		<-ctx.Done()
		if want := "wake|before stop"; strings.Join(called, "|") != want {
			t.Errorf("called %q, want %q", called, want)
		}
		if l.watches != 1 || l.stopped != 1 || between.watches != 1 || between.stopped != 0 {
			t.Errorf("%d watches of which %d were stopped, and %d of which %d; want 1, 1, 1 and 0, as that one had broken", l.watches, l.stopped, between.watches, between.stopped)
		}
	})
}

// TestOneBreakIsToldOnce: a user that may not listen stays so for days.
func TestOneBreakIsToldOnce(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		tries := 0
		source := sourceOf(t, bell{func(_ context.Context, wake func()) error {
			if tries++; tries == 10 {
				wake() // it has worked in between
			}
			return errors.New("not allowed")
		}})
		told := 0
		watched(t, source, time.Hour, func() {}, func(error) { told++ })
		if told != 2 || tries < 60 {
			t.Errorf("told %d times in %d tries, want 2 in 60 at least", told, tries)
		}
	})
}

// TestBreaksByTurnsAreToldOnce: a server that comes back cuts old connections and refuses new ones, and so on, for every workload on it. A watch that held ends that.
func TestBreaksByTurnsAreToldOnce(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
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
		var told []string
		watched(t, source, time.Hour, func() {}, func(err error) { told = append(told, err.Error()) })
		if want := "connection reset|EOF|EOF|connection reset"; strings.Join(told, "|") != want {
			t.Errorf("told %q in %d tries, want %q", told, tries, want)
		}
	})
}

// TestAnOutageIsToldAFewTimes: a text may differ each time.
func TestAnOutageIsToldAFewTimes(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		tries := 0
		source := sourceOf(t, bell{func(context.Context, func()) error {
			tries++
			return fmt.Errorf("port %d", tries)
		}})
		told := 0
		watched(t, source, time.Hour, func() {}, func(error) { told++ })
		if told != 4 || tries < 60 {
			t.Errorf("told %d times in %d tries, want 4 in 60 at least", told, tries)
		}
	})
}
