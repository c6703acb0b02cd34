package poll

import (
	"context"
	"errors"
	"testing"
	"time"

	"autoscale.io/scalers"
	"autoscale.io/scaling/decisions"
)

// TestTheSameDecisionIsNotPutIntoWordsAgain: the entry in the store stays while nothing is new, and no longer.
func TestTheSameDecisionIsNotPutIntoWordsAgain(t *testing.T) {
	run(t, func(w *world) {
		orders := w.sources["orders"]
		orders.set(45)
		keys := on(nil)
		edit := func(key, value string) func() {
			return func() {
				keys[key] = value
				w.upsert(worker, keys)
			}
		}
		reads := func(read func(context.Context, string) (scalers.Reading, error)) func() {
			return func() {
				orders.mu.Lock()
				defer orders.mu.Unlock()
				orders.read = read
			}
		}
		count := func(o Observation) func() { return func() { w.poller.Observe(worker, o) } }
		w.upsert(worker, keys)
		w.poller.Observe(worker, Observation{Replicas: 5})
		decided := func() (at time.Time) {
			w.decisions.All(func(_ decisions.Key, _ *decisions.Entry, last time.Time) { at = last })
			return at
		}
		w.after(time.Second)
		before, at := w.entry(worker), decided()
		w.after(10 * time.Second)
		if now := decided(); w.entry(worker) != before || now.Sub(at) != 10*time.Second-firstRead {
			t.Errorf("after a read without news: another entry, or decided at %s after %s", now, at)
		}
		for _, news := range []struct {
			name string
			come func()
			want string
			// always says that it is news each time.
			always bool
		}{
			{"a value", func() { orders.set(46) }, "trigger orders: 46 at a target of 10 each is within tolerance of 5 replicas", false},
			{"a count", count(Observation{Replicas: 4}), "trigger orders: 46 at a target of 10 each asks for 5 replicas", false},
			{"a rival", count(Observation{Replicas: 4, Rival: "HPA a"}), "HPA a scales this workload too; holding 4 replicas until one of the two is gone", false},
			{"another", count(Observation{Replicas: 4, Rival: "HPA b"}), "HPA b scales this workload too; holding 4 replicas until one of the two is gone", false},
			{"none any more", count(Observation{Replicas: 4}), "trigger orders: 46 at a target of 10 each asks for 5 replicas", false},
			{
				"an outage", reads(func(context.Context, string) (scalers.Reading, error) { return scalers.Reading{}, errors.New("gone") }),
				"trigger orders could not be read; holding 4 replicas", true,
			},
			{"its end", reads(nil), "trigger orders: 46 at a target of 10 each asks for 5 replicas", false},
			{"a pause", edit("pause", "true"), "paused; holding 4 replicas", false},
			{"another pause", edit("pause", "4"), "paused at 4 replicas", false},
			{"a pause of one direction", edit("pause", "scale-in"), "trigger orders: 46 at a target of 10 each asks for 5 replicas", false},
		} {
			news.come()
			w.after(10 * time.Second)
			e := w.entry(worker)
			if e.Message != news.want || e.Triggers[0].Known == news.always {
				t.Errorf("%s: got %q and %+v, want %q", news.name, e.Message, e, news.want)
			}
			w.after(10 * time.Second)
			if again := w.entry(worker) != e; again != news.always {
				t.Errorf("%s: another entry after the next read: %v, want %v", news.name, again, news.always)
			}
		}
		until := time.Now().Add(30 * time.Second).UTC().Format(time.RFC3339)
		edit("pause-until", until)()
		paused := func() bool { return w.entry(worker).Paused }
		if !paused() {
			t.Error("not paused")
		}
		w.after(time.Minute)
		if paused() {
			t.Errorf("still paused at %s, after %s", time.Now(), until)
		}
	})
}
