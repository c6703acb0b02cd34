package scalingtest

import (
	"time"

	"autoscale.io/scaling/scalingtest/apiserver"
)

// Change is one change of the replica count of a workload.
type Change struct {
	At       time.Time
	From, To int32
	// User made the change.
	User string
}

// Changes are the changes of the replica count of a workload since it was created last, in order and by whoever.
func (w *World) Changes(name string) []Change {
	var changes []Change
	for _, write := range w.API.Writes(func(write apiserver.Write) bool { return write.Name == name && write.Err == nil && write.After != nil }) {
		if write.Before == nil {
			changes = nil
			continue
		}
		from, counts := countOf(write.Before)
		if to, _ := countOf(write.After); counts && from != to {
			changes = append(changes, Change{write.At, from, to, write.User})
		}
	}
	return changes
}

// FellAt is when the replica count of a workload first went down; the test fails if it never has.
func (w *World) FellAt(name string) time.Time {
	w.Helper()
	for _, change := range w.Changes(name) {
		if change.To < change.From {
			return change.At
		}
	}
	w.Fatalf("%s has never gone down: it had the replica counts %v", name, w.Counts(name))
	return time.Time{}
}
