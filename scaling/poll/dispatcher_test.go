package poll

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// TestDispatcherKeepsTheLatestAppointment: one that was replaced counts no more, and one that a workload goes back to is kept once.
func TestDispatcherKeepsTheLatestAppointment(t *testing.T) {
	var now time.Duration
	start := time.Now()
	d := dispatcher{now: func() time.Time { return start.Add(now) }, start: func(func()) {}}
	defer d.close()
	a, b := &workload{}, &workload{}
	set := func(w *workload, at time.Duration) { d.set(w, start.Add(at)) }
	due := func(at time.Duration, want ...*workload) {
		t.Helper()
		now = at
		if got := d.due(); !slices.Equal(got, want) {
			t.Errorf("after %s %d workloads are due (a: %v, b: %v), want %d", at, len(got), slices.Contains(got, a), slices.Contains(got, b), len(want))
		}
	}
	set(a, 10*time.Hour)
	set(b, 5*time.Hour)
	set(a, 3*time.Hour)
	set(a, 3*time.Hour)
	if d.length != 3 {
		t.Errorf("%d places, want three", d.length)
	}
	due(2 * time.Hour)
	due(4*time.Hour, a)
	set(a, 10*time.Hour)
	if n := d.length; n != 2 {
		t.Errorf("%d appointments for two workloads", n)
	}
	set(b, 11*time.Hour)
	due(9 * time.Hour)
	due(12*time.Hour, a, b)
	due(24 * time.Hour)
	set(a, 25*time.Hour)
	set(b, 25*time.Hour)
	d.cancel(a)
	due(26*time.Hour, b)
	set(b, 20*time.Hour) // in the past
	due(26*time.Hour, b)
	set(b, 25*time.Hour) // the moment of before
	due(26*time.Hour, b)
	if n := d.length; n != 0 {
		t.Errorf("%d appointments are left", n)
	}
}

// TestDispatcherForgetsWhatWasReplaced: a workload that is woken all the time leaves nothing behind.
func TestDispatcherForgetsWhatWasReplaced(t *testing.T) {
	start := time.Now()
	now := start
	d := dispatcher{now: func() time.Time { return now }, start: func(func()) {}}
	defer d.close()
	others := make([]workload, 200)
	for i := range others {
		d.set(&others[i], start.Add(24*time.Hour))
	}
	d.set(&others[0], start.Add(30*time.Minute))
	busy, far := &workload{}, start.Add(48*time.Hour)
	for i := range 10000 {
		d.set(busy, far)
		d.set(busy, start.Add(time.Hour).Add(-time.Duration(i)))
		if n := d.length; n > 4*len(others) {
			t.Fatalf("%d appointments after %d rounds", n, i)
		}
	}
	now = start.Add(time.Hour)
	if got := d.due(); !slices.Equal(got, []*workload{&others[0], busy}) {
		t.Errorf("%d workloads are due, want two", len(got))
	}
	d.set(busy, far)
	d.set(&others[0], far)
	now = far
	if got := d.due(); len(got) != len(others)+1 {
		t.Errorf("%d workloads are due, want all %d", len(got), len(others)+1)
	}
}

// TestBeatsAreFewAndEven: many workloads read at few moments, so that their reads go together, and about as many at each; a workload keeps to its own.
func TestBeatsAreFewAndEven(t *testing.T) {
	const n = 2000
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for interval, moments := range map[time.Duration]int{time.Second: 10, 5 * time.Second: 10, 30 * time.Second: 60} {
		crowds := map[time.Duration]int{}
		for i := range n {
			w := workload{uid: types.UID(fmt.Sprintf("uid-%d", i))}
			first := w.beat(interval, start)
			if wait := first.Sub(start); wait <= 0 || wait > interval {
				t.Fatalf("polled every %s, workload %d waits for %s", interval, i, wait)
			}
			if again := w.beat(interval, first.Add(interval/3)); again != first.Add(interval) {
				t.Fatalf("polled every %s, workload %d is read at %s and then at %s", interval, i, first, again)
			}
			crowds[first.Sub(start)%interval]++
		}
		if most := slices.Max(slices.Collect(maps.Values(crowds))); len(crowds) != moments || most > 2*n/moments {
			t.Errorf("polled every %s, %d workloads share %d moments, and one has %d of them; want %d moments with %d each", interval, n, len(crowds), most, moments, n/moments)
		}
	}
}
