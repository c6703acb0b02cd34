package fieldcases

import (
	"fmt"
	"math"
	"time"

	"autoscale.io/scaling/scalingtest"
)

func numberCases() []Case {
	return []Case{
		{ID: "HA-05", Run: notFinite},
		{ID: "HA-06", Run: largeValues},
		{ID: "HA-07", Run: negativeValues},
	}
}

// noCount has a source answer 4, then each of these, which are no counts, and then 5.
func noCount(w *scalingtest.World, bad ...float64) {
	w.Helper()
	w.Set("orders", 20)
	w.Create(scalingtest.Deployment("worker", 1, usual(nil)))
	w.Advance(time.Minute)
	for _, value := range bad {
		w.Set("orders", value)
		w.Advance(20 * time.Minute)
		w.WantCounts("worker", 1, 4)
		wantReported(w, "worker", fmt.Sprintf("Ready=False (TriggerUnknown): trigger orders: the source said %v; want a finite number ≥ 0", value))
		w.Set("orders", 20)
		w.Advance(time.Minute)
	}
	w.Set("orders", 25)
	w.AwaitReplicas("worker", 5, 6*time.Second)
	w.WantCounts("worker", 1, 4, 5)
}

// wantDenied creates a workload with these settings, which must be denied with exactly this text.
func wantDenied(w *scalingtest.World, settings scalingtest.Settings, want string) {
	w.Helper()
	err := w.TryCreate(scalingtest.Deployment("bad", 1, usual(settings)))
	want = `admission webhook "workloads.autoscale.io" denied the request: 1 fault in the annotations of Deployment shop/bad:` + "\n" + want
	if err == nil || err.Error() != want {
		w.Errorf("got %v\nwant %s", err, want)
	}
}

func notFinite(w *scalingtest.World) {
	noCount(w, math.NaN(), math.Inf(1), math.Inf(-1))
	for _, target := range []string{"NaN", ".nan", "Inf", ".inf", "0", "1e999"} {
		wantDenied(w, scalingtest.Settings{"trigger.orders": fmt.Sprintf("{type: fake, source: orders, target: %s}", target)},
			fmt.Sprintf("autoscale.io/trigger.orders: target: got %q, want a number > 0", target))
	}
}

func negativeValues(w *scalingtest.World) {
	noCount(w, -5, -0.5, -math.MaxFloat64)
	for _, bad := range []struct{ key, value, want string }{
		{"min-replicas", "-1", `got "-1", want a whole number ≥ 0`}, {"max-replicas", "-5", `got "-5", want a whole number ≥ 1`}, {"cooldown", "-1s", `got "-1s", want a duration such as 30s or 5m ≥ 0s and ≤ 168h`},
		{"trigger.orders", "{type: fake, source: orders, target: -5}", `target: got "-5", want a number > 0`},
		{"trigger.orders", "{type: fake, source: orders, target: 5, activation: -1}", `activation: got "-1", want a number ≥ 0`},
	} {
		wantDenied(w, scalingtest.Settings{bad.key: bad.value}, "autoscale.io/"+bad.key+": "+bad.want)
	}
}

// largeValues has values and targets at the edges of every kind of number.
func largeValues(w *scalingtest.World) {
	for name, value := range map[string]float64{"two31": 1 << 31, "two53": 1<<53 + 1, "two63": 1 << 63, "e19": 1e19, "e308": 1e308, "most": math.MaxFloat64} {
		w.Set(name, value)
		w.Create(scalingtest.Deployment(name, 1, usual(scalingtest.Settings{"trigger.orders": scalingtest.Trigger(name, "")})))
		w.Create(scalingtest.Deployment(name+"-level", 1, usual(scalingtest.Settings{"trigger.orders": scalingtest.Trigger(name, ", metricType: Value")})))
	}
	w.Set("orders", 400)
	targets := map[string]string{"tiny": "0.0000001", "thousandth": "0.001", "smallest": "1e-300"}
	for name, target := range targets {
		w.Create(scalingtest.Deployment(name, 1, usual(scalingtest.Settings{"max-replicas": "7", "trigger.orders": fmt.Sprintf("{type: fake, source: orders, target: %s}", target)})))
	}
	w.Advance(20 * time.Minute)
	for _, name := range []string{"two31", "two53", "two63", "e19", "e308", "most"} {
		w.WantCounts(name, 1, 10)
		w.WantCounts(name+"-level", 1, 10)
	}
	for name := range targets {
		w.WantCounts(name, 1, 7)
	}
}
