// Package decisions keeps the latest decision of every workload in memory and tells one listener when a workload needs attention.
//
// It is the only meeting point of those who decide (package poll) and those who write (package controller): neither calls the other. It holds no
// history, makes no decision and does no I/O.
package decisions

import (
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"autoscale.io/annotations"
	"autoscale.io/scaling/decide"
)

// Key identifies a workload.
type Key struct {
	Resource  schema.GroupVersionResource
	Namespace string
	Name      string
}

// String is "deployments.apps NAMESPACE/NAME".
func (k Key) String() string {
	return k.Resource.GroupResource().String() + " " + k.Namespace + "/" + k.Name
}

// Trigger is the latest state of one trigger, guard or formula, for reports.
type Trigger struct {
	Name string
	Type string
	// Guard says that it is a guard; Target is its limit then.
	Guard  bool
	Target float64
	// Known is false when the last read failed; Error then says why and Since when that began.
	Known bool
	Value float64
	Note  string
	Error string
	Since time.Time
	// Spawns says that the workload is a template of Jobs, where an unreadable trigger starts none.
	Spawns bool
}

// Title is what a person calls it: "trigger orders", "guard database", "the formula".
func (t Trigger) Title() string {
	switch {
	case t.Guard:
		return "guard " + t.Name
	case t.Type == annotations.FormulaName:
		return "the formula"
	}
	return "trigger " + t.Name
}

// Order asks for new Jobs of a template. It stays in the store until it has been carried out, whatever is decided meanwhile.
type Order struct {
	// Batch is unique. An order is carried out once, and no other is given before that one is done, however well it went: what it could not start is
	// for the next reading to ask for.
	Batch int64
	// Jobs is how many to start; 0 when the order was withdrawn.
	Jobs int32
	// From is how many were unfinished when the order was given.
	From int32
	// Ceiling is the number of unfinished Jobs that must not be passed, whatever runs by now.
	Ceiling int32
	// Message says why.
	Message string
}

// Allowed is how many Jobs the order may start while running are unfinished.
func (o Order) Allowed(running int32) int32 {
	return max(min(o.Jobs, o.Ceiling-max(running, o.From)), 0)
}

// Entry is the latest decision of one workload. It is never changed once it is in the store.
type Entry struct {
	Replicas int32
	// From is the count that the decision was made for.
	From    int32
	Reason  decide.Reason
	Message string
	Active  bool
	// Paused says that a pause is in effect, whatever the Reason.
	Paused bool
	// Cooling says that the cooldown has run for long enough to be worth a word; Message then says until when.
	Cooling bool
	// Fallback says that a fallback stands in for a trigger that cannot be read.
	Fallback bool
	Triggers []Trigger
	// Order is nil unless the workload is a template with Jobs to start.
	Order *Order
}

// latest is a workload's entry and when the decision was made last.
type latest struct {
	entry *Entry
	at    time.Time
}

// Store is safe for concurrent use.
type Store struct {
	changed func(Key)

	mu      sync.RWMutex
	entries map[Key]latest
}

// New returns an empty store. changed is called, without any lock held, after each Put that a writer or a reader of events would want to know
// of; it must not block.
func New(changed func(Key)) *Store {
	return &Store{changed: changed, entries: map[Key]latest{}}
}

// Put replaces the entry of a workload by that of a decision made at a time; the same entry again says that the decision was the same. A new value or time alone
// is no change worth a call.
func (s *Store) Put(key Key, entry *Entry, at time.Time) {
	s.mu.Lock()
	before := s.entries[key].entry
	s.entries[key] = latest{entry, at}
	s.mu.Unlock()
	if before != entry && (before == nil || entry.differs(before)) {
		s.changed(key)
	}
}

// Get returns the entry of a workload, or nil.
func (s *Store) Get(key Key) *Entry {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.entries[key].entry
}

// Delete forgets a workload.
func (s *Store) Delete(key Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, key)
}

// All calls visit for every workload, with the time of its latest decision, in no order, without a lock held.
func (s *Store) All(visit func(Key, *Entry, time.Time)) {
	s.mu.RLock()
	entries := maps.Clone(s.entries)
	s.mu.RUnlock()
	for key, l := range entries {
		visit(key, l.entry, l.at)
	}
}

func (e *Entry) differs(o *Entry) bool {
	return !sameOrder(e.Order, o.Order) || e.Replicas != o.Replicas || e.From != o.From || e.Reason != o.Reason || e.Active != o.Active || e.Paused != o.Paused || e.Fallback != o.Fallback || e.Cooling != o.Cooling || e.Cooling && e.Message != o.Message ||
		!slices.EqualFunc(e.Triggers, o.Triggers, func(a, b Trigger) bool {
			return a.Name == b.Name && a.Guard == b.Guard && a.Known == b.Known && a.Note == b.Note && a.Error == b.Error
		})
}

func sameOrder(a, b *Order) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Batch == b.Batch && a.Jobs == b.Jobs
}
