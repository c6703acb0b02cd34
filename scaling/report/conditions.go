package report

import (
	"encoding/json"
	"slices"
	"strings"

	"autoscale.io/annotations"
	"autoscale.io/scaling/decide"
	"autoscale.io/scaling/decisions"
)

// Condition is one line of the status annotation.
type Condition struct {
	Type   string `json:"type"`
	Status string `json:"status"`
	// Reason is a CamelCase word from a bounded set.
	Reason string `json:"reason"`
	// Message is a sentence for people. It may hold numbers from the time at which the condition changed.
	Message string `json:"message,omitempty"`
}

// The types of conditions.
const (
	// Ready is False while a fault, an unreadable trigger or guard, or a rival limits what the autoscaler may do.
	Ready = "Ready"
	// Conflict is True while another controller sets the count, so that the autoscaler does not.
	Conflict = "Conflict"
	// Fallback is True while a fallback stands in for a trigger that cannot be read.
	Fallback = "Fallback"
	// Active is False once the workload rests at zero or at its idle count, was scaled to zero by a person, or is left alone.
	Active = "Active"
	// Paused is True while a pause is in effect.
	Paused = "Paused"
)

// ReasonInvalidAnnotations is the reason of Ready=False when the annotations cannot be used.
const ReasonInvalidAnnotations = "InvalidAnnotations"

// Conditions is the content of the status annotation, in the order of types.
type Conditions []Condition

// FromEntry derives the conditions from a decision.
func FromEntry(e *decisions.Entry) Conditions {
	ready := Condition{Ready, "True", "Reading", "every trigger can be read"}
	if broken := unreadable(e.Triggers); len(broken) > 0 {
		ready = Condition{Ready, "False", string(decide.TriggerUnknown), strings.Join(broken, "; ")}
	}
	active := Condition{Active, "True", "Working", ""}
	if slices.Contains([]decide.Reason{decide.Idle, decide.ZeroByUser, decide.LeftAlone}, e.Reason) {
		active = Condition{Active, "False", string(e.Reason), e.Message}
	}
	if e.Cooling {
		active = Condition{Active, "True", string(decide.CoolingDown), e.Message}
	}
	if e.Reason == decide.JobsUnknown {
		ready = Condition{Ready, "False", string(decide.JobsUnknown), e.Message}
	}
	paused := Condition{Paused, "False", "NotPaused", ""}
	if e.Paused {
		paused = Condition{Paused, "True", string(decide.Paused), e.Message}
	}
	conflict := Condition{Conflict, "False", "OneMaster", ""}
	if e.Reason == decide.Conflict {
		ready = Condition{Ready, "False", string(decide.Conflict), e.Message}
		conflict = Condition{Conflict, "True", string(decide.Conflict), e.Message}
	}
	fallback := Condition{Fallback, "False", "NotNeeded", ""}
	if e.Fallback {
		fallback = Condition{Fallback, "True", string(decide.TriggerUnknown), e.Message}
	}
	return Conditions{active, conflict, fallback, paused, ready}
}

// ReasonJobsFailed is the reason of Ready=False when not all Jobs could be started that are wanted.
const ReasonJobsFailed = "JobsFailed"

// JobsFailed adds that not all Jobs could be started, which counts for more than a trigger that cannot be read.
func (c Conditions) JobsFailed(text string) Conditions {
	all := slices.Clone(c)
	for i := range all {
		if all[i].Type == Ready {
			all[i] = Condition{Ready, "False", ReasonJobsFailed, text}
		}
	}
	return all
}

// FromFaults are the conditions of a workload whose annotations cannot be used.
func FromFaults(faults annotations.Faults) Conditions {
	return Conditions{{Ready, "False", ReasonInvalidAnnotations, strings.Join(faults.Texts(), "; ")}}
}

func unreadable(triggers []decisions.Trigger) []string {
	var texts []string
	for _, t := range triggers {
		if !t.Known {
			texts = append(texts, t.Title()+": "+firstLine(t.Error))
		}
	}
	return texts
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// Same says whether two sets of conditions differ in nothing but their messages. Two messages count: that about a cooldown, since it has the time of its end,
// which an edit can move, and that about why an object is left alone, which is all that tells one state of it from another.
func (c Conditions) Same(o Conditions) bool {
	return slices.EqualFunc(c, o, func(a, b Condition) bool {
		return a.Type == b.Type && a.Status == b.Status && a.Reason == b.Reason &&
			(a.Reason != string(decide.CoolingDown) && a.Reason != string(decide.LeftAlone) || a.Message == b.Message)
	})
}

// String is the annotation's text.
func (c Conditions) String() string {
	data, err := json.Marshal(map[string]Conditions{"conditions": c})
	if err != nil {
		// Only strings are marshalled; this cannot fail.
		panic(err)
	}
	return string(data)
}

// Parse reads the annotation's text; anything malformed is no conditions.
func Parse(text string) Conditions {
	var status struct{ Conditions Conditions }
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		return nil
	}
	return status.Conditions
}
