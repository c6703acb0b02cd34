package annotations

import (
	"encoding/json"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// State is what the autoscaler must know of a workload after a restart, kept in the annotation StateKey. Namespace editors can write
// it and backups can copy it, so ReadState believes only what it can check.
type State struct {
	// UID is that of the object the state was written for. It is empty when the object had none yet: in the request that created it.
	UID types.UID `json:"uid,omitempty"`
	// Replicas is the count from before adoption; nil when unknown.
	Replicas *int32 `json:"replicas,omitempty"`
	// Adopted is when management began; the zero time stands for the creation of the object.
	Adopted time.Time `json:"adopted,omitzero"`
	// Zero marks a count of 0 that the autoscaler is about to write or has written.
	Zero bool `json:"zero,omitempty"`
}

// maxStateReplicas bounds a count that somebody may have written by hand.
const maxStateReplicas = 1_000_000

// ReadState decodes the state of the object with that UID. ok is false when there is none, when it is malformed, or when it was
// written for another object: a copy, or a backup of one that was deleted. A state without a UID is believed only for the count from
// before adoption: it cannot mark a zero, unless that count is zero.
func ReadState(annotations map[string]string, uid types.UID) (state State, ok bool) {
	text, present := annotations[StateKey]
	if !present {
		return State{}, false
	}
	if err := json.Unmarshal([]byte(text), &state); err != nil {
		return State{}, false
	}
	if state.UID != "" && state.UID != uid {
		return State{}, false
	}
	if state.Replicas != nil && (*state.Replicas < 0 || *state.Replicas > maxStateReplicas) {
		return State{}, false
	}
	if year := state.Adopted.UTC().Year(); year < 1 || year > maxStateYear {
		return State{}, false
	}
	state.Adopted = state.Adopted.UTC()
	if state.UID == "" {
		// The object was created at this count; a workload that begins at zero is the autoscaler's to wake.
		state.Zero, state.Adopted = state.Replicas != nil && *state.Replicas == 0, time.Time{}
	}
	return state, true
}

// maxStateYear is the last year that RFC 3339 can write.
const maxStateYear = 9999

// AdoptedBy is when management began, as far as that can be believed at the time now: nobody was adopted in the future, and a state
// that claims it would otherwise hold up the cooldown until then. The zero time stands for the creation of the object.
func (s State) AdoptedBy(now time.Time) time.Time {
	if s.Adopted.After(now) {
		return now
	}
	return s.Adopted
}

// String is the annotation's text: compact JSON with stable bytes.
func (s State) String() string {
	s.Adopted = s.Adopted.UTC().Truncate(time.Second)
	if s.Adopted.Unix() <= 0 || s.Adopted.Year() > maxStateYear {
		s.Adopted = time.Time{}
	}
	data, err := json.Marshal(s)
	if err != nil {
		// Only strings, numbers and a time are marshalled; this cannot fail.
		panic(err)
	}
	return string(data)
}
