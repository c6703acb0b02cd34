package fieldcases

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"autoscale.io/scalers"
	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/apiserver"
)

func zeroCases() []Case {
	return []Case{
		{ID: "SZ-01", Run: outage},
		{ID: "SZ-02", Run: answerWithoutValue},
		{ID: "SZ-04", Options: scalingtest.Options{NoWebhook: true}, Run: adoptionKeeps},
		{ID: "SZ-05", Run: stepsDown},
		{ID: "SZ-06", Run: cooldownEdits},
		{ID: "SZ-08", Run: busyWorkers},
		{ID: "SZ-09", Run: workBesideAFailure},
		{ID: "SZ-12", Run: leaving},
		{ID: "SZ-12-away", Run: leftWhileAway},
		{ID: "SZ-person", Run: zeroByPerson},
	}
}

// outage goes through every way in which a source can be away, each for a quarter of an hour.
func outage(w *scalingtest.World) {
	source := w.Source("orders")
	source.Password("s3cret")
	w.Set("orders", 28)
	w.Create(secret("redis", "s3cret"))
	w.Create(scalingtest.Deployment("worker", 6, usual(scalingtest.Settings{"trigger.orders": locked("orders")})))
	w.Break("nowhere", "lookup redis.invalid: no such host")
	w.Create(scalingtest.Deployment("lost", 4, usual(scalingtest.Settings{"trigger.orders": scalingtest.Trigger("nowhere", "")})))
	for _, way := range []struct {
		begin, end func()
		text       string
	}{
		{func() { w.Break("orders", "connection refused") }, func() { w.Set("orders", 28) }, "connection refused"},
		{func() { w.Break("orders", "connection reset by peer") }, func() { w.Set("orders", 28) }, "connection reset by peer"},
		{func() { source.Delay(time.Hour) }, func() { source.Delay(0) }, "no answer in time: context deadline exceeded"},
		{func() { source.Password("other") }, func() { source.Password("s3cret") }, "wrong password"},
	} {
		w.Advance(7 * time.Minute)
		wantReported(w, "worker", "Ready=True (Reading): every trigger can be read")
		way.begin()
		w.Advance(7 * time.Minute)
		w.WantCounts("worker", 6)
		wantReported(w, "worker", "Ready=False (TriggerUnknown): trigger orders: "+way.text)
		w.Restart()
		w.Advance(7 * time.Minute)
		w.WantCounts("worker", 6)
		way.end()
	}
	w.WantCounts("lost", 4)
	wantReported(w, "lost", "Ready=False (TriggerUnknown): trigger orders: lookup redis.invalid: no such host")
	unknown := func(text string) []string {
		told := "TriggerUnknown: trigger orders (fake) cannot be read since TIME, so the count does not fall: " + text
		return []string{told, told, "TriggerRecovered: trigger orders (fake) can be read again"} // one by each autoscaler
	}
	told := slices.Concat(unknown("connection refused"), unknown("connection reset by peer"), unknown("no answer in time: context deadline exceeded"), unknown("wrong password"))
	w.Advance(time.Minute)
	wantTold(w, "worker", told...)
}

// answerWithoutValue has a source that answers, but with no number.
func answerWithoutValue(w *scalingtest.World) {
	w.Break("orders", "the key orders holds no stream")
	w.Create(scalingtest.Deployment("worker", 3, usual(scalingtest.Settings{"polling-interval": "1m"})))
	w.Advance(2 * time.Hour)
	w.WantCounts("worker", 3)
	wantTold(w, "worker", "TriggerUnknown: trigger orders (fake) cannot be read since TIME, so the count does not fall: the key orders holds no stream")
	w.Set("orders", 28)
	w.AwaitReplicas("worker", 6, 2*time.Minute)
	w.Source("orders").Read(scalers.Reading{Unmeasured: true, Note: "there is nothing to measure yet"}, nil)
	w.Advance(2 * time.Hour)
	w.WantCounts("worker", 3, 6)
}

// adoptionKeeps adopts a busy workload in each way that there is, and restarts the autoscaler at many moments after that.
func adoptionKeeps(w *scalingtest.World) {
	adopted := map[string]time.Time{}
	w.Advance(time.Minute)
	for i := range 8 {
		created, annotated := fmt.Sprintf("created-%d", i), fmt.Sprintf("annotated-%d", i)
		w.Create(scalingtest.Deployment(annotated, 5, nil))
		w.Create(scalingtest.Deployment(created, 3, usual(nil)))
		adopted[created] = time.Now()
		w.Advance(time.Duration(i*i) * 2300 * time.Millisecond)
		annotate(w, annotated, usual(nil))
		adopted[annotated] = time.Now()
		w.Advance(time.Duration(i*i) * 2700 * time.Millisecond)
		w.Restart()
	}
	w.Advance(15 * time.Minute)
	for name, at := range adopted {
		if after := w.FellAt(name).Sub(at); after < 5*time.Minute {
			w.Errorf("%s went down %s after it was adopted, before the cooldown of 5 minutes", name, after)
		}
		if w.Replicas(name) != 0 {
			w.Errorf("%s has had %v, want it at 0 in the end", name, w.Counts(name))
		}
	}
}

// stepsDown has policies that allow one replica a minute, and a cooldown that ends before them or after them.
func stepsDown(w *scalingtest.World) {
	w.Set("orders", 20)
	const behavior = "{scaleDown: {policies: [{type: Pods, value: 1, periodSeconds: 60}]}}"
	w.Create(scalingtest.Deployment("soon", 4, usual(scalingtest.Settings{"behavior": behavior})))
	w.Create(scalingtest.Deployment("worker", 4, usual(scalingtest.Settings{"cooldown": "10m", "behavior": behavior})))
	w.Advance(10 * time.Minute)
	w.Set("orders", 0)
	ended := time.Now()
	w.Advance(15 * time.Minute)
	for _, name := range []string{"soon", "worker"} {
		w.WantCounts(name, 4, 3, 2, 1, 0)
		steps := w.Changes(name)
		for i := 1; i < 3; i++ {
			if apart := steps[i].At.Sub(steps[i-1].At); apart < time.Minute {
				w.Errorf("two steps down were %s apart, want a minute", apart)
			}
		}
		if after := steps[0].At.Sub(ended); after < 5*time.Minute-5*time.Second { // since work was last seen
			w.Errorf("the first step came after %s, before the stabilization window was over", after)
		}
	}
	if after := w.ChangedAt("worker").Sub(ended); after < 10*time.Minute {
		w.Errorf("zero came after %s, before the cooldown was over", after)
	}
	const idle = ": trigger orders: 0 at a target of 5 each is not above its activation of 0"
	wantTold(w, "worker",
		"ScaledDown: 4 → 3 replicas"+idle+"; going from 4 to 3 only by the scale-down policies until TIME (SPAN)",
		"ScaledDown: 3 → 2 replicas"+idle+"; going from 3 to 2 only by the scale-down policies until TIME (SPAN)",
		"ScaledDown: 2 → 1 replicas"+idle,
		"ScaledDown: 1 → 0 replicas: no work seen since TIME; the cooldown is over; scaling from 1 to zero",
	)
}

// cooldownEdits changes a cooldown that runs.
func cooldownEdits(w *scalingtest.World) {
	w.Set("orders", 20)
	w.Create(scalingtest.Deployment("worker", 4, usual(scalingtest.Settings{"cooldown": "20m", "behavior": "{scaleDown: {stabilizationWindowSeconds: 0}}"})))
	w.Advance(time.Hour)
	w.Set("orders", 0)
	idle := time.Now()
	w.AwaitReplicas("worker", 1, 6*time.Second) // not delayed by the cooldown
	w.Advance(2 * time.Minute)
	wantReported(w, "worker", "Active=True (CoolingDown): no work seen since TIME; zero after the cooldown of 20m0s, at TIME")
	annotate(w, "worker", scalingtest.Settings{"cooldown": "1h"})
	w.Advance(45 * time.Minute)
	w.WantCounts("worker", 4, 1)
	wantReported(w, "worker", "Active=True (CoolingDown): no work seen since TIME; zero after the cooldown of 1h0m0s, at TIME")
	annotate(w, "worker", scalingtest.Settings{"cooldown": "50m"})
	w.AwaitReplicas("worker", 0, 6*time.Minute) // counted from when the work ended
	if after := time.Since(idle); after < 50*time.Minute {
		w.Errorf("zero came after %s, before the cooldown of 50 minutes", after)
	}
	w.Set("orders", 20)
	w.AwaitReplicas("worker", 4, 6*time.Second)
	w.Set("orders", 0)
	w.Advance(time.Minute)
	annotate(w, "worker", scalingtest.Settings{"cooldown": "30s"}) // over already
	w.Advance(time.Second)
	w.WantCounts("worker", 4, 1, 0, 4, 1, 0)
}

// busyWorkers have taken everything that waited, and work on it for hours.
func busyWorkers(w *scalingtest.World) {
	w.Set("orders", 3)
	w.Create(scalingtest.Deployment("worker", 0, usual(scalingtest.Settings{"polling-interval": "1m"})))
	w.AwaitReplicas("worker", 1, 2*time.Minute)
	w.Source("orders").Read(scalers.Reading{Busy: true}, nil)
	w.Advance(2 * time.Hour)
	w.Restart()
	w.Advance(time.Hour)
	w.WantCounts("worker", 0, 1)
	w.Set("orders", 0)
	ended := time.Now()
	w.Advance(time.Hour)
	w.WantCounts("worker", 0, 1, 0)
	if after := w.FellAt("worker").Sub(ended); after < 5*time.Minute {
		w.Errorf("zero came %s after the work, before the cooldown was over", after)
	}
	wantTold(w, "worker",
		"ScaledUp: 0 → 1 replicas: trigger orders: 3 at a target of 5 each asks for 1 replica; waking from 0 to 1 replica",
		"ScaledDown: 1 → 0 replicas: no work seen since TIME; the cooldown is over; scaling from 1 to zero",
	)
}

// workBesideAFailure has work end while another trigger fails, which recovers at many moments after that.
func workBesideAFailure(w *scalingtest.World) {
	const rounds = 12
	name := func(i int) string { return fmt.Sprintf("worker-%d", i) }
	beside := func(i int) string { return fmt.Sprintf("beside-%d", i) }
	w.Set("a", 5)
	for i := range rounds {
		w.Create(scalingtest.Deployment(name(i), 1, usual(scalingtest.Settings{
			"trigger.orders": "", "trigger.a": scalingtest.Trigger("a", ""), "trigger.b": scalingtest.Trigger(beside(i), ""),
		})))
	}
	w.Advance(time.Minute)
	for i := range rounds {
		w.Break(beside(i), "connection refused")
	}
	w.Advance(7 * time.Minute) // longer than the cooldown
	w.Set("a", 0)
	ended := time.Now()
	for i := range rounds {
		w.Set(beside(i), 0)
		w.Advance(40 * time.Second)
	}
	w.Advance(6 * time.Minute)
	for i := range rounds {
		w.WantCounts(name(i), 1, 0)
		recovered := ended.Add(time.Duration(i) * 40 * time.Second)
		if at := w.FellAt(name(i)); at.Sub(ended) < 5*time.Minute || at.Sub(recovered) < 5*time.Minute {
			w.Errorf("%s went to zero %s after the last work and %s after the other trigger could be read, before a cooldown of both", name(i), at.Sub(ended), at.Sub(recovered))
		}
	}
}

// leaving removes the annotations of workloads at zero, and of one that a user has just scaled up.
func leaving(w *scalingtest.World) {
	for _, name := range []string{"keep", "restore", "up"} {
		w.Create(scalingtest.Deployment(name, 3, usual(scalingtest.Settings{"on-removal": map[string]string{"restore": "restore"}[name]})))
	}
	w.Advance(15 * time.Minute)
	for _, name := range []string{"keep", "restore"} {
		w.WantCounts(name, 3, 1, 0)
		annotate(w, name, none(usual(scalingtest.Settings{"on-removal": "restore"})))
	}
	w.Scale("up", 2)
	w.Advance(time.Second) // as there is no work, 2 is more than enough
	annotate(w, "up", none(usual(scalingtest.Settings{"state": "keep", "status": "keep"})))
	w.Set("orders", 50)
	w.Advance(time.Hour)
	w.WantCounts("keep", 3, 1, 0, 3)
	w.WantCounts("restore", 3, 1, 0, 3)
	w.WantCounts("up", 3, 1, 0, 2, 1)
	for _, name := range []string{"keep", "restore", "up"} {
		wantReleased(w, name)
	}
}

// leftWhileAway removes the annotations while the autoscaler is down, and disturbs each write of the release after that.
func leftWhileAway(w *scalingtest.World) {
	for i, fault := range []apiserver.Fault{
		{}, {Err: errors.New("EOF")}, {Err: errors.New("EOF"), TakesEffect: true}, {Skip: 1, Err: errors.New("EOF")}, {Skip: 1, Err: errors.New("EOF"), TakesEffect: true},
	} {
		name := fmt.Sprintf("worker-%d", i)
		w.Create(scalingtest.Deployment(name, 3, usual(nil)))
		w.Advance(15 * time.Minute)
		w.WantCounts(name, 3, 1, 0)
		if i%2 == 0 {
			w.Leader().Stop()
		} else {
			w.Kill()
		}
		annotate(w, name, none(usual(nil)))
		w.Advance(time.Minute)
		if fault.Err != nil {
			fault.Match = func(c apiserver.Call) bool {
				return c.User == scalingtest.Autoscaler && c.Name == name && c.Verb == "patch"
			}
			fault.Times = 1
			w.API.Inject(fault)
		}
		w.Start("autoscaler-1")
		w.Advance(20 * time.Minute)
		w.WantCounts(name, 3, 1, 0, 3)
		wantReleased(w, name)
		released := "0 → 3 replicas"
		if fault.TakesEffect && fault.Skip == 0 {
			released = "left at 3 replicas" // what an earlier try has written
		}
		wantTold(w, name,
			"ScaledDown: 3 → 1 replicas: trigger orders: 0 at a target of 5 each is not above its activation of 0",
			"ScaledDown: 1 → 0 replicas: no work seen since TIME; the cooldown is over; scaling from 1 to zero",
			"Released: the annotations are gone; "+released,
		)
	}
}

// zeroByPerson has a user scale to zero, and the autoscaler killed and started again before and after that.
func zeroByPerson(w *scalingtest.World) {
	again := func() {
		w.Kill()
		w.Advance(time.Minute)
		w.Start("autoscaler-1")
		w.Advance(time.Minute)
	}
	w.Create(scalingtest.Deployment("worker", 2, usual(nil)))
	w.Advance(15 * time.Minute)
	again() // the mark of the zero outlives the one who made it
	w.Set("orders", 5)
	w.AwaitReplicas("worker", 1, 6*time.Second)
	again()
	w.Scale("worker", 0)
	w.Advance(time.Hour)
	wantReported(w, "worker", "Active=False (ZeroByUser): scaled to zero by a person; raise it by hand (kubectl scale) to hand it back")
	w.Set("orders", 50)
	for range 5 {
		again()
	}
	w.WantCounts("worker", 2, 1, 0, 1, 0)
	w.Set("orders", 5)
	w.Advance(time.Minute)
	w.Scale("worker", 3)
	w.Advance(10 * time.Minute)
	w.WantCounts("worker", 2, 1, 0, 1, 0, 3, 1)
	wantTold(w, "worker",
		"ScaledDown: 2 → 1 replicas: trigger orders: 0 at a target of 5 each is not above its activation of 0",
		"ScaledDown: 1 → 0 replicas: no work seen since TIME; the cooldown is over; scaling from 1 to zero",
		"ScaledUp: 0 → 1 replicas: trigger orders: 5 at a target of 5 each asks for 1 replica; waking from 0 to 1 replica",
		"ScaledByOther: kubectl (scale) changed replicas from 1 to 0",
		"ScaledByOther: kubectl (scale) changed replicas from 0 to 3",
		"ScaledDown: 3 → 1 replicas: trigger orders: 5 at a target of 5 each asks for 1 replica",
	)
}
