package poll

import (
	"context"
	"errors"
	"testing"
	"time"

	"autoscale.io/scalers"
	"autoscale.io/scaling/decide"
	"autoscale.io/scaling/decisions"
)

const mails = "{type: fake, target: 10, queue: mails}"

// is compares the decision in the store.
func (w *world) is(key decisions.Key, replicas int32, reason decide.Reason) *decisions.Entry {
	w.t.Helper()
	e := w.entry(key)
	if e.Replicas != replicas || e.Reason != reason {
		w.t.Errorf("got %d (%s), want %d (%s): %s", e.Replicas, e.Reason, replicas, reason, e.Message)
	}
	return e
}

// fails makes a source fail from now on, with nil no more.
func (s *source) fails(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read = nil
	if value := s.value; err != nil {
		s.read = func(context.Context, string) (scalers.Reading, error) { return scalers.Reading{Value: value}, err }
	}
}

var errDown = errors.New("down")

// TestFallbackCountsFailures: FB-01 after as many reads as it says, FB-04 whatever failed, and a success starts the count anew.
func TestFallbackCountsFailures(t *testing.T) {
	for name, fail := range map[string]func(*world){
		"reading": func(w *world) { w.sources["orders"].fails(errDown) },
		"opening": func(w *world) { w.sources["orders"].open = func(string) error { return errDown } },
		"panic":   func(w *world) { w.sources["orders"].open = func(string) error { panic("nil map") } },
		"secret":  func(*world) {}, // does not exist from the start
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(w *world) {
				fail(w)
				edits := map[string]string{"fallback": "{after: 3, replicas: 6}"}
				if name == "secret" {
					edits["trigger.orders"] = "{type: fake, target: 10, queue: orders, passwordFrom: {secret: s, key: k}}"
				}
				w.upsert(worker, on(edits))
				w.poller.Observe(worker, Observation{Replicas: 2})
				w.after(5 * time.Second)
				w.is(worker, 2, decide.TriggerUnknown)
				w.after(10 * time.Second)
				if e := w.is(worker, 2, decide.TriggerUnknown); e.Fallback {
					t.Error("the fallback is said to be in use after two failures")
				}
				w.after(10 * time.Second)
				if e := w.is(worker, 6, decide.FallbackInUse); !e.Fallback {
					t.Error("the fallback is not said to be in use")
				}
			})
		})
	}
}

func TestFallbackStartsAnewAfterASuccess(t *testing.T) {
	run(t, func(w *world) {
		orders := w.sources["orders"]
		orders.set(20)
		w.upsert(worker, on(map[string]string{"fallback": "{after: 3, replicas: 6}"})) // after an error the next read comes a little early
		w.poller.Observe(worker, Observation{Replicas: 2})
		for range 3 {
			orders.fails(errDown)
			w.after(10 * time.Second)
			w.is(worker, 2, decide.TriggerUnknown)
			orders.fails(nil)
			w.after(10 * time.Second)
			w.is(worker, 2, decide.AtTarget)
		}
	})
}

func TestFormula(t *testing.T) {
	run(t, func(w *world) {
		w.sources["orders"].set(30)
		w.sources["mails"].set(10)
		w.upsert(worker, on(map[string]string{"trigger.mails": mails, "formula": "{expression: 'orders + 2*(mails ?? 0)', target: 5}", "min-replicas": "0", "cooldown": "1s"}))
		w.poller.Observe(worker, Observation{Replicas: 1})
		w.after(5 * time.Second)
		e := w.is(worker, 10, decide.AboveTarget)
		if e.Message != "trigger formula: 50 at a target of 5 each asks for 10 replicas" {
			t.Error(e.Message)
		}
		if len(e.Triggers) != 3 || e.Triggers[2].Title() != "the formula" || e.Triggers[2].Value != 50 || !e.Triggers[2].Known {
			t.Errorf("triggers on the decisions: %+v", e.Triggers)
		}
		w.poller.Observe(worker, Observation{Replicas: 1})
		w.sources["orders"].set(0)
		w.sources["mails"].fails(errDown)
		w.after(10 * time.Second)
		e = w.is(worker, 1, decide.AtTarget) // 0 by the formula, but mails could not be read: no proof of idleness
		if e.Triggers[0].Known || !e.Triggers[2].Known {
			t.Errorf("triggers on the decisions: %+v", e.Triggers)
		}
		w.after(20 * time.Second)
		w.is(worker, 1, decide.AtTarget)
		w.sources["mails"].set(0)
		w.sources["mails"].fails(nil)
		w.after(20 * time.Second)
		w.is(worker, 0, decide.Idle)
	})
}

func TestFormulaWithoutANumberIsUnknown(t *testing.T) {
	run(t, func(w *world) {
		w.sources["orders"].set(30)
		w.upsert(worker, on(map[string]string{"trigger.mails": mails, "formula": "{expression: orders / mails, target: 5}", "fallback": "{after: 2, replicas: 4}"}))
		w.poller.Observe(worker, Observation{Replicas: 3})
		w.after(5 * time.Second)
		e := w.is(worker, 3, decide.TriggerUnknown)
		if got, want := e.Triggers[2].Error, "evaluate the formula: got +Inf, want a finite number ≥ 0"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		w.after(10 * time.Second)
		w.is(worker, 4, decide.FallbackInUse)
	})
}

func TestGuard(t *testing.T) {
	run(t, func(w *world) {
		w.sources["orders"].set(90)
		w.sources["mails"].set(85)
		w.upsert(worker, on(map[string]string{"guard.orders": "{type: fake, queue: mails, limit: 80}"})) // the same name as the trigger's
		w.poller.Observe(worker, Observation{Replicas: 3})
		w.after(5 * time.Second)
		e := w.is(worker, 3, decide.Guarded)
		if len(e.Triggers) != 2 || !e.Triggers[1].Guard || e.Triggers[1].Target != 80 || e.Triggers[1].Value != 85 {
			t.Errorf("triggers on the decisions: %+v", e.Triggers)
		}
		w.sources["mails"].set(10)
		w.after(10 * time.Second)
		w.is(worker, 9, decide.AboveTarget)
		w.sources["mails"].is(t, 1, 0)
		w.upsert(worker, on(nil))
		w.after(time.Second)
		w.sources["mails"].is(t, 1, 1)
		w.is(worker, 9, decide.AboveTarget)
	})
}

func TestSchedule(t *testing.T) {
	run(t, func(w *world) { // the fake clock starts at midnight UTC
		w.sources["orders"].set(10)
		w.upsert(worker, on(map[string]string{
			"polling-interval": "2h", "schedule.early": "{start: 1 0 * * *, end: 3 0 * * *, min: 4, max: 40}", "behavior": "{scaleDown: {stabilizationWindowSeconds: 0}}",
		}))
		w.poller.Observe(worker, Observation{Replicas: 1})
		w.after(30 * time.Second)
		w.is(worker, 1, decide.AtTarget)
		if most := w.sources["orders"].max; most != 40 {
			t.Errorf("the source was opened for %d replicas, want 40", most)
		}
		w.after(31 * time.Second) // without a read
		e := w.is(worker, 4, decide.AtMinimum)
		if want := "trigger orders: 10 at a target of 10 each is within tolerance of 1 replica; raised to min-replicas 4 (schedule early)"; e.Message != want {
			t.Errorf("got %s, want %s", e.Message, want)
		}
		w.poller.Observe(worker, Observation{Replicas: 4})
		w.after(2 * time.Minute)
		w.is(worker, 1, decide.BelowTarget)
	})
}

// TestEditsKeepTheMemory (HA-14): a new target counts at once upwards, and downwards only after the window; the edit of a bound forgets nothing.
func TestEditsKeepTheMemory(t *testing.T) {
	run(t, func(w *world) {
		w.sources["orders"].set(100)
		w.upsert(worker, on(nil))
		w.poller.Observe(worker, Observation{Replicas: 10})
		w.after(5 * time.Second)
		w.is(worker, 10, decide.AtTarget)
		for _, edit := range []map[string]string{
			{"trigger.orders": "{type: fake, target: 50, queue: orders}"},
			{"polling-interval": "7s"},
			{"trigger.mails": "{type: fake, target: 1, queue: mails, passwordFrom: {secret: none, key: k}}"},
			{"max-replicas": "30"},
			{"behavior": "{scaleDown: {stabilizationWindowSeconds: 200}}"},
		} {
			w.upsert(worker, on(edit))
			for range 100 {
				w.after(100 * time.Millisecond)
				if e := w.entry(worker); e.Replicas != 10 {
					t.Fatalf("after %v: got %d (%s), want 10: %s", edit, e.Replicas, e.Reason, e.Message)
				}
			}
		}
	})
}

// TestEditsForgetNoChanges: a policy that allows one pod a minute allows no more by way of an edit.
func TestEditsForgetNoChanges(t *testing.T) {
	run(t, func(w *world) {
		w.sources["orders"].set(10)
		keys := on(map[string]string{"behavior": "{scaleDown: {stabilizationWindowSeconds: 0, policies: [{type: Pods, value: 1, periodSeconds: 600}]}}"})
		w.upsert(worker, keys)
		w.poller.Observe(worker, Observation{Replicas: 9})
		w.after(5 * time.Second)
		w.is(worker, 8, decide.RateLimited)
		w.poller.Observe(worker, Observation{Replicas: 8})
		w.is(worker, 8, decide.RateLimited)
		keys["trigger.orders"] = "{type: fake, target: 9, queue: orders}"
		w.upsert(worker, keys)
		w.after(20 * time.Second)
		w.is(worker, 8, decide.RateLimited)
	})
}

// TestOneReadingIsAppliedOnce: a level is one at the count that it was read at, so a new count alone asks for no other.
func TestOneReadingIsAppliedOnce(t *testing.T) {
	run(t, func(w *world) {
		w.sources["orders"].set(15)
		w.upsert(worker, on(map[string]string{"trigger.orders": "{type: fake, target: 10, queue: orders, metricType: Value}"}))
		w.poller.Observe(worker, Observation{Replicas: 4})
		w.after(5 * time.Second)
		w.is(worker, 6, decide.AboveTarget)
		for range 3 {
			w.poller.Observe(worker, Observation{Replicas: 5})
			w.is(worker, 6, decide.AboveTarget)
			w.poller.Observe(worker, Observation{Replicas: 6})
			w.is(worker, 6, decide.AtTarget)
		}
		w.after(10 * time.Second) // read again, at 6
		w.is(worker, 9, decide.AboveTarget)
	})
}

func TestARivalAndARolloutHoldTheCount(t *testing.T) {
	run(t, func(w *world) {
		w.sources["orders"].set(10)
		w.upsert(worker, on(map[string]string{"behavior": "{scaleDown: {stabilizationWindowSeconds: 0}}"}))
		w.poller.Observe(worker, Observation{Replicas: 5, Rival: "HorizontalPodAutoscaler web"})
		w.after(5 * time.Second)
		w.is(worker, 5, decide.Conflict)
		w.poller.Observe(worker, Observation{Replicas: 5, LeftAlone: "the Job has finished"})
		w.is(worker, 5, decide.LeftAlone)
		w.poller.Observe(worker, Observation{Replicas: 5, RollingOut: true})
		w.is(worker, 5, decide.RollingOut)
		w.poller.Observe(worker, Observation{Replicas: 5})
		w.is(worker, 1, decide.BelowTarget)
	})
}
