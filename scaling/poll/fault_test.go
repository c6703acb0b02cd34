package poll

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"autoscale.io/scalers"
	"autoscale.io/scaling/decide"
	"autoscale.io/scaling/decisions"
)

// ignoringContext is a read that comes back when release is closed, whatever its context says.
func ignoringContext(release <-chan struct{}) func(context.Context, string) (scalers.Reading, error) {
	return func(context.Context, string) (scalers.Reading, error) {
		<-release
		return scalers.Reading{Value: 1}, nil
	}
}

// slowly is a read that takes d.
func slowly(d time.Duration) func(context.Context, string) (scalers.Reading, error) {
	return func(ctx context.Context, _ string) (scalers.Reading, error) {
		select {
		case <-time.After(d):
			return scalers.Reading{Value: 30}, nil
		case <-ctx.Done():
			return scalers.Reading{}, ctx.Err()
		}
	}
}

const (
	secretPlace = "key password of Secret redis"
	withSecret  = "{type: fake, target: 10, queue: orders, passwordFrom: {secret: redis, key: password}}"
)

func TestReadThatIgnoresItsContextIsUnknown(t *testing.T) {
	run(t, func(w *world) {
		orders := w.sources["orders"]
		release := make(chan struct{})
		orders.read = ignoringContext(release)
		began := time.Now()
		w.upsert(worker, on(nil))
		w.poller.Observe(worker, Observation{Replicas: 4})
		w.after(3*time.Second - time.Millisecond)
		if e := w.decisions.Get(worker); e != nil {
			t.Errorf("decided before the deadline: %+v", e)
		}
		w.after(2 * time.Millisecond)
		e := w.entry(worker)
		if e.Replicas != 4 || e.Reason != decide.TriggerUnknown || e.Triggers[0].Known || e.Triggers[0].Error != "no answer in time: context deadline exceeded" {
			t.Errorf("got %+v, want 4 replicas and UNKNOWN", e)
		}
		since := e.Triggers[0].Since
		if since.Sub(began) > time.Millisecond {
			t.Errorf("UNKNOWN since %s, want the begin of the read", since)
		}
		w.after(30 * time.Second)
		trigger := w.entry(worker).Triggers[0]
		wantReads, wantError := 1, "the previous read has not come back yet"
		if w.starts { // then nobody waits for the answer any more
			wantReads, wantError = 4, "no answer in time: context deadline exceeded"
		}
		if n := orders.readCount(); n != wantReads || trigger.Error != wantError || !trigger.Since.Equal(since) {
			t.Errorf("got %d reads and %+v, want %d, %q and UNKNOWN since its begin", n, trigger, wantReads, wantError)
		}
		close(release)
		w.after(time.Millisecond)
		w.poller.Observe(worker, Observation{Replicas: 3})
		if e := w.entry(worker); e.From != 3 || e.Triggers[0].Known {
			t.Errorf("got %+v, want an answer that comes so late left alone", e)
		}
		w.after(11 * time.Second)
		if e := w.entry(worker); orders.readCount() < 2 || !e.Triggers[0].Known || e.Triggers[0].Error != "" {
			t.Errorf("got %+v, want a reading again", e.Triggers)
		}
		orders.is(t, 1, 0)
	})
}

func TestHangingSourceDelaysNobodyElse(t *testing.T) {
	run(t, func(w *world) {
		release := make(chan struct{})
		defer close(release)
		w.sources["orders"].read = ignoringContext(release)
		mails := decisions.Key{Resource: worker.Resource, Namespace: "shop", Name: "mailer"}
		w.upsert(worker, on(nil))
		w.upsert(mails, on(map[string]string{"trigger.orders": "", "trigger.mails": "{type: fake, target: 10, queue: mails}", "polling-interval": "1s"}))
		w.after(4500 * time.Millisecond)
		second := time.Second
		if got, want := w.sources["mails"].gaps(), []time.Duration{second, second, second, second}; !slices.Equal(got, want) {
			t.Errorf("times between reads are %v, want %v", got, want)
		}
	})
}

// TestWhoHasTheLockHoldsUpNobody: an edit may have to wait for a source to close, and the dispatcher serves others meanwhile.
func TestWhoHasTheLockHoldsUpNobody(t *testing.T) {
	run(t, func(w *world) {
		w.upsert(worker, on(nil))
		w.after(time.Second)
		edited := w.poller.workloads[worker]
		edited.mu.Lock()
		edited.triggers[0].due = time.Now()
		edited.poll()
		edited.mu.Unlock()
		synctest.Wait()
		if n := w.sources["orders"].readCount(); n != 2 {
			t.Errorf("read %d times, want once more when the lock is free", n)
		}
	})
}

func TestPanicHarmsOnlyItsOwnWorkload(t *testing.T) {
	panics := map[string]func(*source){
		"read":  func(s *source) { s.read = func(context.Context, string) (scalers.Reading, error) { panic("broken") } },
		"open":  func(s *source) { s.open = func(string) error { panic("broken") } },
		"close": func(s *source) { s.close = func() error { panic("broken") } },
	}
	for name, breakIt := range panics {
		t.Run(name, func(t *testing.T) {
			run(t, func(w *world) {
				breakIt(w.sources["orders"])
				mailer := decisions.Key{Resource: worker.Resource, Namespace: "shop", Name: "mailer"}
				w.upsert(worker, on(nil))
				w.upsert(mailer, on(map[string]string{"trigger.orders": "", "trigger.mails": "{type: fake, target: 10, queue: mails}"}))
				w.poller.Observe(worker, Observation{Replicas: 4})
				w.poller.Observe(mailer, Observation{Replicas: 4})
				w.after(35 * time.Second)
				if e := w.entry(worker); e.Replicas < 4 || e.Triggers[0].Known != (name == "close") {
					t.Errorf("got %+v, want the count held", e)
				}
				text := w.entry(worker).Triggers[0].Error
				want := map[string]string{"read": "the scaler panicked: broken", "open": "opening the scaler panicked: broken"}[name]
				if first, _, _ := strings.Cut(text, "\n"); first != want {
					t.Errorf("got error %q, want %q", first, want)
				}
				ten := 10 * time.Second
				if got, want := w.sources["mails"].gaps(), []time.Duration{ten, ten, ten}; !slices.Equal(got, want) {
					t.Errorf("times between the other's reads are %v, want %v", got, want)
				}
				w.poller.Remove(worker)
				if w.decisions.Get(worker) != nil || w.poller.Polling(worker) {
					t.Error("the broken workload could not be removed")
				}
			})
		})
	}
}

func TestPanicOfReferencesIsSurvived(t *testing.T) {
	run(t, func(w *world) {
		var broken atomic.Bool
		broken.Store(true)
		w.poller.deps.References = func(key decisions.Key, container string) scalers.References {
			if broken.Load() {
				panic("broken")
			}
			return w.references(key, container)
		}
		w.upsert(worker, on(nil))
		w.poller.Observe(worker, Observation{Replicas: 4})
		w.after(time.Second)
		broken.Store(false)
		w.after(10 * time.Second)
		if e := w.entry(worker); !e.Triggers[0].Known {
			t.Errorf("got %+v, want a reading after the panic", e)
		}
	})
}

func TestRotatedSecretIsUsedWithinTheSamePoll(t *testing.T) {
	run(t, func(w *world) {
		orders := w.sources["orders"]
		var accepted atomic.Value
		accepted.Store("old-password")
		orders.read = func(_ context.Context, password string) (scalers.Reading, error) {
			if password != accepted.Load() {
				return scalers.Reading{}, errors.New("NOAUTH for " + password)
			}
			return scalers.Reading{Value: 30}, nil
		}
		w.refs.set(secretPlace, "old-password")
		w.upsert(worker, on(map[string]string{"trigger.orders": withSecret}))
		w.poller.Observe(worker, Observation{Replicas: 1})
		w.after(time.Second)
		w.after(10 * time.Second)
		if w.refs.asked != 1 {
			t.Errorf("references were read %d times while nothing failed, want 1", w.refs.asked)
		}
		accepted.Store("new-password")
		w.refs.set(secretPlace, "new-password")
		w.after(10 * time.Second)
		if e := w.entry(worker); !e.Triggers[0].Known || e.Replicas != 3 {
			t.Errorf("got %+v, want no poll lost to the rotation", e)
		}
		if n := orders.readCount(); n != 4 {
			t.Errorf("read %d times, want 4: one in each of three polls, and the retry", n)
		}
		orders.is(t, 2, 1)
		accepted.Store("third-password") // which nobody is told
		w.after(10 * time.Second)
		if text := w.entry(worker).Triggers[0].Error; text != "NOAUTH for <redacted>" {
			t.Errorf("got error %q, want it without the secret", text)
		}
		orders.is(t, 2, 1)
	})
}

func TestRotatedSecretIsUsedInTheEndThoughTheOldOneWorks(t *testing.T) {
	run(t, func(w *world) {
		w.refs.set(secretPlace, "old-password")
		w.upsert(worker, on(map[string]string{"trigger.orders": withSecret}))
		w.after(time.Second)
		w.refs.set(secretPlace, "new-password")
		w.after(reopenAfter - 10*time.Second)
		w.sources["orders"].is(t, 1, 0)
		w.after(20 * time.Second)
		w.sources["orders"].is(t, 2, 1)
	})
}

func TestReferencesAreReadAgainAfterATimeout(t *testing.T) {
	run(t, func(w *world) {
		orders := w.sources["orders"]
		orders.read = func(ctx context.Context, password string) (scalers.Reading, error) {
			if password == "old-password" {
				<-ctx.Done()
				return scalers.Reading{}, ctx.Err()
			}
			return scalers.Reading{Value: 30}, nil
		}
		w.refs.set(secretPlace, "old-password")
		w.upsert(worker, on(map[string]string{"trigger.orders": withSecret}))
		w.poller.Observe(worker, Observation{Replicas: 1})
		w.after(5 * time.Second)
		if e := w.entry(worker); e.Triggers[0].Known {
			t.Errorf("got %+v, want UNKNOWN", e)
		}
		w.refs.set(secretPlace, "new-password")
		w.after(6 * time.Second)
		if e := w.entry(worker); !e.Triggers[0].Known || e.Replicas != 3 {
			t.Errorf("got %+v, want a reading with the new password", e)
		}
		orders.is(t, 2, 1)
	})
}

func TestReferenceErrorIsUnknown(t *testing.T) {
	run(t, func(w *world) {
		w.upsert(worker, on(map[string]string{"trigger.orders": withSecret}))
		w.poller.Observe(worker, Observation{Replicas: 4})
		w.after(time.Second)
		e := w.entry(worker)
		const want = "password: key password of Secret redis does not exist; create it or name another"
		if e.Replicas != 4 || e.Reason != decide.TriggerUnknown || e.Triggers[0].Known || e.Triggers[0].Error != want {
			t.Errorf("got %+v, want 4 replicas and %q", e, want)
		}
		w.sources["orders"].is(t, 0, 0)
		w.refs.set(secretPlace, "password")
		w.after(10 * time.Second)
		if e := w.entry(worker); !e.Triggers[0].Known {
			t.Errorf("got %+v, want a reading once the Secret is there", e)
		}
	})
}

func TestTargetFromAReference(t *testing.T) {
	run(t, func(w *world) {
		w.sources["orders"].set(60)
		w.refs.set("key target of ConfigMap tuning", "20")
		w.upsert(worker, on(map[string]string{"trigger.orders": "{type: fake, queue: orders, targetFrom: {configMap: tuning, key: target}}"}))
		w.poller.Observe(worker, Observation{Replicas: 1})
		w.after(time.Second)
		if e := w.entry(worker); e.Replicas != 3 || e.Triggers[0].Target != 20 {
			t.Errorf("got %+v, want 3 replicas at a target of 20", e)
		}
	})
}

func TestNoErrorHoldsASecret(t *testing.T) {
	const secret = "hunter-2-hunter"
	failing := map[string]func(*source){
		"open":        func(s *source) { s.open = func(p string) error { return errors.New("bad password " + p) } },
		"open panics": func(s *source) { s.open = func(p string) error { panic("bad password " + p) } },
		"read": func(s *source) {
			s.read = func(_ context.Context, p string) (scalers.Reading, error) {
				return scalers.Reading{}, fmt.Errorf("bad password %s", p)
			}
		},
		"read panics": func(s *source) {
			s.read = func(_ context.Context, p string) (scalers.Reading, error) { panic("bad password " + p) }
		},
	}
	triggers := map[string]string{"by reference": withSecret, "direct": "{type: fake, target: 10, queue: orders, password: " + secret + "}"}
	for how, breakIt := range failing {
		for where, trigger := range triggers {
			t.Run(how+" "+where, func(t *testing.T) {
				run(t, func(w *world) {
					w.refs.set(secretPlace, secret)
					breakIt(w.sources["orders"])
					w.upsert(worker, on(map[string]string{"trigger.orders": trigger}))
					w.poller.Observe(worker, Observation{Replicas: 4})
					w.after(15 * time.Second)
					e := w.entry(worker)
					if text := fmt.Sprintf("%+v", e); strings.Contains(text, secret) || !strings.Contains(text, "bad password <redacted>") {
						t.Errorf("got %s, want the error without the secret", text)
					}
				})
			})
		}
	}
}
