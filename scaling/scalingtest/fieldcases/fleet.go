package fieldcases

import (
	"fmt"
	"strings"
	"time"

	"autoscale.io/scaling/scalingtest"
)

func fleetCases() []Case {
	return []Case{
		{ID: "RC-08", Run: halfDeadSource},
		{ID: "SP-08", Run: editsWhileBusy},
		{ID: "SP-09", Run: oddObjects},
	}
}

// halfDeadSource has workloads on a source that accepts and says nothing beside others on a healthy one.
func halfDeadSource(w *scalingtest.World) {
	const n = 50
	w.Source("silent").Delay(time.Hour)
	w.Set("silent", 50)
	for i := range n {
		w.Create(
			scalingtest.Deployment(fmt.Sprint("silent-", i), 1, usual(scalingtest.Settings{"min-replicas": "1", "trigger.orders": scalingtest.Trigger("silent", "")})),
			scalingtest.Deployment(fmt.Sprint("healthy-", i), 1, usual(scalingtest.Settings{"min-replicas": "1", "trigger.orders": scalingtest.Trigger(fmt.Sprint("healthy-", i), "")})),
		)
	}
	for i := range n {
		w.AwaitEvent(fmt.Sprint("silent-", i), "TriggerUnknown", "no answer in time", 4*time.Second) // the deadline is 3s
	}
	w.Advance(time.Minute)
	for i := range n {
		reads := w.Source(fmt.Sprint("healthy-", i)).Reads()
		for at := 2; at < len(reads); at++ { // the first is for having a decision soon
			if late := reads[at].Sub(reads[at-1]) - 5*time.Second; late != 0 {
				w.Errorf("a read of healthy-%d was %s late", i, late)
			}
		}
		w.WantCounts(fmt.Sprint("silent-", i), 1)
	}
	wantEvents(w, "silent-0",
		"TriggerUnknown: trigger orders (fake) cannot be read since 00:00:00Z, so the count does not fall: no answer in time: context deadline exceeded")
	w.Source("silent").Delay(0)
	w.Advance(10 * time.Second)
	for i := range n {
		w.WantCounts(fmt.Sprint("silent-", i), 1, 10)
	}
}

// editsWhileBusy edits a workload that has as much to do as it has replicas for, so that reads and edits overlap.
func editsWhileBusy(w *scalingtest.World) {
	w.Source("busy").Delay(150 * time.Millisecond)
	w.Set("busy", 50)
	w.Create(scalingtest.Deployment("worker", 10, usual(scalingtest.Settings{
		"max-replicas": "20", "cooldown": "0s", "behavior": "{scaleDown: {stabilizationWindowSeconds: 0}}",
		"trigger.orders": scalingtest.Trigger("busy", ""), "trigger.b": scalingtest.Trigger("idle", ""),
	})))
	w.Advance(time.Minute)
	for n := range 400 {
		other := n / 4 % 2
		switch n % 4 {
		case 0:
			annotate(w, "worker", scalingtest.Settings{"trigger.orders": scalingtest.Trigger("busy", fmt.Sprintf(", timeout: %dms", 500+other))})
		case 1:
			annotate(w, "worker", scalingtest.Settings{"trigger.b": scalingtest.Trigger("idle", fmt.Sprintf(", activation: %d", other))})
		case 2:
			annotate(w, "worker", scalingtest.Settings{"max-replicas": fmt.Sprint(20 + other)}) // which every source may look at
		default:
			if err := w.Patch("worker", fmt.Sprintf(`{"metadata":{"annotations":{"example.com/edit":"%d"}}}`, n)); err != nil {
				w.Fatal(err)
			}
		}
		w.Advance(time.Duration(n*37%190) * time.Millisecond)
	}
	w.Advance(time.Minute)
	w.WantCounts("worker", 10)
	wantEvents(w, "worker") // since nothing happened
	if open := w.Source("busy").Open() + w.Source("idle").Open(); open != 2 {
		w.Errorf("%d scalers are open, want 2", open)
	}
}

// oddObjects puts workloads beside each other that each would be reason enough to stumble.
func oddObjects(w *scalingtest.World) {
	w.Set("orders", 10)
	w.Create(scalingtest.Deployment("healthy", 0, usual(nil)))
	for i := range 20 {
		name := fmt.Sprint("brief-", i)
		w.Create(scalingtest.Deployment(name, 0, usual(nil)))
		w.Advance(time.Duration(i) * 50 * time.Millisecond)
		w.Delete(name)
	}
	huge := scalingtest.Deployment("huge", 1, usual(nil))
	huge.Annotations["other/notes"] = strings.Repeat("0 ", 50_000)
	w.Create(huge)
	w.Advance(time.Minute)
	w.WantCounts("healthy", 0, 2)
	w.WantCounts("huge", 1, 2)
	w.Set("orders", 15)
	w.Advance(6 * time.Second)
	w.WantCounts("healthy", 0, 2, 3) // it is read on, whatever went beside it
	w.WantCounts("huge", 1, 2, 3)
	if open := w.Source("orders").Open(); open != 2 {
		w.Errorf("%d scalers are open, want 2", open)
	}
}
