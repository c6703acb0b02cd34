package poll

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"autoscale.io/scalers"
	"autoscale.io/scaling/decide"
	"autoscale.io/scaling/decisions"
)

var template = decisions.Key{Resource: batchv1.SchemeGroupVersion.WithResource("jobs"), Namespace: "shop", Name: "consumer"}

// spawning are annotations of a template with a trigger that asks for one Job a message.
func spawning(edits map[string]string) map[string]string {
	all := map[string]string{"job-mode": "spawn", "min-replicas": "", "max-replicas": "50", "trigger.orders": "{type: fake, target: 1, queue: orders}"}
	for key, text := range edits {
		all[key] = text
	}
	return on(all)
}

// ordered compares the order in the store; 0 Jobs is none, or one that was withdrawn.
func (w *world) ordered(jobs int32) *decisions.Order {
	w.t.Helper()
	e := w.entry(template)
	var got int32
	if e.Order != nil {
		got = e.Order.Jobs
	}
	if got != jobs {
		w.t.Errorf("%d Jobs are ordered, want %d: %s %s", got, jobs, e.Reason, e.Message)
	}
	return e.Order
}

// TestOneBatchForEachRead is JB-06: what was ordered is not ordered again before it is known that it was carried out and another read says so.
func TestOneBatchForEachRead(t *testing.T) {
	run(t, func(w *world) {
		w.sources["orders"].set(42)
		w.poller.Observe(template, Observation{})
		w.upsert(template, spawning(map[string]string{"job-strategy": "accurate"}))
		w.poller.Observe(template, Observation{})
		w.after(time.Second)
		order := w.ordered(42)
		if want := "trigger orders: 42 at a target of 1 each asks for 42 Jobs; none runs; starting 42"; order.Message != want {
			t.Errorf("got  %s\nwant %s", order.Message, want)
		}
		// Polls pass while the API server is slow; the order stands and stays what it was.
		w.after(35 * time.Second)
		if again := w.ordered(42); again.Batch != order.Batch {
			t.Errorf("got batch %d, want %d still", again.Batch, order.Batch)
		}
		// It was carried out. With the strategy accurate the same reading asks for 42 once more as soon as pods start, since they are about to take
		// the messages that it still counts; only the next read knows.
		for started := range int32(43) {
			w.poller.Observe(template, Observation{Replicas: 42, Pending: 42 - started, Batch: order.Batch})
			w.ordered(0)
		}
		w.sources["orders"].set(0)
		w.after(10 * time.Second)
		w.ordered(0)
		w.sources["orders"].set(3)
		w.after(10 * time.Second)
		if next := w.ordered(3); next.Batch == order.Batch {
			t.Error("a new order has the number of an old one")
		}
	})
}

// hold makes the next read wait: begun is closed when it is under way, and answer ends it, once, and all later ones with a value.
func (s *source) hold() (begun <-chan struct{}, answer func(float64)) {
	start, end := make(chan struct{}), make(chan struct{})
	var value atomic.Value
	var once sync.Once
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read = func(ctx context.Context, _ string) (scalers.Reading, error) {
		once.Do(func() { close(start) })
		select {
		case <-end:
			return scalers.Reading{Value: value.Load().(float64)}, nil
		case <-ctx.Done():
			return scalers.Reading{}, ctx.Err()
		}
	}
	return start, func(v float64) {
		value.Store(v)
		close(end)
		synctest.Wait()
	}
}

// TestReadThatBeganTooEarlyOrdersNothing: the value was read while Jobs of an order were being started.
func TestReadThatBeganTooEarlyOrdersNothing(t *testing.T) {
	run(t, func(w *world) {
		orders := w.sources["orders"]
		orders.set(5)
		w.upsert(template, spawning(nil))
		w.poller.Observe(template, Observation{})
		w.after(time.Second)
		order := w.ordered(5)
		begun, answer := orders.hold()
		<-begun
		w.poller.Observe(template, Observation{Replicas: 2, Pending: 2, Batch: order.Batch})
		w.ordered(0)
		answer(5) // it began before the order was carried out
		w.ordered(0)
		w.after(10 * time.Second) // the one after it
		w.ordered(3)
	})
}

// TestFloorIsOrderedDuringARead: what needs no reading is ordered at once, and the read that was under way then orders nothing.
func TestFloorIsOrderedDuringARead(t *testing.T) {
	run(t, func(w *world) {
		orders := w.sources["orders"]
		orders.set(0)
		w.upsert(template, spawning(map[string]string{"min-replicas": "2"}))
		w.poller.Observe(template, Observation{Replicas: 2})
		w.after(time.Second)
		w.ordered(0)
		begun, answer := orders.hold()
		<-begun
		w.poller.Observe(template, Observation{Replicas: 1})
		order := w.ordered(1)
		if order.Ceiling != 2 {
			t.Errorf("got the ceiling %d, want the floor", order.Ceiling)
		}
		w.poller.Observe(template, Observation{Replicas: 2, Pending: 1, Batch: order.Batch})
		answer(5)
		w.ordered(0)
		w.after(10 * time.Second)
		w.ordered(5)
	})
}

// TestRetryIsANewOrder is JB-10: a quota let 3 of 10 pass, and the same demand is an order of its own at the next read.
func TestRetryIsANewOrder(t *testing.T) {
	run(t, func(w *world) {
		w.sources["orders"].set(10)
		w.upsert(template, spawning(nil))
		w.poller.Observe(template, Observation{})
		w.after(time.Second)
		first := w.ordered(10)
		w.poller.Observe(template, Observation{Replicas: 3, Pending: 3, Batch: first.Batch})
		w.ordered(0)
		w.after(10 * time.Second)
		second := w.ordered(7)
		w.poller.Observe(template, Observation{Replicas: 3, Pending: 3, Batch: second.Batch})
		w.after(10 * time.Second)
		if third := w.ordered(7); third.Batch == second.Batch {
			t.Error("the retry is no order of its own")
		}
	})
}

// TestOrderIsWithdrawn by an edit, by a template that is none any more, and when it is not known what runs; and is not given again without a read.
func TestOrderIsWithdrawn(t *testing.T) {
	for name, change := range map[string]func(*world){
		"edit":       func(w *world) { w.upsert(template, spawning(map[string]string{"pause": "true"})) },
		"left alone": func(w *world) { w.poller.Observe(template, Observation{LeftAlone: "the CronJob is not suspended"}) },
		"unknown":    func(w *world) { w.poller.Observe(template, Observation{Unknown: "cannot list Jobs"}) },
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(w *world) {
				w.sources["orders"].set(10)
				w.upsert(template, spawning(nil))
				w.poller.Observe(template, Observation{})
				w.after(time.Second)
				batch := w.ordered(10).Batch
				change(w)
				withdrawn := w.ordered(0)
				if withdrawn == nil || withdrawn.Batch != batch {
					t.Fatalf("got %+v, want the order without Jobs", withdrawn)
				}
				w.poller.Observe(template, Observation{Batch: batch})
				w.ordered(0)
				w.upsert(template, spawning(nil))
				w.ordered(0)
				w.after(10 * time.Second)
				w.ordered(10)
			})
		})
	}
}

// TestUnknownJobs is JB-09: without a list there is neither floor nor demand, and it is said why.
func TestUnknownJobs(t *testing.T) {
	run(t, func(w *world) {
		w.sources["orders"].set(10)
		w.upsert(template, spawning(map[string]string{"min-replicas": "2"}))
		w.poller.Observe(template, Observation{Unknown: "cannot list Jobs: forbidden"})
		w.after(30 * time.Second)
		w.ordered(0)
		e := w.is(template, 0, decide.JobsUnknown)
		if want := "cannot list Jobs: forbidden; no Job is started until it is known how many run"; e.Message != want {
			t.Errorf("got  %s\nwant %s", e.Message, want)
		}
	})
}

// TestFloorNeedsNoSource is FB-07.
func TestFloorNeedsNoSource(t *testing.T) {
	run(t, func(w *world) {
		w.sources["orders"].fails(errDown)
		w.upsert(template, spawning(map[string]string{"min-replicas": "2", "pause": "0"}))
		w.poller.Observe(template, Observation{})
		w.after(time.Minute)
		w.ordered(0)
		w.upsert(template, spawning(map[string]string{"min-replicas": "2"}))
		w.ordered(2)
	})
}

// TestEachReadingIsUsedOnce: triggers with intervals of their own.
func TestEachReadingIsUsedOnce(t *testing.T) {
	run(t, func(w *world) {
		w.sources["orders"].set(0)
		w.sources["mails"].set(4)
		w.upsert(template, spawning(map[string]string{"job-strategy": "accurate", "trigger.mails": "{type: fake, target: 1, queue: mails, interval: 30s}"}))
		w.poller.Observe(template, Observation{})
		w.after(time.Second)
		order := w.ordered(4)
		w.poller.Observe(template, Observation{Replicas: 4, Batch: order.Batch}) // all have started, and hold their message
		w.after(20 * time.Second)                                                // two reads of orders
		w.ordered(0)
		w.sources["mails"].set(1)
		w.after(10 * time.Second)
		w.ordered(1)
	})
}

// TestFormulaOfJobsIsOfOneMoment: its triggers are read together, at the slowest interval.
func TestFormulaOfJobsIsOfOneMoment(t *testing.T) {
	run(t, func(w *world) {
		w.sources["orders"].set(2)
		w.sources["mails"].set(4)
		w.upsert(template, spawning(map[string]string{
			"formula": "{expression: orders + mails, target: 1}", "trigger.mails": "{type: fake, queue: mails, interval: 30s}", "trigger.orders": "{type: fake, queue: orders}",
		}))
		w.poller.Observe(template, Observation{})
		w.after(time.Second)
		order := w.ordered(6)
		w.poller.Observe(template, Observation{Replicas: 6, Batch: order.Batch})
		w.sources["orders"].set(5)
		w.after(20 * time.Second)
		w.ordered(0)
		w.after(10 * time.Second)
		w.ordered(3)
		if orders, mails := w.sources["orders"].readCount(), w.sources["mails"].readCount(); orders != 2 || mails != 2 {
			t.Errorf("read %d and %d times, want 2 and 2", orders, mails)
		}
	})
}

// TestModeOfAJobChanges: the count of one mode is none of the other.
func TestModeOfAJobChanges(t *testing.T) {
	run(t, func(w *world) {
		w.sources["orders"].set(10)
		w.upsert(template, on(nil))
		w.poller.Observe(template, Observation{Replicas: 7})
		w.after(time.Second)
		w.upsert(template, spawning(nil))
		w.after(10 * time.Second)
		if e := w.decisions.Get(template); e.Order != nil {
			t.Errorf("got the order %+v on the ground of another count", e.Order)
		}
		w.poller.Observe(template, Observation{})
		w.after(10 * time.Second)
		w.ordered(10)
	})
}
