package decisions

import (
	"testing"
	"time"

	"autoscale.io/scaling/decide"
)

func TestPutCallsOnlyForWhatMatters(t *testing.T) {
	calls := 0
	b := New(func(Key) { calls++ })
	key := Key{Namespace: "shop", Name: "worker"}
	base := Entry{Replicas: 2, From: 1, Reason: decide.AboveTarget, Triggers: []Trigger{{Name: "orders", Known: true, Value: 20}}}
	at := time.Unix(1, 0)
	put := func(change func(*Entry)) {
		e := base
		e.Triggers = append([]Trigger(nil), base.Triggers...)
		change(&e)
		at = at.Add(time.Second)
		b.Put(key, &e, at)
	}
	put(func(*Entry) {})
	steps := []struct {
		name   string
		change func(*Entry)
		called bool
	}{
		{"the same again", func(*Entry) {}, false},
		{"a new value and time", func(e *Entry) { e.Triggers[0].Value = 21 }, false},
		{"a new count", func(e *Entry) { e.Replicas = 3 }, true},
		{"back", func(*Entry) {}, true},
		{"an error", func(e *Entry) { e.Triggers[0].Known, e.Triggers[0].Error = false, "refused" }, true},
		{"another error", func(e *Entry) { e.Triggers[0].Known, e.Triggers[0].Error = false, "NOAUTH" }, true},
	}
	for _, step := range steps {
		before := calls
		put(step.change)
		if called := calls > before; called != step.called {
			t.Errorf("%s: called %v, want %v", step.name, called, step.called)
		}
	}
	calls = 0
	again := at.Add(time.Second)
	b.Put(key, b.Get(key), again)
	b.All(func(k Key, e *Entry, last time.Time) {
		if k != key || e != b.Get(key) || !last.Equal(again) || calls != 0 {
			t.Errorf("after the same decision again: %v at %s with %d calls, want the time alone to change", k, last, calls)
		}
	})
	b.Delete(key)
	if b.Get(key) != nil {
		t.Error("a deleted workload is still in the store")
	}
}

// TestOrdersAreToldOfEachTime: a retry looks like the order before and is another one.
func TestOrdersAreToldOfEachTime(t *testing.T) {
	calls := 0
	b := New(func(Key) { calls++ })
	for i, order := range []*Order{nil, {Batch: 1, Jobs: 7}, {Batch: 1, Jobs: 7}, {Batch: 2, Jobs: 7}, {Batch: 2}, nil, nil} {
		b.Put(Key{}, &Entry{Order: order}, time.Time{})
		if want := []int{1, 2, 2, 3, 4, 5, 5}[i]; calls != want {
			t.Errorf("step %d: called %d times, want %d", i, calls, want)
		}
	}
}

// TestAllowed: what runs by now and what ran then both count, and the ceiling is never passed.
func TestAllowed(t *testing.T) {
	for _, c := range []struct {
		order   Order
		running int32
		want    int32
	}{
		{Order{Jobs: 32, From: 10, Ceiling: 50}, 10, 32},
		{Order{Jobs: 32, From: 10, Ceiling: 50}, 5, 32},
		{Order{Jobs: 32, From: 10, Ceiling: 50}, 30, 20},
		{Order{Jobs: 32, From: 30, Ceiling: 50}, 5, 20},
		{Order{Jobs: 2, From: 0, Ceiling: 2}, 1, 1},
		{Order{Jobs: 2, From: 0, Ceiling: 2}, 7, 0},
		{Order{Ceiling: 50}, 0, 0},
	} {
		if got := c.order.Allowed(c.running); got != c.want {
			t.Errorf("%+v with %d running: got %d, want %d", c.order, c.running, got, c.want)
		}
	}
}
