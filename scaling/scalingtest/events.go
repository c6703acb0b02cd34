package scalingtest

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
)

// Event is an event of the autoscaler about an object. It is kept as it was recorded, before the API server's clients
// merge and limit events.
type Event struct {
	At                         time.Time
	Name, Type, Reason, Action string
	Note                       string
}

// String is "ScaledUp: 1 → 5 replicas: ...".
func (e Event) String() string { return e.Reason + ": " + e.Note }

// Events are the events about an object so far, in order.
func (w *World) Events(name string) []Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.events), func(e Event) bool { return e.Name != name })
}

// recorder keeps the events of a replica.
type recorder struct{ replica *Replica }

// Eventf implements events.EventRecorder.
func (r recorder) Eventf(regarding, _ runtime.Object, kind, reason, action, note string, args ...any) { //nolint:revive // client-go's interface
	if r.replica.dead.Load() {
		return
	}
	object, err := meta.Accessor(regarding)
	if err != nil {
		r.replica.world.Errorf("an event about something without a name: %v", err)
		return
	}
	w := r.replica.world
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, Event{At: time.Now(), Name: object.GetName(), Type: kind, Reason: reason, Action: action, Note: fmt.Sprintf(note, args...)})
}
