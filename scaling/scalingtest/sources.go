package scalingtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"autoscale.io/annotations"
	"autoscale.io/scalers"
	"autoscale.io/scalers/resource"
	"autoscale.io/scaling/target"
)

// params are the parameters of the trigger type fake.
type params struct {
	Source   string `name:"source" required:"true" doc:"Which source."`
	Password string `name:"password" secret:"true" doc:"What the source wants to be read with, if it has a password."`
}

// sources are the event sources of a world, made at first use.
type sources struct {
	mu     sync.Mutex
	byName map[string]*Source
}

func (s *sources) get(name string) *Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byName[name] == nil {
		s.byName[name] = &Source{}
	}
	return s.byName[name]
}

// registry has the trigger types fake, cpu and memory.
func (s *sources) registry(usage *target.Usage) (*scalers.Registry, error) {
	env := scalers.Env{Usage: usage}
	return scalers.NewRegistry(
		resource.CPU(env), resource.Memory(env),
		scalers.Define(scalers.Definition{TriggerType: annotations.TriggerType{Name: "fake"}, Doc: "A source of a test."},
			func(_ scalers.Host, p *params) (scalers.Scaler, error) { return s.get(p.Source).open(p.Password), nil }),
	)
}

// Source is an event source that a test sets. It starts with the value 0.
type Source struct {
	mu       sync.Mutex
	reading  scalers.Reading
	err      error
	delay    time.Duration
	password string
	wakes    bool
	watches  map[*fakeScaler]func()
	reads    []time.Time
	opened   int
	closed   int
}

// Source is the source of that name.
func (w *World) Source(name string) *Source { return w.sources.get(name) }

// Set makes a source readable with that value.
func (w *World) Set(name string, value float64) {
	w.Source(name).Read(scalers.Reading{Value: value}, nil)
}

// Break makes every read of a source fail with that text.
func (w *World) Break(name, text string) { w.Source(name).Read(scalers.Reading{}, errors.New(text)) }

// Wake tells the autoscaler that work has come to a source, which must have been made one that can do so before its
// workload was created.
func (w *World) Wake(name string) {
	s := w.Source(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.wakes {
		w.Fatalf("the source %s cannot wake", name)
	}
	for _, wake := range s.watches {
		go wake()
	}
}

// Read sets what reads answer from now on.
func (s *Source) Read(reading scalers.Reading, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reading, s.err = reading, err
}

// Delay makes every read take that long.
func (s *Source) Delay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
}

// Wakes makes it a source that can tell when work arrives.
func (s *Source) Wakes() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wakes, s.watches = true, map[*fakeScaler]func(){}
}

// Password makes every read without that password fail.
func (s *Source) Password(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.password = text
}

// Reads are the times of all reads so far.
func (s *Source) Reads() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Time(nil), s.reads...)
}

// Open is how many scalers of the source are open.
func (s *Source) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened - s.closed
}

func (s *Source) open(password string) scalers.Scaler {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened++
	scaler := &fakeScaler{source: s, password: password}
	if s.wakes {
		return wakingScaler{scaler}
	}
	return scaler
}

// fakeScaler reads a source.
type fakeScaler struct {
	source   *Source
	password string
}

// Read implements scalers.Scaler.
func (f *fakeScaler) Read(ctx context.Context) (scalers.Reading, error) {
	s := f.source
	s.mu.Lock()
	s.reads = append(s.reads, time.Now())
	delay := s.delay
	s.mu.Unlock()
	if delay > 0 {
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				time.Sleep(time.Millisecond) // so that the autoscaler is always first to say that there was no answer
			}
			return scalers.Reading{}, fmt.Errorf("read the source: %w", ctx.Err())
		case <-time.After(delay):
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && s.password != f.password {
		return scalers.Reading{}, errors.New("wrong password")
	}
	return s.reading, s.err
}

// Close implements io.Closer.
func (f *fakeScaler) Close() error {
	f.source.mu.Lock()
	defer f.source.mu.Unlock()
	f.source.closed++
	return nil
}

// wakingScaler is one of a source that can tell when work arrives.
type wakingScaler struct{ *fakeScaler }

// Watch implements scalers.Waker.
func (f wakingScaler) Watch(wake func(), _ func(error)) (stop func()) {
	s := f.source
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches[f.fakeScaler] = wake
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watches, f.fakeScaler)
	}
}
