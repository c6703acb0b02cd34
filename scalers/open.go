package scalers

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schema"
	"autoscale.io/scalers/pool"
)

// Source is an opened trigger: a scaler in its wrappers.
type Source struct {
	// Common holds the trigger's common parameters, references resolved.
	annotations.Common

	scaler  Scaler
	guard   guard
	secrets []string
	// identity hashes what the references said, so that a change is noticed.
	identity [sha256.Size]byte
}

// Open resolves the references of a trigger and opens its scaler. The error names the parameter and the place, and quotes no secret.
func (r *Registry) Open(ctx context.Context, host Host, trigger annotations.Trigger, refs References) (*Source, error) {
	resolved, err := Resolve(ctx, trigger, refs)
	if err != nil {
		return nil, err
	}
	return r.OpenResolved(host, trigger, resolved)
}

// Resolved are the texts behind a trigger's references, by parameter.
type Resolved map[string]string

// Resolve reads every reference of a trigger.
func Resolve(ctx context.Context, trigger annotations.Trigger, refs References) (Resolved, error) {
	resolved := Resolved{}
	var errs []error
	for _, path := range trigger.Refs.Paths() {
		text, err := refs.Resolve(ctx, trigger.Refs[path])
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
			continue
		}
		resolved[path] = text
	}
	return resolved, errors.Join(errs...)
}

func (r Resolved) identity(trigger annotations.Trigger) [sha256.Size]byte {
	parts := make([]string, 0, 2*len(r))
	for _, path := range trigger.Refs.Paths() {
		parts = append(parts, path, r[path])
	}
	return pool.Key(parts...)
}

// OpenResolved opens a trigger with what its references said.
func (r *Registry) OpenResolved(host Host, trigger annotations.Trigger, resolved Resolved) (*Source, error) {
	definition, ok := r.defs[trigger.Type]
	if !ok {
		return nil, fmt.Errorf("unknown type %q", trigger.Type)
	}
	values := trigger.Given.Clone()
	source := &Source{identity: resolved.identity(trigger)}
	for path, text := range resolved {
		values[path] = schema.Value{Text: text}
	}
	params, problems := definition.Decode(&source.Common, values, nil)
	if len(problems) > 0 {
		return nil, problemsError(problems, trigger.Refs)
	}
	source.secrets = secretsOf(definition.Params, values, trigger.Refs)
	host.Trigger = source.Common
	scaler, err := definition.openSafely(host, params)
	if err != nil {
		return nil, errors.New(redact(err.Error(), source.secrets))
	}
	source.scaler = scaler
	source.guard.scaler = scaler
	return source, nil
}

func (d Definition) openSafely(host Host, params any) (scaler Scaler, err error) {
	defer recovered("opening the scaler", &err)
	return d.open(host, params)
}

// problemsError joins problems; one with a referenced value says only what was wanted, since the value may be a secret whatever the parameter.
func problemsError(problems []schema.Problem, refs schema.Refs) error {
	texts := make([]string, 0, len(problems))
	for _, p := range problems {
		if ref, indirect := refs[p.Param]; indirect {
			_, want, _ := strings.Cut(p.Text, "want ")
			p.Text = fmt.Sprintf("%s holds a value that does not fit; want %s", ref, want)
		}
		texts = append(texts, p.String())
	}
	return errors.New(strings.Join(texts, "; "))
}

// SameReferences says whether the references still say what the source was opened with.
func (s *Source) SameReferences(trigger annotations.Trigger, resolved Resolved) bool {
	return resolved.identity(trigger) == s.identity
}

// Starts says that Start does not wait for the source.
func (s *Source) Starts() bool {
	_, ok := s.scaler.(Starter)
	return ok
}

// Start reads the scaler once and calls then, once, with what came of it: when the read comes back, or at the deadline of ctx, whatever the scaler does. Unless
// Starts says otherwise it returns only when the read has come back, on the caller's goroutine. then is called from any goroutine, also before Start returns. It
// gets an error that quotes no secret for a panic and for everything that is not a finite number ≥ 0. A read that comes back after its deadline changes nothing;
// until it does, every further one is an error.
func (s *Source) Start(ctx context.Context, then func(Reading, error)) {
	s.guard.read(ctx, func(reading Reading, err error) {
		if err != nil {
			reading, err = Reading{}, errors.New(redact(err.Error(), s.secrets))
		}
		then(reading, err)
	})
}

// Read is Start for who waits.
func (s *Source) Read(ctx context.Context) (Reading, error) {
	done := make(chan answer, 1)
	go s.Start(ctx, func(reading Reading, err error) { done <- answer{reading: reading, err: err} })
	a := <-done
	return a.reading, a.err
}

// Close closes the scaler when it can be closed. It recovers a panic, and the error quotes no secret.
func (s *Source) Close() error {
	closer, ok := s.scaler.(io.Closer)
	if !ok {
		return nil
	}
	if err := closeSafely(closer); err != nil {
		return errors.New(redact(err.Error(), s.secrets))
	}
	return nil
}

func closeSafely(closer io.Closer) (err error) {
	defer recovered("closing the scaler", &err)
	return closer.Close()
}

// recovered is to be deferred: it makes an error of a panic, so that the text can be redacted like any other.
func recovered(doing string, err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%s panicked: %v\n%s", doing, p, debug.Stack())
	}
}
