package fieldcases

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"autoscale.io/scaling/scalingtest"
)

func fallbackCases() []Case {
	return []Case{
		{ID: "FB-01", Run: fallbackThreshold},
		{ID: "FB-03", Run: fallbackFromZero},
		{ID: "FB-04", Run: fallbackFromTheStart},
		{ID: "FB-05", Run: fallbackVotes},
		{ID: "FB-07", Run: floorWithoutSource},
		{ID: "FB-07-job", Run: jobFloorWithoutSource},
		{ID: "FB-07-spawn", Run: spawnFloorWithoutSource},
		{ID: "SZ-13", Run: servedByItself},
	}
}

// fallbackThreshold fails twice, which is not enough, and then three times.
func fallbackThreshold(w *scalingtest.World) {
	w.Set("orders", 10)
	w.Create(scalingtest.Deployment("worker", 2, usual(scalingtest.Settings{"fallback": "{after: 3, replicas: 6}", "polling-interval": "1m"})))
	source := w.Source("orders")
	failed := func(n int) {
		w.Helper()
		before := len(source.Reads())
		w.Await(fmt.Sprint(n, " reads"), 10*time.Minute, func() error {
			if got := len(source.Reads()) - before; got < n {
				return fmt.Errorf("%d reads", got)
			}
			return nil
		})
	}
	w.Advance(time.Hour)
	for range 5 {
		w.Break("orders", "connection refused")
		failed(2)
		w.Set("orders", 10)
		w.Advance(3 * time.Minute)
	}
	w.WantCounts("worker", 2)
	w.Break("orders", "connection refused")
	failed(2)
	w.WantCounts("worker", 2)
	failed(1)
	w.AwaitReplicas("worker", 6, time.Second)
	w.Advance(time.Hour)
	const fallback = "trigger orders could not be read 3 times in a row; its fallback asks for 6 replicas"
	wantReported(w, "worker", "Fallback=True (TriggerUnknown): "+fallback)
	w.Set("orders", 10)
	w.Advance(time.Hour)
	w.WantCounts("worker", 2, 6, 2)
	wantReported(w, "worker", "Fallback=False (NotNeeded): ")
	unknown := []string{"TriggerUnknown: trigger orders (fake) cannot be read since TIME, so the count does not fall: connection refused"}
	recovered := []string{"TriggerRecovered: trigger orders (fake) can be read again"}
	wantTold(w, "worker", slices.Concat(
		slices.Repeat(slices.Concat(unknown, recovered), 5), unknown,
		[]string{"ScaledUp: 2 → 6 replicas: " + fallback, "FallbackInUse: " + fallback}, recovered,
		[]string{"FallbackEnded: no fallback is in use any more: trigger orders: 10 at a target of 5 each asks for 2 replicas; holding 6 for the stabilization window until TIME (SPAN)", "ScaledDown: 6 → 2 replicas: trigger orders: 10 at a target of 5 each asks for 2 replicas"},
	)...)
}

// fallbackFromZero has the source fail while workloads are at zero.
func fallbackFromZero(w *scalingtest.World) {
	for _, name := range []string{"min-0", "min-1"} {
		w.Create(scalingtest.Deployment(name, 0, usual(scalingtest.Settings{"fallback": "{after: 2, replicas: 2}"})))
	}
	w.Advance(20 * time.Minute)
	w.Break("orders", "connection refused")
	w.Advance(3 * time.Second)
	annotate(w, "min-1", scalingtest.Settings{"min-replicas": "1"})
	w.Advance(20 * time.Minute)
	for _, name := range []string{"min-0", "min-1"} {
		if got := w.Replicas(name); got != 2 {
			w.Errorf("%s has had %v, want it at 2", name, w.Counts(name))
		}
	}
	w.Set("orders", 0)
	w.Advance(20 * time.Minute)
	w.WantCounts("min-0", 0, 2, 1, 0)
	w.WantCounts("min-1", 0, 1, 2, 1)
}

// fallbackFromTheStart has every way of not getting a number, from the first read on.
func fallbackFromTheStart(w *scalingtest.World) {
	w.Break("refused", "connection refused")
	w.Source("silent").Delay(time.Hour)
	w.Source("wrong").Password("s3cret")
	w.Create(secret("redis", "guess"))
	ways := map[string]struct{ trigger, text string }{
		"refused": {scalingtest.Trigger("refused", ""), "connection refused"},
		"silent":  {scalingtest.Trigger("silent", ""), "no answer in time: context deadline exceeded"},
		"secret":  {scalingtest.Trigger("orders", ", passwordFrom: {secret: none, key: password}"), `password: read Secret shop/none: secrets "none" not found`},
		"key":     {scalingtest.Trigger("orders", ", passwordFrom: {secret: redis, key: pin}"), `password: Secret shop/redis has no key "pin", or it is empty`},
		"wrong":   {locked("wrong"), "wrong password"},
	}
	for name, way := range ways {
		w.Create(scalingtest.Deployment(name, 1, usual(scalingtest.Settings{"trigger.orders": way.trigger, "fallback": "{after: 2, replicas: 4}"})))
	}
	w.Advance(20 * time.Minute)
	for name, way := range ways {
		w.WantCounts(name, 1, 4)
		const fallback = "trigger orders could not be read 2 times in a row; its fallback asks for 4 replicas"
		wantTold(w, name,
			"TriggerUnknown: trigger orders (fake) cannot be read since TIME, so the count does not fall: "+way.text,
			"ScaledUp: 1 → 4 replicas: "+fallback, "FallbackInUse: "+fallback,
		)
	}
}

// fallbackVotes has a fallback that asks for less than the workload has.
func fallbackVotes(w *scalingtest.World) {
	w.Set("a", 40)
	w.Set("b", 20)
	for name, behavior := range map[string]string{"never-lowers": "", "static": ", behavior: static"} {
		w.Create(scalingtest.Deployment(name, 8, onAAndB(scalingtest.Settings{"fallback": "{after: 2, replicas: 3" + behavior + "}"})))
	}
	w.Advance(time.Minute)
	w.Break("b", "connection refused")
	w.Advance(20 * time.Minute)
	for name, asks := range map[string]int{"never-lowers": 8, "static": 3} {
		wantReported(w, name, fmt.Sprintf("Fallback=True (TriggerUnknown): trigger a: 40 at a target of 5 each is within tolerance of 8 replicas; "+
			"trigger b could not be read 3 times in a row; its fallback asks for %d replicas", asks))
		w.WantCounts(name, 8)
	}
	w.Set("a", 0) // only the fallback votes now
	w.Advance(20 * time.Minute)
	w.WantCounts("static", 8, 3)
	w.WantCounts("never-lowers", 8)
}

// floorWithoutSource ends a pause at zero while the source cannot be read.
func floorWithoutSource(w *scalingtest.World) {
	w.Create(scalingtest.Deployment("worker", 3, usual(scalingtest.Settings{"min-replicas": "2", "pause": "0"})))
	w.AwaitReplicas("worker", 0, 6*time.Second)
	w.Break("orders", "connection refused")
	w.Advance(20 * time.Minute)
	w.Restart()
	w.Advance(time.Minute)
	annotate(w, "worker", scalingtest.Settings{"pause": ""})
	w.Advance(time.Second)
	w.WantCounts("worker", 3, 0, 2)
	wantDecided(w, "worker", "TriggerUnknown: trigger orders could not be read; holding 2 replicas")
}

// jobFloorWithoutSource does the same with a Job that is resized.
func jobFloorWithoutSource(w *scalingtest.World) {
	w.RunPods()
	w.Create(scalingtest.Job("worker", 3, usual(scalingtest.Settings{"min-replicas": "2", "pause": "0"})))
	for left := range 3 {
		w.Advance(10 * time.Second)
		w.EndPods("worker", 1, corev1.PodSucceeded)
		w.AwaitReplicas("worker", int32(2-left), 10*time.Second)
	}
	w.Break("orders", "connection refused")
	w.Advance(20 * time.Minute)
	annotate(w, "worker", scalingtest.Settings{"pause": ""})
	w.Advance(time.Second)
	w.WantCounts("worker", 3, 2, 1, 0, 2)
	w.Advance(10 * time.Second)
	if got := len(w.Pods("worker")); got != 2 {
		w.Errorf("it has %d pods, want 2", got)
	}
	if cut := w.CutShort(); len(cut) > 0 {
		w.Errorf("these pods were deleted while they ran: %v", cut)
	}
}

// spawnFloorWithoutSource does the same with a template of Jobs, whose next read is an hour away.
func spawnFloorWithoutSource(w *scalingtest.World) {
	w.RunPods()
	w.Break("orders", "connection refused")
	w.Create(scalingtest.Template("consumer", scalingtest.Settings{
		"min-replicas": "2", "max-replicas": "5", "polling-interval": "1h", "pause": "0", "trigger.orders": scalingtest.Trigger("orders", ""),
	}))
	w.Advance(10 * time.Minute)
	if got := len(w.Children("consumer")); got != 0 {
		w.Errorf("%d Jobs were started during the pause", got)
	}
	annotate(w, "consumer", scalingtest.Settings{"pause": ""})
	w.Advance(5 * time.Second)
	if got, pods := len(w.Children("consumer")), len(w.Source("orders").Reads()); got != 2 || pods > 2 {
		w.Errorf("there are %d Jobs after %d reads, want 2 without another read", got, pods)
	}
	w.Advance(5 * time.Hour)
	if got := len(w.Children("consumer")); got != 2 {
		w.Errorf("there are %d Jobs, want no more than 2", got)
	}
}

// servedByItself has a source that goes away with the last replica and comes back with the first.
func servedByItself(w *scalingtest.World) {
	w.Create(scalingtest.Deployment("stuck", 1, usual(nil)))
	w.Create(scalingtest.Deployment("worker", 1, usual(scalingtest.Settings{"fallback": "{after: 3, replicas: 1}"})))
	w.AwaitReplicas("worker", 0, 6*time.Minute)
	w.AwaitReplicas("stuck", 0, 6*time.Minute)
	w.Break("orders", "connection refused")
	w.AwaitReplicas("worker", 1, 20*time.Second)
	w.Advance(20 * time.Minute)
	w.WantCounts("stuck", 1, 0)
	w.WantCounts("worker", 1, 0, 1)
	wantDecided(w, "stuck", "TriggerUnknown: trigger orders could not be read; holding 0 replicas")
	w.Set("orders", 28)
	w.AwaitReplicas("worker", 6, 6*time.Second)
	w.WantCounts("worker", 1, 0, 1, 6)
}
