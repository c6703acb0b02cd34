package fieldcases

import (
	"fmt"
	"time"

	"autoscale.io/scaling/scalingtest"
)

func decideCases() []Case {
	return []Case{
		{ID: "HA-01", Run: oneUnknown},
		{ID: "HA-02", Run: brokenSideMetric},
		{ID: "HA-11", Run: restartKeepsWindows},
		{ID: "HA-13", Run: lateSource},
		{ID: "HA-14", Run: edits},
		{ID: "HA-15", Run: duringRollout},
		{ID: "CM-01", Run: surge},
	}
}

// onAAndB are usual settings with a trigger on each of the sources a and b.
func onAAndB(more scalingtest.Settings) scalingtest.Settings {
	s := usual(more)
	delete(s, "trigger.orders")
	s["trigger.a"], s["trigger.b"] = scalingtest.Trigger("a", ""), scalingtest.Trigger("b", "")
	return s
}

// oneUnknown has the higher of two triggers fail for a long time.
func oneUnknown(w *scalingtest.World) {
	w.Set("a", 5)
	w.Set("b", 40)
	w.Create(scalingtest.Deployment("worker", 8, onAAndB(nil)))
	w.Advance(time.Minute)
	w.Break("b", "connection refused")
	w.Advance(20 * time.Minute)
	w.WantCounts("worker", 8)
	w.Restart()
	w.Advance(20 * time.Minute)
	w.WantCounts("worker", 8)
	wantDecided(w, "worker", "TriggerUnknown: trigger a: 5 at a target of 5 each asks for 1 replica; trigger b could not be read; holding 8 replicas")
	w.Set("a", 60)
	w.Advance(6 * time.Second)
	w.WantCounts("worker", 8, 10)
	w.Set("a", 5)
	w.Set("b", 20)
	w.Advance(10 * time.Minute)
	w.WantCounts("worker", 8, 10, 4)
}

// brokenSideMetric has a trigger that can never be read beside one that asks for more.
func brokenSideMetric(w *scalingtest.World) {
	w.Break("b", "connection refused")
	w.Create(scalingtest.Deployment("worker", 1, onAAndB(scalingtest.Settings{"min-replicas": "1"})))
	w.Create(scalingtest.Deployment("asleep", 0, onAAndB(nil)))
	w.Advance(20 * time.Minute)
	w.Set("a", 200)
	w.Advance(6 * time.Second)
	w.WantCounts("worker", 1, 10)
	w.WantCounts("asleep", 0, 10)
	w.Advance(time.Minute)
	const unknown = "TriggerUnknown: trigger b (fake) cannot be read since TIME, so the count does not fall: connection refused"
	const asks = "replicas: trigger a: 200 at a target of 5 each asks for 40 replicas; trigger b could not be read; "
	wantTold(w, "worker", unknown, "ScaledUp: 1 → 10 "+asks+"cut to max-replicas 10")
	wantTold(w, "asleep", unknown, "ScaledUp: 0 → 10 "+asks+"waking from 0 to 10 replicas")
}

// restartKeepsWindows ends the autoscaler at many moments after the work has ended, and starts it again. Then another
// autoscaler replica takes over from one that dies.
func restartKeepsWindows(w *scalingtest.World) {
	const window, rounds = 5 * time.Minute, 10
	worker := func(i int) string { return fmt.Sprintf("worker-%d", i) }
	source := func(i int) string { return fmt.Sprintf("source-%d", i) }
	for i := range rounds {
		w.Set(source(i), 50)
		w.Create(scalingtest.Deployment(worker(i), 10, usual(scalingtest.Settings{"min-replicas": "1", "trigger.orders": scalingtest.Trigger(source(i), "")})))
	}
	w.Advance(10 * time.Minute)
	var restarted time.Time
	for i := range rounds {
		w.Set(source(i), 0)
		w.Advance(time.Duration(i)*2*time.Second + 137*time.Millisecond)
		if i%2 == 0 {
			w.Restart()
		} else {
			w.Kill()
			w.Start("autoscaler-1")
		}
		restarted = time.Now()
	}
	w.Advance(window + time.Minute)
	for i := range rounds {
		w.WantCounts(worker(i), 10, 1)
		if after := w.FellAt(worker(i)).Sub(restarted); after < window {
			w.Errorf("%s fell %s after the latest restart, before the window of %s was over", worker(i), after, window)
		}
	}

	w.Start("standby")
	for i := range rounds {
		w.Set(source(i), 50)
	}
	w.Advance(20 * time.Minute) // they share the workloads now
	for i := range rounds {
		w.Set(source(i), 0)
	}
	w.Advance(3 * time.Minute)
	w.Kill()
	killed, taken := time.Now(), 0
	const lease = 11 * time.Minute // what is left of it at least
	w.Advance(40 * time.Minute)
	for i := range rounds {
		w.WantCounts(worker(i), 10, 1, 10, 1)
		switch after := w.ChangedAt(worker(i)).Sub(killed); {
		case after >= lease+window:
			taken++
		case after >= lease || after < window-3*time.Minute-5*time.Second:
			w.Errorf("%s fell %s after the other autoscaler replica was killed, before the window of %s was over", worker(i), after, window)
		}
	}
	if taken == 0 {
		w.Error("no workload was taken over")
	}
}

// lateSource has a source that cannot be reached at first, and a Secret that comes even later.
func lateSource(w *scalingtest.World) {
	w.Source("orders").Password("s3cret")
	w.Break("orders", "connection refused")
	s := usual(scalingtest.Settings{"trigger.orders": locked("orders")})
	w.Create(scalingtest.Deployment("busy", 3, s))
	w.Create(scalingtest.Deployment("asleep", 0, s))
	w.Advance(20 * time.Minute)
	w.Set("orders", 28)
	w.Advance(20 * time.Minute)
	w.WantCounts("busy", 3)
	w.WantCounts("asleep", 0)
	w.Create(secret("redis", "s3cret"))
	w.Advance(6 * time.Second)
	w.WantCounts("busy", 3, 6)
	w.WantCounts("asleep", 0, 6)
	w.Advance(time.Minute)
	const unknown = `TriggerUnknown: trigger orders (fake) cannot be read since TIME, so the count does not fall: password: read Secret shop/redis: secrets "redis" not found`
	const asks = "replicas: trigger orders: 28 at a target of 5 each asks for 6 replicas"
	wantTold(w, "busy", unknown, "ScaledUp: 3 → 6 "+asks, "TriggerRecovered: trigger orders (fake) can be read again")
	wantTold(w, "asleep", unknown, "ScaledUp: 0 → 6 "+asks+"; waking from 0 to 6 replicas", "TriggerRecovered: trigger orders (fake) can be read again")
}

// edits changes everything about a busy workload but its arithmetic, and then that, without a window to hold the count.
func edits(w *scalingtest.World) {
	w.Set("orders", 50)
	w.Create(scalingtest.Deployment("worker", 1, usual(scalingtest.Settings{"min-replicas": "1", "behavior": "{scaleDown: {stabilizationWindowSeconds: 0}}"})))
	w.Advance(time.Minute)
	for _, edit := range []scalingtest.Settings{
		{"polling-interval": "30s"}, {"polling-interval": "5s"}, {"cooldown": "1s"}, {"max-replicas": "12"},
		{"trigger.a": locked("aside")}, {"trigger.a": ""}, {"guard.db": "{type: fake, source: db, limit: 5}"}, {"guard.db": ""},
		{"fallback": "{after: 3, replicas: 2}"}, {"min-replicas": "0"}, {"min-replicas": "2"}, {"dry-run": "true"}, {"dry-run": ""},
		{"behavior": "{scaleDown: {stabilizationWindowSeconds: 0, policies: [{type: Percent, value: 100, periodSeconds: 1}]}}"},
	} {
		annotate(w, "worker", edit)
		w.Advance(2 * time.Minute)
		w.WantCounts("worker", 1, 10)
	}
	annotate(w, "worker", scalingtest.Settings{"trigger.orders": "{type: fake, source: orders, target: 6}"})
	w.Advance(20 * time.Minute)
	w.WantCounts("worker", 1, 10, 9)
}

// duringRollout has work end while a rollout replaces pods, and more work come meanwhile.
func duringRollout(w *scalingtest.World) {
	w.Set("orders", 20)
	w.Create(scalingtest.Deployment("worker", 4, usual(scalingtest.Settings{"min-replicas": "1"})))
	w.Advance(time.Minute)
	w.SetStatus("worker", `{"replicas":5,"updatedReplicas":1}`)
	w.Set("orders", 0)
	w.Advance(20 * time.Minute)
	wantDecided(w, "worker", "RollingOut: trigger orders: 0 at a target of 5 each asks for 0 replicas; holding 4 replicas until the rollout in progress is done")
	w.Set("orders", 30)
	w.Advance(6 * time.Second)
	w.WantCounts("worker", 4, 6)
	w.Set("orders", 0)
	for updated := range 6 {
		w.SetStatus("worker", fmt.Sprintf(`{"replicas":7,"updatedReplicas":%d}`, updated+1))
		w.Advance(2 * time.Minute)
		w.Restart()
	}
	w.Advance(10 * time.Minute)
	w.WantCounts("worker", 4, 6)
	w.SetStatus("worker", `{"replicas":6,"updatedReplicas":6}`)
	w.Advance(time.Second)
	w.WantCounts("worker", 4, 6, 1)
}

// surge has twice the pods for a while, and none at all for a while, with a trigger that is multiplied by the count.
func surge(w *scalingtest.World) {
	w.Set("orders", 5)
	w.Create(scalingtest.Deployment("worker", 4, usual(scalingtest.Settings{
		"min-replicas": "1", "max-replicas": "100", "trigger.orders": scalingtest.Trigger("orders", ", metricType: Value"),
	})))
	w.Advance(time.Minute)
	for _, status := range []string{
		`{"replicas":8,"updatedReplicas":4,"readyReplicas":8}`, `{"replicas":4,"updatedReplicas":4,"readyReplicas":4}`,
		`{"replicas":0,"updatedReplicas":0,"readyReplicas":0}`, `{"replicas":4,"updatedReplicas":4,"readyReplicas":1}`,
	} {
		w.SetStatus("worker", status)
		w.Advance(10 * time.Minute)
		w.Restart()
		w.Advance(10 * time.Minute)
		w.WantCounts("worker", 4)
	}
	// Twice the target is twice the replica count of the spec, whatever pods there are when it is read.
	for _, status := range []string{`{"replicas":8,"updatedReplicas":4}`, `{"replicas":0,"updatedReplicas":0}`} {
		before := w.Replicas("worker")
		w.SetStatus("worker", status)
		w.Restart()
		w.Advance(time.Minute)
		w.Set("orders", 10)
		w.AwaitReplicas("worker", 2*before, 6*time.Second)
		w.Set("orders", 5)
		w.Advance(time.Minute)
	}
	w.WantCounts("worker", 4, 8, 16)
}

// wantDecided fails the test unless the latest decision about a workload is this one, as "Reason: message" without times.
func wantDecided(w *scalingtest.World, name, want string) {
	w.Helper()
	entry := w.Decision(name)
	if entry == nil {
		w.Fatalf("there is no decision about %s, want %s", name, want)
	}
	if got := withoutTimes(string(entry.Reason) + ": " + entry.Message); got != want {
		w.Fatalf("the decision about %s is\n%s\nwant\n%s", name, got, want)
	}
}
