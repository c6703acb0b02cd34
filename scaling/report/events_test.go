package report

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schema"
	"autoscale.io/scaling/decisions"
)

// recorded is the one event that tell records: its type, reason, action and note.
func recorded(t *testing.T, tell func(Events, runtime.Object)) string {
	t.Helper()
	recorder := events.NewFakeRecorder(2)
	recorder.Verbose = true
	tell(Events{Recorder: recorder}, &appsv1.Deployment{})
	close(recorder.Events)
	var all []string
	for event := range recorder.Events {
		all = append(all, event)
	}
	if len(all) != 1 {
		t.Fatalf("got events %q, want one", all)
	}
	return all[0]
}

func TestNotes(t *testing.T) {
	broken := decisions.Trigger{
		Name: "orders", Type: "redis-streams", Error: "the scaler panicked: 100%d\ngoroutine 7", Note: "the stream does not exist",
		Since: time.Date(2026, 3, 2, 13, 0, 5, 0, time.FixedZone("CET", 3600)),
	}
	faults := annotations.Faults{{Key: "autoscale.io/a", Problem: schema.Problem{Text: "bad"}}, {Key: "autoscale.io/b", Problem: schema.Problem{Text: "worse"}}}
	guard, formula := broken, decisions.Trigger{Name: annotations.FormulaName, Type: annotations.FormulaName}
	guard.Guard = true
	down := working()
	down.From, down.Replicas, down.Message = 5, 2, "less"
	rows := []struct {
		want string
		tell func(Events, runtime.Object)
	}{
		{
			"Normal ScaledUp Scale 2 → 5 replicas: trigger orders: 45 at a target of 10 each asks for 5 replicas",
			func(e Events, o runtime.Object) { e.Scaled(o, 2, 5, working()) },
		},
		{"Normal ScaledDown Scale 5 → 2 replicas: less", func(e Events, o runtime.Object) { e.Scaled(o, 5, 2, down) }},
		{"Normal DryRun Decide would scale 5 → 2 replicas: less", func(e Events, o runtime.Object) { e.WouldScale(o, down) }},
		{
			"Warning ScaleFailed Scale quota exceeded: 100%s", func(e Events, o runtime.Object) { e.ScaleFailed(o, errors.New("quota exceeded: 100%s")) },
		},
		{
			"Warning TriggerUnknown Read trigger orders (redis-streams) cannot be read since 12:00:05Z, so the count does not fall: the scaler panicked: 100%d",
			func(e Events, o runtime.Object) { e.TriggerUnknown(o, broken) },
		},
		{
			"Warning TriggerUnknown Read guard orders (redis-streams) cannot be read since 12:00:05Z, so the count does not rise: the scaler panicked: 100%d",
			func(e Events, o runtime.Object) { e.TriggerUnknown(o, guard) },
		},
		{"Normal TriggerRecovered Read the formula can be read again", func(e Events, o runtime.Object) { e.TriggerRecovered(o, formula) }},
		{"Warning Conflict Decide less; remove the other one, or the annotations", func(e Events, o runtime.Object) { e.Conflict(o, down) }},
		{"Normal ConflictEnded Decide no other controller scales this workload any more: less", func(e Events, o runtime.Object) { e.ConflictEnded(o, down) }},
		{"Warning FallbackInUse Decide less", func(e Events, o runtime.Object) { e.FallbackInUse(o, down) }},
		{"Normal FallbackEnded Decide no fallback is in use any more: less", func(e Events, o runtime.Object) { e.FallbackEnded(o, down) }},
		{"Normal ScaledByOther Observe kubectl (scale) changed replicas from 4 to 0", func(e Events, o runtime.Object) { e.ScaledByOther(o, 4, 0, "kubectl (scale)") }},
		{
			"Normal ScaledByOther Observe somebody changed replicas from 4 to 0",
			func(e Events, o runtime.Object) { e.ScaledByOther(o, 4, 0, "") },
		},
		{
			"Normal TriggerRecovered Read trigger orders (redis-streams) can be read again",
			func(e Events, o runtime.Object) { e.TriggerRecovered(o, broken) },
		},
		{
			"Normal TriggerNote Read trigger orders (redis-streams): the stream does not exist", func(e Events, o runtime.Object) { e.TriggerNote(o, broken) },
		},
		{
			"Warning InvalidAnnotations Decode replicas stay as they are until this is mended: autoscale.io/a: bad; autoscale.io/b: worse",
			func(e Events, o runtime.Object) { e.InvalidAnnotations(o, faults) },
		},
		{
			"Normal Adopted Adopt found with annotations and without the managed label; managed from 3 replicas on",
			func(e Events, o runtime.Object) { e.Adopted(o, 3) },
		},
		{"Normal Released Release the annotations are gone", func(e Events, o runtime.Object) { e.Released(o, "the annotations are gone") }},
	}
	for _, row := range rows {
		got, _, _ := strings.Cut(recorded(t, row.tell), " {kind=")
		if got != row.want {
			t.Errorf("got  %q\nwant %q", got, row.want)
		}
	}
}

// noteRecorder keeps the note and what the event is related to.
type noteRecorder struct {
	note    string
	related *corev1.ObjectReference
}

func (r *noteRecorder) Eventf(_, related runtime.Object, _, _, _, _ string, args ...any) {
	r.note, _ = args[0].(string)
	r.related, _ = related.(*corev1.ObjectReference)
}

func TestLongNoteIsCutBetweenCharacters(t *testing.T) {
	// Every start of a character is tried: one to four bytes each, at every offset.
	for _, char := range []string{"a", "ß", "→", "🐘"} {
		for offset := range 4 {
			text := strings.Repeat("x", offset) + strings.Repeat(char, 2000)
			var r noteRecorder
			Events{Recorder: &r}.ScaleFailed(nil, errors.New(text))
			kept, cut := strings.CutSuffix(r.note, "…")
			if len(r.note) > maxNote || len(r.note) < maxNote-len(char) || !utf8.ValidString(r.note) || !cut || !strings.HasPrefix(text, kept) {
				t.Errorf("%d bytes before %q: got %d bytes ending in %q", offset, char, len(r.note), r.note[len(r.note)-8:])
			}
		}
	}
	var r noteRecorder
	whole := strings.Repeat("x", maxNote-len("→")) + "→"
	Events{Recorder: &r}.ScaleFailed(nil, errors.New(whole))
	if r.note != whole {
		t.Errorf("a note of %d bytes was cut to %d", len(whole), len(r.note))
	}
	Events{Recorder: &r}.ScaleFailed(nil, errors.New(whole+"x"))
	if len(r.note) > maxNote || !strings.HasSuffix(r.note, "x…") {
		t.Errorf("one byte too many: got %d bytes ending in %q", len(r.note), r.note[len(r.note)-8:])
	}
}

// TestNewFaultIsAnEventOfItsOwn relies on what recorders do: events whose related objects differ are not counted as one.
func TestNewFaultIsAnEventOfItsOwn(t *testing.T) {
	version := func(trigger decisions.Trigger) string {
		var r noteRecorder
		Events{Recorder: &r}.TriggerUnknown(nil, trigger)
		if r.related == nil || r.related.Kind != "Trigger" || r.related.Name != trigger.Name {
			t.Fatalf("related to %+v, want the trigger %s", r.related, trigger.Name)
		}
		return r.related.ResourceVersion
	}
	refused := version(decisions.Trigger{Name: "orders", Error: "refused"})
	if version(decisions.Trigger{Name: "orders", Error: "NOAUTH"}) == refused {
		t.Error("another error is the same event")
	}
	if version(decisions.Trigger{Name: "orders", Error: "refused\ngoroutine 7", Since: time.Unix(9, 0)}) != refused {
		t.Error("the same error with another stack is another event")
	}
}
