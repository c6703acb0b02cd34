package poll

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"autoscale.io/scalers"
	"autoscale.io/scaling/decide"
	"autoscale.io/scaling/decisions"
)

func TestPollsAtTheIntervalAndStepsToTheProposal(t *testing.T) {
	run(t, func(w *world) {
		orders := w.sources["orders"]
		orders.set(45)
		w.poller.Observe(worker, Observation{Replicas: 1}) // of something that is not polled: nothing happens
		if w.poller.Polling(worker) {
			t.Error("a workload is polled before Upsert")
		}
		w.upsert(worker, on(nil))
		w.poller.Observe(worker, Observation{Replicas: 2})
		if e := w.decisions.Get(worker); e != nil {
			t.Errorf("decided without a reading: %+v", e)
		}
		w.after(time.Millisecond)
		e := w.entry(worker)
		const message = "trigger orders: 45 at a target of 10 each asks for 5 replicas"
		if e.Replicas != 5 || e.From != 2 || e.Reason != decide.AboveTarget || e.Message != message || !e.Active || e.Paused {
			t.Errorf("got %+v, want 2 → 5 with %q", e, message)
		}
		trigger := decisions.Trigger{Name: "orders", Type: "fake", Target: 10, Known: true, Value: 45}
		if !slices.Equal(e.Triggers, []decisions.Trigger{trigger}) {
			t.Errorf("got triggers %+v, want %+v", e.Triggers, trigger)
		}
		orders.set(61)
		w.after(35 * time.Second)
		if got, want := orders.gaps(), []time.Duration{10 * time.Second, 10 * time.Second, 10 * time.Second}; !slices.Equal(got, want) {
			t.Errorf("times between reads are %v, want %v", got, want)
		}
		if e := w.entry(worker); e.Replicas != 7 {
			t.Errorf("got %d replicas, want 7", e.Replicas)
		}
		orders.is(t, 1, 0)
	})
}

func TestNoDecisionBeforeTheCountIsKnown(t *testing.T) {
	run(t, func(w *world) {
		w.upsert(worker, on(nil))
		w.after(25 * time.Second)
		if e := w.decisions.Get(worker); e != nil {
			t.Errorf("decided without a count: %+v", e)
		}
		w.poller.Observe(worker, Observation{Replicas: 3})
		if e := w.entry(worker); e.From != 3 {
			t.Errorf("decided from %d, want 3", e.From)
		}
	})
}

func TestNoDecisionBeforeEveryTriggerWasRead(t *testing.T) {
	run(t, func(w *world) {
		release := make(chan struct{})
		defer close(release)
		w.sources["mails"].read = ignoringContext(release)
		w.sources["orders"].set(100)
		w.upsert(worker, on(map[string]string{"trigger.mails": "{type: fake, target: 10, queue: mails, timeout: 2s}"}))
		w.poller.Observe(worker, Observation{Replicas: 1})
		w.after(time.Second)
		if e := w.decisions.Get(worker); e != nil {
			t.Errorf("decided with half of the triggers: %+v", e)
		}
		w.after(time.Second + time.Millisecond)
		if e := w.entry(worker); e.Replicas != 10 || e.Triggers[0].Known || !e.Triggers[1].Known {
			t.Errorf("got %+v, want 10 replicas by orders and mails UNKNOWN", e)
		}
	})
}

func TestTriggerIntervalOverridesTheWorkloads(t *testing.T) {
	run(t, func(w *world) {
		w.upsert(worker, on(map[string]string{"trigger.mails": "{type: fake, target: 10, queue: mails, interval: 4s}"}))
		w.after(9 * time.Second)
		if orders, mails := w.sources["orders"].readCount(), w.sources["mails"].readCount(); orders != 1 || mails != 3 {
			t.Errorf("read orders %d and mails %d times in 9s, want 1 and 3", orders, mails)
		}
	})
}

func TestObserveDecidesAtOnceWithoutReading(t *testing.T) {
	run(t, func(w *world) {
		orders := w.sources["orders"]
		orders.set(45)
		w.upsert(worker, on(nil))
		w.poller.Observe(worker, Observation{Replicas: 2})
		w.after(time.Second)
		before := w.entry(worker)
		w.poller.Observe(worker, Observation{Replicas: 2})
		if w.entry(worker) != before {
			t.Error("the same count was decided for anew")
		}
		w.poller.Observe(worker, Observation{Replicas: 5})
		if e := w.entry(worker); e.From != 5 || e.Replicas != 5 || e.Reason != decide.AtTarget {
			t.Errorf("got %+v, want 5 → 5", e)
		}
		w.poller.Observe(worker, Observation{Replicas: 0})
		if e := w.entry(worker); e.Replicas != 0 || e.Reason != decide.ZeroByUser {
			t.Errorf("got %+v, want a person's zero", e)
		}
		w.poller.Observe(worker, Observation{Replicas: 0, ZeroIsOurs: true})
		if e := w.entry(worker); e.From != 0 || e.Replicas != 5 {
			t.Errorf("got %+v, want 0 → 5", e)
		}
		if n := orders.readCount(); n != 1 {
			t.Errorf("read %d times, want 1", n)
		}
	})
}

func TestObserveDecidesWhileASourceIsRead(t *testing.T) {
	run(t, func(w *world) {
		orders := w.sources["orders"]
		orders.set(45)
		w.upsert(worker, on(nil))
		w.poller.Observe(worker, Observation{Replicas: 2})
		w.after(5 * time.Second)
		release := make(chan struct{})
		defer close(release)
		orders.mu.Lock()
		orders.read = ignoringContext(release)
		orders.mu.Unlock()
		w.after(6 * time.Second)
		w.poller.Observe(worker, Observation{Replicas: 4})
		if e := w.entry(worker); e.From != 4 || e.Replicas != 5 || !e.Triggers[0].Known {
			t.Errorf("got %+v, want 4 → 5 from the latest reading", e)
		}
	})
}

func TestDecidesAgainWhenThePauseEnds(t *testing.T) {
	run(t, func(w *world) {
		w.sources["orders"].set(45)
		until := time.Now().Add(4 * time.Second).Format(time.RFC3339)
		w.upsert(worker, on(map[string]string{"pause": "true", "pause-until": until}))
		w.poller.Observe(worker, Observation{Replicas: 2})
		w.after(3 * time.Second)
		if e := w.entry(worker); !e.Paused || e.Replicas != 2 || e.Reason != decide.Paused {
			t.Errorf("got %+v, want a pause at 2", e)
		}
		w.after(1100 * time.Millisecond)
		if e := w.entry(worker); e.Paused || e.Replicas != 5 {
			t.Errorf("got %+v, want 5 after the pause", e)
		}
		if n := w.sources["orders"].readCount(); n != 1 {
			t.Errorf("read %d times, want 1", n)
		}
	})
}

func TestEditKeepsUnchangedSources(t *testing.T) {
	run(t, func(w *world) {
		orders, mails := w.sources["orders"], w.sources["mails"]
		orders.set(45)
		const more = "{type: fake, target: 10, queue: mails}"
		w.upsert(worker, on(map[string]string{"trigger.mails": more}))
		w.poller.Observe(worker, Observation{Replicas: 2})
		w.after(time.Second)
		w.upsert(worker, on(map[string]string{"trigger.mails": more, "min-replicas": "8"}))
		if e := w.entry(worker); e.Replicas != 8 {
			t.Errorf("got %d replicas, want the new minimum of 8 at once", e.Replicas)
		}
		orders.is(t, 1, 0)
		mails.is(t, 1, 0)
		w.upsert(worker, on(map[string]string{"trigger.mails": "{type: fake, target: 20, queue: mails}"}))
		w.after(time.Second)
		mails.is(t, 2, 1)
		w.upsert(worker, on(nil))
		mails.is(t, 2, 2)
		orders.is(t, 1, 0)
		w.after(10 * time.Second)
		if e := w.entry(worker); len(e.Triggers) != 1 || orders.readCount() != 2 || mails.readCount() != 2 {
			t.Errorf("got %+v after %d and %d reads, want orders alone, and mails not read any more", e.Triggers, orders.readCount(), mails.readCount())
		}
	})
}

func TestEditOfWhatASourceWasToldReopensIt(t *testing.T) {
	for key, value := range map[string]string{"max-replicas": "30", "env-container": "app"} {
		t.Run(key, func(t *testing.T) {
			run(t, func(w *world) {
				orders := w.sources["orders"]
				w.upsert(worker, on(nil))
				w.after(time.Second)
				w.upsert(worker, on(map[string]string{key: value}))
				w.after(time.Second)
				orders.is(t, 2, 1)
				if key == "max-replicas" && orders.max != 30 {
					t.Errorf("the source was told a maximum of %d, want 30", orders.max)
				}
				if key == "env-container" && !slices.Equal(w.containers, []string{"", "app"}) {
					t.Errorf("asked for the environment of %q, want the first container's and app's", w.containers)
				}
			})
		})
	}
}

func TestShorterIntervalCountsAtOnce(t *testing.T) {
	run(t, func(w *world) {
		orders := w.sources["orders"]
		w.upsert(worker, on(map[string]string{"polling-interval": "24h"}))
		w.after(time.Second)
		w.upsert(worker, on(map[string]string{"polling-interval": "5s"}))
		w.after(11 * time.Second)
		if got, want := orders.gaps(), 5*time.Second; len(got) != 2 || got[1] != want {
			t.Errorf("times between reads are %v, want two, the second of %s", got, want)
		}
		orders.is(t, 1, 0)
	})
}

func TestNewUIDStartsAnew(t *testing.T) {
	run(t, func(w *world) {
		orders := w.sources["orders"]
		spec := w.spec(worker, on(nil))
		w.poller.Upsert(worker, spec)
		w.poller.Observe(worker, Observation{Replicas: 2})
		w.after(time.Second)
		spec.UID = "another"
		w.poller.Upsert(worker, spec)
		orders.is(t, 1, 1)
		w.after(time.Second)
		if e := w.decisions.Get(worker); e != nil || !w.poller.Polling(worker) {
			t.Errorf("got %+v, want no decision until the new object's count is known", e)
		}
		orders.is(t, 2, 1)
	})
}

func TestRemoveClosesEverything(t *testing.T) {
	run(t, func(w *world) {
		orders, mails := w.sources["orders"], w.sources["mails"]
		w.upsert(worker, on(map[string]string{"trigger.mails": "{type: fake, target: 10, queue: mails}"}))
		w.poller.Observe(worker, Observation{Replicas: 2})
		w.after(time.Second)
		w.entry(worker)
		w.poller.Remove(worker)
		w.poller.Remove(worker)
		orders.is(t, 1, 1)
		mails.is(t, 1, 1)
		w.after(time.Minute)
		if w.decisions.Get(worker) != nil || w.poller.Polling(worker) || orders.readCount() != 1 {
			t.Errorf("a removed workload is still there, or read: %d reads", orders.readCount())
		}
	})
}

func TestRemoveDuringAReadClosesAfterIt(t *testing.T) {
	run(t, func(w *world) {
		orders := w.sources["orders"]
		release := make(chan struct{})
		orders.read = ignoringContext(release)
		w.upsert(worker, on(nil))
		w.poller.Observe(worker, Observation{Replicas: 2})
		w.after(time.Second)
		w.poller.Remove(worker)
		orders.is(t, 1, 0)
		close(release)
		w.after(time.Second)
		orders.is(t, 1, 1)
		if w.decisions.Get(worker) != nil {
			t.Error("a removed workload came back to the store")
		}
	})
}

// TestEditsRaceFree edits, observes and removes while sources are read; the race detector is the judge, and no source may be left open.
func TestEditsRaceFree(t *testing.T) {
	run(t, func(w *world) {
		specs := make([]Spec, 0, 4)
		for n := range 4 {
			edits := map[string]string{"polling-interval": "1s", "max-replicas": strconv.Itoa(20 + n/2)}
			if n%2 == 1 {
				maps.Copy(edits, map[string]string{"polling-interval": "2s", "trigger.mails": "{type: fake, target: 10, queue: mails}"})
			}
			specs = append(specs, w.spec(worker, on(edits)))
		}
		// Each read lets an editor go on, and takes its time while that one edits.
		reading, over := make(chan struct{}), make(chan struct{})
		slow := slowly(700 * time.Millisecond)
		for _, s := range w.sources {
			s.read = func(ctx context.Context, password string) (scalers.Reading, error) {
				select {
				case reading <- struct{}{}:
				case <-over:
				case <-ctx.Done():
				}
				return slow(ctx, password)
			}
		}
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				for n := range 200 {
					w.poller.Upsert(worker, specs[(n+i)%len(specs)])
					w.poller.Observe(worker, Observation{Replicas: int32(n % 7), ZeroIsOurs: true})
					<-reading
					if n%50 == 49 {
						w.poller.Remove(worker)
						w.poller.Upsert(worker, specs[n%len(specs)]) // or nobody would be read who lets the others go on
					}
				}
			})
		}
		wg.Wait()
		close(over)
		w.poller.Close()
		for name, s := range w.sources {
			if s.opened == 0 || s.opened != s.closed {
				t.Errorf("%s was opened %d and closed %d times", name, s.opened, s.closed)
			}
		}
	})
}
