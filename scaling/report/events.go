package report

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"

	"autoscale.io/annotations"
	"autoscale.io/scaling/decide"
	"autoscale.io/scaling/decisions"
)

// Events records what happens to workloads. Its methods are the whole vocabulary.
type Events struct {
	Recorder events.EventRecorder
}

// maxNote is the API's limit for the note of an event.
const maxNote = 1024

func (e Events) record(object runtime.Object, kind, reason, action, note string) {
	e.Recorder.Eventf(object, nil, kind, reason, action, "%s", cut(note))
}

// aboutTrigger records an event about one trigger of a workload. Events that differ in nothing but their note are counted as one, so a new fault has to
// differ in more: it is related to another version of the trigger.
func (e Events) aboutTrigger(object runtime.Object, t decisions.Trigger, kind, reason, note string) {
	h := fnv.New32a()
	// Writing to a hash cannot fail.
	_, _ = h.Write([]byte(firstLine(t.Error) + t.Note))
	related := &corev1.ObjectReference{Kind: kindOf(t), Name: t.Name, ResourceVersion: strconv.FormatUint(uint64(h.Sum32()), 10)}
	e.Recorder.Eventf(object, related, kind, reason, "Read", "%s", cut(note))
}

func kindOf(t decisions.Trigger) string {
	if t.Guard {
		return "Guard"
	}
	return "Trigger"
}

// cut shortens a note to what the API takes.
func cut(note string) string {
	if len(note) > maxNote {
		return strings.ToValidUTF8(note[:maxNote-len("…")], "") + "…"
	}
	return note
}

// Scaled says that the count was changed.
func (e Events) Scaled(object runtime.Object, from, to int32, entry *decisions.Entry) {
	reason := "ScaledUp"
	if to < from {
		reason = "ScaledDown"
	}
	e.record(object, corev1.EventTypeNormal, reason, "Scale", fmt.Sprintf("%d → %d replicas: %s", from, to, entry.Message))
}

// WouldScale says what a dry run would have written.
func (e Events) WouldScale(object runtime.Object, entry *decisions.Entry) {
	e.record(object, corev1.EventTypeNormal, "DryRun", "Decide", fmt.Sprintf("would scale %d → %d replicas: %s", entry.From, entry.Replicas, entry.Message))
}

// ScaleFailed says that a count could not be written.
func (e Events) ScaleFailed(object runtime.Object, err error) {
	e.record(object, corev1.EventTypeWarning, "ScaleFailed", "Scale", err.Error())
}

// TriggerUnknown says that a trigger cannot be read, so that the count does not fall, or a guard, so that it does not rise.
func (e Events) TriggerUnknown(object runtime.Object, t decisions.Trigger) {
	effect := "the count does not fall"
	switch {
	case t.Spawns && t.Guard:
		effect = "no Job is started beyond min-replicas"
	case t.Spawns:
		effect = "it starts no Job"
	case t.Guard:
		effect = "the count does not rise"
	}
	e.aboutTrigger(object, t, corev1.EventTypeWarning, "TriggerUnknown",
		fmt.Sprintf("%s cannot be read since %s, so %s: %s", title(t), t.Since.UTC().Format("15:04:05Z"), effect, firstLine(t.Error)))
}

// title is "trigger orders (redis-streams)".
func title(t decisions.Trigger) string {
	if t.Type == annotations.FormulaName {
		return t.Title()
	}
	return t.Title() + " (" + t.Type + ")"
}

// Conflict says that another controller sets the count.
func (e Events) Conflict(object runtime.Object, entry *decisions.Entry) {
	e.record(object, corev1.EventTypeWarning, string(decide.Conflict), "Decide", entry.Message+"; remove the other one, or the annotations")
}

// ConflictEnded says that the other controller is gone.
func (e Events) ConflictEnded(object runtime.Object, entry *decisions.Entry) {
	e.record(object, corev1.EventTypeNormal, "ConflictEnded", "Decide", "no other controller scales this workload any more: "+entry.Message)
}

// FallbackInUse says that a fallback stands in for a trigger.
func (e Events) FallbackInUse(object runtime.Object, entry *decisions.Entry) {
	e.record(object, corev1.EventTypeWarning, "FallbackInUse", "Decide", entry.Message)
}

// FallbackEnded says that no fallback is needed any more.
func (e Events) FallbackEnded(object runtime.Object, entry *decisions.Entry) {
	e.record(object, corev1.EventTypeNormal, "FallbackEnded", "Decide", "no fallback is in use any more: "+entry.Message)
}

// ScaledByOther says that somebody else changed the count.
func (e Events) ScaledByOther(object runtime.Object, from, to int32, who string) {
	if who == "" {
		who = "somebody"
	}
	e.record(object, corev1.EventTypeNormal, "ScaledByOther", "Observe", fmt.Sprintf("%s changed replicas from %d to %d", who, from, to))
}

// TriggerRecovered says that a trigger can be read again.
func (e Events) TriggerRecovered(object runtime.Object, t decisions.Trigger) {
	e.aboutTrigger(object, t, corev1.EventTypeNormal, "TriggerRecovered", title(t)+" can be read again")
}

// TriggerNote passes on what a source said about how its value came about.
func (e Events) TriggerNote(object runtime.Object, t decisions.Trigger) {
	e.aboutTrigger(object, t, corev1.EventTypeNormal, "TriggerNote", title(t)+": "+t.Note)
}

// InvalidAnnotations lists the faults of annotations that cannot be used.
func (e Events) InvalidAnnotations(object runtime.Object, faults annotations.Faults) {
	e.record(object, corev1.EventTypeWarning, ReasonInvalidAnnotations, "Decode", "replicas stay as they are until this is mended: "+strings.Join(faults.Texts(), "; "))
}

// Adopted says that an object came under management without the webhook.
func (e Events) Adopted(object runtime.Object, replicas int32) {
	e.record(object, corev1.EventTypeNormal, "Adopted", "Adopt", fmt.Sprintf("found with annotations and without the managed label; managed from %d replicas on", replicas))
}

// Released says that an object left management without the webhook.
func (e Events) Released(object runtime.Object, note string) {
	e.record(object, corev1.EventTypeNormal, "Released", "Release", note)
}
