package poll

import (
	"context"
	"testing"
	"time"

	"autoscale.io/scalers"
	"autoscale.io/scaling/decide"
)

// isWatched says how many watches of a source run.
func (s *source) isWatched(t *testing.T, want int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watching != want {
		t.Errorf("%d watches, want %d", s.watching, want)
	}
}

// asleep makes worker a workload without work, whose source can tell when some comes and is read on its own once an hour only.
func (w *world) asleep() *source {
	orders := w.sources["orders"]
	orders.wakes = make(chan struct{})
	w.upsert(worker, on(map[string]string{"min-replicas": "0", "polling-interval": "1h"}))
	w.poller.Observe(worker, Observation{ZeroIsOurs: true})
	w.after(5 * time.Second)
	return orders
}

// TestWorkWakesAtOnce: a workload without work is read when its source speaks up; one with work is read within a second.
func TestWorkWakesAtOnce(t *testing.T) {
	run(t, func(w *world) {
		orders := w.asleep()
		w.is(worker, 0, decide.Idle)
		if n := orders.readCount(); n != 2 { // the first, and one as the watch began: what came in between was not heard
			t.Errorf("read %d times, want 2", n)
		}
		orders.set(45)
		orders.wakes <- struct{}{}
		w.after(time.Millisecond)
		w.is(worker, 5, decide.Waking)
		w.poller.Observe(worker, Observation{Replicas: 5})
		for range 100 {
			orders.wakes <- struct{}{}
			w.after(100 * time.Millisecond)
		}
		if n := orders.readCount(); n < 12 || n > 13 {
			t.Errorf("read %d times, want 3 and once a second after that, however often it wakes", n)
		}
		w.after(time.Second)
		orders.set(90)
		orders.wakes <- struct{}{}
		w.after(time.Second)
		w.is(worker, 9, decide.AboveTarget)
		orders.isWatched(t, 1)
		w.upsert(worker, on(map[string]string{"min-replicas": "0", "polling-interval": "1h", "trigger.orders": "{type: fake, target: 20, queue: orders}"}))
		w.after(10 * time.Second)
		orders.isWatched(t, 1)
		orders.is(t, 2, 1)
		w.poller.Remove(worker)
		w.after(time.Second)
		orders.isWatched(t, 0)
		orders.is(t, 2, 2)
	})
}

// TestAWakeDuringAReadIsNotLost: the read may have looked before the work came.
func TestAWakeDuringAReadIsNotLost(t *testing.T) {
	run(t, func(w *world) {
		orders := w.asleep()
		orders.mu.Lock()
		orders.read = func(ctx context.Context, _ string) (scalers.Reading, error) {
			select { // a slow answer of 0
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			return scalers.Reading{}, ctx.Err()
		}
		orders.mu.Unlock()
		orders.wakes <- struct{}{}
		w.after(500 * time.Millisecond) // the read is under way
		orders.wakes <- struct{}{}
		w.after(100 * time.Millisecond)
		orders.set(45)
		orders.fails(nil)
		w.after(time.Second)
		w.is(worker, 5, decide.Waking)
	})
}

// TestAWakeThatWasPutOffMayMeetARead: who reads ends a watch when it opens a source anew, and holds no lock then.
func TestAWakeThatWasPutOffMayMeetARead(t *testing.T) {
	run(t, func(w *world) {
		orders := w.asleep()
		polled := w.poller.workloads[worker]
		orderTrigger := polled.triggers[0]
		source := orderTrigger.source
		polled.mu.Lock()
		polled.polling = true                                       // this goroutine is who reads
		polled.locked(func() { polled.wake(orderTrigger, source) }) // put off, as the lock is taken
		polled.mu.Unlock()
		orderTrigger.stopWatching()
		w.after(time.Millisecond)
		orders.isWatched(t, 0)
		polled.mu.Lock()
		polled.polling = false
		polled.mu.Unlock()
	})
}
