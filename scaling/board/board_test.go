package board

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
	put := func(change func(*Entry)) {
		e := base
		e.Triggers = append([]Trigger(nil), base.Triggers...)
		change(&e)
		b.Put(key, &e)
	}
	put(func(*Entry) {})
	steps := []struct {
		name   string
		change func(*Entry)
		called bool
	}{
		{"the same again", func(*Entry) {}, false},
		{"a new value and time", func(e *Entry) { e.Triggers[0].Value, e.At = 21, time.Unix(9, 0) }, false},
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
	b.Delete(key)
	if b.Get(key) != nil {
		t.Error("a deleted workload is still on the board")
	}
}
