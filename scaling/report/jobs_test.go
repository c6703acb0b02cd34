package report

import (
	"errors"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"autoscale.io/scaling/decide"
	"autoscale.io/scaling/decisions"
)

func TestEventsOfJobs(t *testing.T) {
	down := decisions.Trigger{Name: "orders", Type: "redis-streams", Error: "refused", Since: time.Unix(0, 0), Spawns: true}
	guard := down
	guard.Guard = true
	for _, row := range []struct {
		want string
		tell func(Events, runtime.Object)
	}{
		{"Normal ScaleDownWaits Scale holding 5 until a pod ends: because", func(e Events, o runtime.Object) { e.ScaleDownWaits(o, 5, "because") }},
		{"Normal JobsStarted Spawn started 32 Jobs: because", func(e Events, o runtime.Object) { e.JobsStarted(o, 32, "because") }},
		{"Normal JobsStarted Spawn started 1 Job: because", func(e Events, o runtime.Object) { e.JobsStarted(o, 1, "because") }},
		{
			"Warning JobsFailed Spawn created 3 of 10 Jobs: exceeded quota; the next reading tries again",
			func(e Events, o runtime.Object) {
				if text := e.JobsFailed(o, 3, 10, errors.New("exceeded quota")); text != "created 3 of 10 Jobs: exceeded quota" {
					t.Errorf("got the text %q", text)
				}
			},
		},
		{"Normal DryRun Decide would start 2 Jobs: because", func(e Events, o runtime.Object) { e.WouldStart(o, 2, "because") }},
		{
			"Normal JobsReplaced Spawn deleted 2 Jobs of an older template before they started; new ones follow where there is work",
			func(e Events, o runtime.Object) { e.JobsReplaced(o, 2) },
		},
		{"Warning JobsUnknown Observe cannot list jobs; no Job is started until it is known how many run", func(e Events, o runtime.Object) { e.JobsUnknown(o, "cannot list jobs") }},
		{"Normal JobsKnown Observe it is known again how many Jobs run", func(e Events, o runtime.Object) { e.JobsKnown(o) }},
		{
			"Warning TriggerUnknown Read trigger orders (redis-streams) cannot be read since 00:00:00Z, so it starts no Job: refused",
			func(e Events, o runtime.Object) { e.TriggerUnknown(o, down) },
		},
		{
			"Warning TriggerUnknown Read guard orders (redis-streams) cannot be read since 00:00:00Z, so no Job is started beyond min-replicas: refused",
			func(e Events, o runtime.Object) { e.TriggerUnknown(o, guard) },
		},
	} {
		got, _, _ := strings.Cut(recorded(t, row.tell), " {kind=")
		if got != row.want {
			t.Errorf("got  %q\nwant %q", got, row.want)
		}
	}
}

func TestConditionsOfJobs(t *testing.T) {
	e := working()
	failed := FromEntry(e).JobsFailed("created 3 of 10 Jobs: exceeded quota")
	want := Condition{Ready, "False", "JobsFailed", "created 3 of 10 Jobs: exceeded quota"}
	if got := failed[len(failed)-1]; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	e.Reason, e.Message = decide.JobsUnknown, "cannot list jobs"
	unknown := FromEntry(e)
	want = Condition{Ready, "False", "JobsUnknown", "cannot list jobs"}
	if got := unknown[len(unknown)-1]; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if failed.Same(unknown) {
		t.Error("the two are the same")
	}
}
