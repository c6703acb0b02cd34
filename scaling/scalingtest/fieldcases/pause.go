package fieldcases

import (
	"time"

	"autoscale.io/scaling/scalingtest"
)

func pauseCases() []Case {
	return []Case{
		{ID: "AN-02", Run: pauseLife},
		{ID: "GO-06", Run: pauseCycles},
		{ID: "GO-09", Run: byHand},
	}
}

// pauseLife takes each kind of pause through a backlog, edits, a kill and restarts at many moments between two reads.
func pauseLife(w *scalingtest.World) {
	w.Set("orders", 10)
	for name, pause := range map[string]string{"hold": "true", "fixed": "3", "in": "scale-in", "out": "scale-out"} {
		w.Create(scalingtest.Deployment(name, 2, usual(scalingtest.Settings{"pause": pause})))
	}
	paused := func() {
		w.Helper()
		w.WantCounts("hold", 2)
		w.WantCounts("fixed", 2, 3)
		w.WantCounts("in", 2, 8)
		w.WantCounts("out", 2)
	}
	w.Set("orders", 40)
	w.Advance(11 * time.Minute)
	paused()
	for _, name := range []string{"hold", "fixed", "in", "out"} {
		annotate(w, name, scalingtest.Settings{"max-replicas": "9", "cooldown": "4m"})
	}
	w.Advance(11 * time.Minute)
	paused()
	w.Kill()
	w.Start("autoscaler-1")
	w.Advance(11 * time.Minute)
	paused()
	for range 10 {
		w.Advance(1700 * time.Millisecond)
		w.Restart()
	}
	w.Advance(11 * time.Minute)
	paused()

	annotate(w, "hold", scalingtest.Settings{"pause": ""}) // with a backlog
	w.AwaitReplicas("hold", 8, 5*time.Second)
	w.Set("orders", 0)
	w.Advance(11 * time.Minute)
	w.WantCounts("hold", 2, 8, 1, 0)
	w.WantCounts("out", 2, 1, 0) // only the other direction is held
	w.WantCounts("fixed", 2, 3)
	w.WantCounts("in", 2, 8)

	resumed := time.Now()
	for _, name := range []string{"fixed", "in"} { // idle
		annotate(w, name, scalingtest.Settings{"pause": ""})
	}
	w.Advance(11 * time.Minute)
	w.WantCounts("fixed", 2, 3, 1, 0)
	w.WantCounts("in", 2, 8, 1, 0)
	for _, name := range []string{"fixed", "in"} {
		if after := w.ChangedAt(name).Sub(resumed); after < 4*time.Minute {
			w.Errorf("%s went to zero %s after the pause, before a whole cooldown", name, after)
		}
	}
}

// pauseCycles pauses and resumes a workload many times, at many moments between two reads, while watches come late and
// break; then work comes in each state.
func pauseCycles(w *scalingtest.World) {
	w.Set("orders", 10)
	w.Create(scalingtest.Deployment("worker", 2, usual(nil)))
	w.Advance(time.Minute)
	for i := range 200 {
		switch i {
		case 50:
			w.API.DelayWatches(deployments(), 3*time.Second)
		case 100:
			w.API.DelayWatches(deployments(), 0)
		}
		if i%25 == 0 {
			w.API.CutWatches(deployments())
		}
		for _, pause := range []string{"true", ""} {
			annotate(w, "worker", scalingtest.Settings{"pause": pause})
			w.Advance(time.Duration(i*37%1900) * time.Millisecond)
		}
	}
	w.WantCounts("worker", 2)
	w.Set("orders", 30)
	w.AwaitReplicas("worker", 6, 5*time.Second)
	w.Advance(time.Minute)
	wantCondition(w, "worker", "Paused=False (NotPaused): ")
	annotate(w, "worker", scalingtest.Settings{"pause": "true"})
	w.Set("orders", 50)
	w.Advance(11 * time.Minute)
	wantCondition(w, "worker", "Paused=True (Paused): paused; holding 6 replicas")
	w.WantCounts("worker", 2, 6)

	annotate(w, "worker", scalingtest.Settings{"pause": ""})
	w.Advance(time.Second)
	w.WantCounts("worker", 2, 6, 10) // the work of the pause is answered as soon as it ends
}

// byHand scales by hand while there is work, while there is none, and during a pause.
func byHand(w *scalingtest.World) {
	w.Set("orders", 50)
	w.Create(scalingtest.Deployment("active", 10, usual(scalingtest.Settings{
		"behavior": "{scaleDown: {stabilizationWindowSeconds: 0, policies: [{type: Pods, value: 3, periodSeconds: 60}]}}",
	})))
	w.Advance(time.Minute)
	w.Scale("active", 20) // above the maximum: lowered by the policies
	w.Advance(10 * time.Minute)
	w.WantCounts("active", 10, 20, 17, 14, 11, 10)
	w.Scale("active", 4) // within the bounds: answered at once
	w.Advance(time.Second)
	w.WantCounts("active", 10, 20, 17, 14, 11, 10, 4, 10)
	w.Scale("active", 0)
	w.Advance(11 * time.Minute)
	w.WantCounts("active", 10, 20, 17, 14, 11, 10, 4, 10, 0)
	wantCondition(w, "active", "Active=False (ZeroByUser): "+zeroByUser)
	w.Scale("active", 1)
	w.Advance(time.Second)
	w.WantCounts("active", 10, 20, 17, 14, 11, 10, 4, 10, 0, 1, 10)
	wantEvents(w, "active",
		"ScaledByOther: kubectl (scale) changed replicas from 10 to 20",
		"ScaledDown: 20 → 17 replicas: 20 replicas are above max-replicas 10; going from 20 to 17 only by the scale-down policies until 00:02:00Z (1m0s)",
		"ScaledDown: 17 → 14 replicas: 17 replicas are above max-replicas 10; going from 17 to 14 only by the scale-down policies until 00:03:00Z (1m0s)",
		"ScaledDown: 14 → 11 replicas: 14 replicas are above max-replicas 10; going from 14 to 11 only by the scale-down policies until 00:04:00Z (1m0s)",
		"ScaledDown: 11 → 10 replicas: 11 replicas are above max-replicas 10; lowering to 10",
		"ScaledByOther: kubectl (scale) changed replicas from 10 to 4",
		"ScaledUp: 4 → 10 replicas: trigger orders: 50 at a target of 5 each asks for 10 replicas",
		"ScaledByOther: kubectl (scale) changed replicas from 10 to 0",
		"ScaledByOther: kubectl (scale) changed replicas from 0 to 1",
		"ScaledUp: 1 → 10 replicas: trigger orders: 50 at a target of 5 each asks for 10 replicas",
	)

	w.Set("idle", 0)
	w.Create(scalingtest.Deployment("inactive", 1, usual(scalingtest.Settings{"cooldown": "1h", "trigger.orders": scalingtest.Trigger("idle", "")})))
	w.Advance(time.Minute)
	w.Scale("inactive", 0)
	w.Advance(time.Minute)
	wantCondition(w, "inactive", "Active=False (ZeroByUser): "+zeroByUser)
	w.Set("idle", 5)
	w.Advance(11 * time.Minute)
	w.WantCounts("inactive", 1, 0)

	w.Create(scalingtest.Deployment("paused", 2, usual(scalingtest.Settings{"pause": "true"})))
	for _, count := range []int32{20, 0, 3} {
		w.Scale("paused", count)
		w.Advance(10 * time.Minute)
	}
	w.WantCounts("paused", 2, 20, 0, 3)
}

const zeroByUser = "scaled to zero by a person; raise it by hand (kubectl scale) to hand it back"
