package fieldcases

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"autoscale.io/annotations"
	"autoscale.io/scaling/scalingtest"
)

func annotationCases() []Case {
	return []Case{
		{ID: "AN-01", Run: strictPause},
		{ID: "AN-04", Run: misspelt},
		{ID: "AN-05", Run: zeroOrUnset},
		{ID: "AN-07", Run: oddNames},
		{ID: "AN-09", Run: foreignState},
		{ID: "AN-refs", Run: unresolvable},
		{ID: "WH-03", Run: missedObjects},
	}
}

// refused fails the test unless a Deployment with these settings is refused with that text.
func refused(w *scalingtest.World, settings scalingtest.Settings, text string) {
	w.Helper()
	w.Denied(w.TryCreate(scalingtest.Deployment("bad", 1, settings)), text)
}

func strictPause(w *scalingtest.World) {
	w.Set("orders", 10)
	for _, value := range []string{"True", "", " yes ", "no"} {
		settings := usual(nil)
		settings["pause"] = value
		refused(w, settings, fmt.Sprintf(`autoscale.io/pause: got "%s", want true, false, a number of replicas, scale-in or scale-out`, value))
	}
	for name, value := range map[string]string{"held": "true", "off": "false", "zero": "0", "one": "1"} {
		w.Create(scalingtest.Deployment(name, 3, usual(scalingtest.Settings{"pause": value})))
	}
	w.Advance(20 * time.Minute)
	w.WantCounts("held", 3)
	w.WantCounts("off", 3, 2)
	w.WantCounts("zero", 3, 0)
	w.WantCounts("one", 3, 1)
	w.Denied(w.Annotate("held", scalingtest.Settings{"pause": "maybe"}), `autoscale.io/pause: got "maybe", want true, false, a number of replicas, scale-in or scale-out`)
	w.Advance(20 * time.Minute)
	w.WantCounts("held", 3)
	annotate(w, "held", scalingtest.Settings{"pause": ""})
	w.Advance(20 * time.Minute)
	w.WantCounts("held", 3, 2)
}

// misspelt also has a mistake that got in while the webhook was away, which must not block an edit of something else.
func misspelt(w *scalingtest.World) {
	good := usual(scalingtest.Settings{"cooldown": "5m", "polling-interval": "5s", "behavior": "{scaleDown: {stabilizationWindowSeconds: 60}}"})
	for key, wrong := range map[string]string{
		"min-replicas": "mjn-replicas", "max-replicas": "max-repljcas", "cooldown": "cooldowns", "polling-interval": "polljng-interval", "behavior": "behavjor",
	} {
		settings := maps.Clone(good)
		settings[wrong] = settings[key]
		delete(settings, key)
		refused(w, settings, fmt.Sprintf("unknown annotation autoscale.io/%s; did you mean autoscale.io/%s?", wrong, key))
	}
	for right, wrong := range map[string]string{"activation": "activatoin", "source": "sorce", "timeout": "time-out"} {
		settings := usual(scalingtest.Settings{"trigger.orders": scalingtest.Trigger("orders", ", "+wrong+": 1")})
		refused(w, settings, fmt.Sprintf("unknown parameter %s; did you mean %s?", wrong, right))
	}
	refused(w, usual(scalingtest.Settings{"trigger.orders": "{type: fakes, target: 5}"}), "type: unknown type fakes; did you mean fake?")

	w.Kill()
	bad := maps.Clone(good)
	bad["cooldwn"] = "1m"
	w.Set("orders", 50)
	w.Create(scalingtest.Deployment("worker", 1, bad))
	w.Start("autoscaler-1")
	w.Advance(10 * time.Minute)
	if err := w.Patch("worker", `{"spec":{"template":{"spec":{"containers":[{"name":"worker","image":"worker:hotfix"}]}}}}`); err != nil {
		w.Errorf("a hotfix was refused: %v", err)
	}
	w.Advance(10 * time.Minute)
	w.WantCounts("worker", 1)
	annotate(w, "worker", scalingtest.Settings{"cooldwn": ""})
	w.AwaitReplicas("worker", 10, 5*time.Second)
}

func zeroOrUnset(w *scalingtest.World) {
	zero := scalingtest.Trigger("orders", ", activation: 0")
	w.Create(scalingtest.Deployment("zero", 0, usual(scalingtest.Settings{"cooldown": "0s", "initial-cooldown": "0s", "trigger.orders": zero})))
	for _, bad := range []struct{ key, value, text string }{
		{"min-replicas", " ", `got " ", want a whole number ≥ 0`},
		{"cooldown", " ", `got " ", want a duration such as 30s or 5m ≥ 0s and ≤ 168h`},
		{"max-replicas", "0", `got "0", want a whole number ≥ 1`},
		{"trigger.orders", scalingtest.Trigger("orders", ", activation: ~"), `activation: has no value; want a number ≥ 0, or leave it out`},
		{"trigger.orders", scalingtest.Trigger("orders", `, activation: ""`), `activation: got "", want a number ≥ 0`},
		{"trigger.orders", "{type: fake, source: orders, target: 0}", `target: got "0", want a number > 0`},
	} {
		refused(w, usual(scalingtest.Settings{bad.key: bad.value}), "autoscale.io/"+bad.key+": "+bad.text)
	}
	w.Create(scalingtest.Deployment("adopted", 1, usual(scalingtest.Settings{"initial-cooldown": "0s"})))
	w.AwaitReplicas("adopted", 0, 6*time.Second)
	w.Create(scalingtest.Deployment("absent", 2, usual(scalingtest.Settings{"min-replicas": ""})))
	w.Advance(20 * time.Minute)
	w.WantCounts("absent", 2, 1)
	w.Set("orders", 1)
	w.Advance(5 * time.Second)
	w.Set("orders", 0)
	w.AwaitReplicas("zero", 0, 6*time.Second) // not after the cooldown of one that has none set
	w.Advance(20 * time.Minute)
	w.WantCounts("zero", 0, 1, 0)
}

func oddNames(w *scalingtest.World) {
	long := strings.Repeat("n", 63) + "." + strings.Repeat("a", 63) + "." + strings.Repeat("m", 63) + "." + strings.Repeat("e", 61)
	source := `{app}:jobs*"ü`
	trigger := fmt.Sprintf("{type: fake, source: %q, target: 5}", source)
	w.Set(source, 10)
	many := usual(scalingtest.Settings{"trigger.orders": ""})
	for i := range 30 {
		many[fmt.Sprintf("trigger.t%02d", i)] = trigger
	}
	w.Create(scalingtest.Deployment(long, 0, usual(scalingtest.Settings{"trigger.orders": trigger})), scalingtest.Deployment("many", 0, many))
	w.Advance(time.Minute)
	w.WantCounts(long, 0, 2)
	w.WantCounts("many", 0, 2)
	wantValue(w, "many", "t29", 10)
	const series = `autoscale_trigger_value{kind="deployments.apps",name=%q,namespace="shop",trigger=%q,type="fake"} 10` + "\n"
	metrics := "# HELP autoscale_trigger_value Latest value of the trigger; absent while it cannot be read.\n" +
		"# TYPE autoscale_trigger_value gauge\n" + fmt.Sprintf(series, long, "orders")
	for i := range 30 {
		metrics += fmt.Sprintf(series, "many", fmt.Sprintf("t%02d", i))
	}
	if err := testutil.CollectAndCompare(w.Leader().Metrics, strings.NewReader(metrics), "autoscale_trigger_value"); err != nil {
		w.Error(err)
	}
}

// foreignState copies a workload with all annotations, as kubectl get -o yaml | apply does, and tampers with its state. Then
// it restores another copy while the webhook is away.
func foreignState(w *scalingtest.World) {
	w.Create(scalingtest.Deployment("origin", 2, usual(nil)))
	w.Advance(20 * time.Minute)
	w.WantCounts("origin", 2, 1, 0)
	origin := w.Get("origin")
	if !w.State("origin").Zero {
		w.Fatalf("the zero of the origin is not marked: %s", origin.GetAnnotations()[annotations.StateKey])
	}
	duplicate := scalingtest.Deployment("copy", 4, nil)
	duplicate.Annotations = origin.GetAnnotations()
	duplicate.Labels = map[string]string{annotations.Bucket: "99"}
	began := time.Now()
	w.Create(duplicate)
	wantFresh(w, "copy", 4)
	if w.Get("copy").GetLabels()[annotations.Bucket] == "99" {
		w.Error("the copy kept a foreign bucket")
	}
	for _, forged := range []string{`{"uid":"x","zero":true}`, `not JSON`, `{"adopted":"2099-01-01T00:00:00Z","replicas":99999999}`} {
		annotate(w, "copy", scalingtest.Settings{"state": forged})
		if w.Get("copy").GetAnnotations()[annotations.StateKey] == forged {
			w.Errorf("the forged state %s was kept", forged)
		}
		w.Advance(time.Second)
	}
	w.Advance(20 * time.Minute)
	w.WantCounts("copy", 4, 1, 0)
	if after := w.ChangedAt("copy").Sub(began); after < 5*time.Minute {
		w.Errorf("the copy went to zero %s after it was created, before a whole cooldown", after)
	}

	w.Kill()
	restored := scalingtest.Deployment("restored", 4, nil)
	restored.Annotations, restored.Labels = origin.GetAnnotations(), origin.GetLabels()
	w.Create(restored)
	w.Start("autoscaler-1")
	w.Advance(4 * time.Minute) // a sweep finds it at the latest
	wantFresh(w, "restored", 4)
	w.Advance(20 * time.Minute)
	w.WantCounts("restored", 4, 1, 0)
}

// wantFresh fails the test unless the state of a workload is that of one which was adopted at this count.
func wantFresh(w *scalingtest.World, name string, replicas int32) {
	w.Helper()
	if state := w.State(name); state.Zero || state.Replicas == nil || *state.Replicas != replicas {
		text := w.Get(name).GetAnnotations()[annotations.StateKey]
		w.Errorf("the state of %s is %s, want a fresh one of %d replicas", name, text, replicas)
	}
}

func unresolvable(w *scalingtest.World) {
	w.Create(scalingtest.Deployment("worker", 3, usual(scalingtest.Settings{"trigger.orders": scalingtest.Trigger("orders", ", passwordFrom: {secret: absent, key: password}")})))
	w.Advance(time.Hour)
	w.WantCounts("worker", 3)
	wantEvents(w, "worker",
		`TriggerUnknown: trigger orders (fake) cannot be read since 00:00:00Z, so the count does not fall: password: read Secret shop/absent: secrets "absent" not found`,
	)
}

// missedObjects are created while no replica lives, so that the webhook is away, too.
func missedObjects(w *scalingtest.World) {
	const objects = 20
	w.Kill()
	w.Set("orders", 10)
	for i := range objects {
		w.Create(scalingtest.Deployment(fmt.Sprintf("w%02d", i), 0, usual(nil)))
	}
	w.Advance(time.Hour)
	replica := w.Start("autoscaler-1")
	w.Advance(10 * time.Minute)
	for i := range objects {
		name := fmt.Sprintf("w%02d", i)
		w.WantCounts(name, 0, 2)
		wantEvents(w, name,
			"Adopted: found with annotations and without the managed label; managed from 0 replicas on",
			"ScaledUp: 0 → 2 replicas: trigger orders: 10 at a target of 5 each asks for 2 replicas; waking from 0 to 2 replicas",
		)
	}
	if got := testutil.ToFloat64(replica.Metrics.Adoptions); got != objects {
		w.Errorf("%v adoptions were counted, want %d", got, objects)
	}
}
