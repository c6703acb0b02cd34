package webhook

import (
	"time"

	"autoscale.io/annotations"
)

// stamp returns what the autoscaler keeps on a managed object. The old object's is authoritative, so that nobody changes it from outside;
// a new object has none yet.
func (r Reviewer) stamp(q request) *ownMetadata {
	name := q.new.Metadata.Name
	if name == "" {
		// The name is generated after admission and the bucket depends on it; the loop adopts the object.
		return &ownMetadata{}
	}
	label := annotations.BucketLabel(r.Class, annotations.BucketOf(q.group, q.kind, q.namespace, name))
	own := &ownMetadata{label: &label}
	switch {
	case q.old == nil:
		// There is no UID yet, and no time is noted: adoption is creation, and the bytes are the same for every dry run.
		text := annotations.State{Replicas: q.new.writtenReplicas()}.String()
		own.state = &text
	case q.old.configured():
		before := q.old.own()
		own.state, own.status = before.state, before.status
		if _, ok := stateOf(q.old); !ok {
			own.state = adoption(q)
		}
	default:
		own.state = adoption(q)
	}
	return own
}

func stateOf(o *object) (annotations.State, bool) {
	return annotations.ReadState(o.Metadata.Annotations, o.Metadata.UID)
}

// reinvocation is longer than the API server works on one request; within it a webhook may be asked again about its own answer.
const reinvocation = 30 * time.Second

// adoption is the state of an object that this request puts under management.
func adoption(q request) *string {
	state := annotations.State{UID: q.old.Metadata.UID, Replicas: q.old.writtenReplicas(), Adopted: q.now}
	state.Zero = state.Replicas != nil && *state.Replicas == 0
	text := state.String()
	given, ok := annotations.ReadState(q.new.Metadata.Annotations, state.UID)
	if age := q.now.Sub(given.Adopted); ok && age >= 0 && age < reinvocation {
		// It may be our own answer of a moment ago, in which only the second of the adoption is another.
		state.Adopted = given.Adopted
		if again := state.String(); again == q.new.Metadata.Annotations[annotations.StateKey] {
			text = again
		}
	}
	return &text
}
