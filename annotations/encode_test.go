package annotations_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schema"
)

func orders() annotations.Trigger {
	return annotations.NewTrigger("orders", "queue", 10, map[string]string{"address": "redis:6379", "stream": "orders"})
}

func TestAnnotationsHoldWhatDiffersFromTheDefaults(t *testing.T) {
	wantEqual(t, "annotations", annotations.New(1, 10, orders()).Annotations(), map[string]string{
		"autoscale.io/max-replicas":   "10",
		"autoscale.io/trigger.orders": `{address: "redis:6379", stream: orders, target: 10, type: queue}`,
	})
	w := annotations.New(0, 50, orders())
	w.Cooldown, w.PollingInterval, w.DryRun = 90*time.Second, time.Second, true
	w.Pause = annotations.Pause{Mode: annotations.PauseAt}
	w.Triggers[0].Interval = 2 * time.Second
	w.Triggers[0].Refs = schema.Refs{"password": {Secret: "redis", Key: "password"}}
	wantEqual(t, "annotations", w.Annotations(), map[string]string{
		"autoscale.io/min-replicas": "0", "autoscale.io/max-replicas": "50", "autoscale.io/cooldown": "1m30s", "autoscale.io/polling-interval": "1s",
		"autoscale.io/dry-run": "true", "autoscale.io/pause": "0",
		"autoscale.io/trigger.orders": `{address: "redis:6379", interval: 2s, passwordFrom: {secret: redis, key: password}, stream: orders, target: 10, type: queue}`,
	})
}

func TestNewTriggerTakesCommonParametersAndVariables(t *testing.T) {
	trigger := annotations.NewTrigger("a", "queue", 5, map[string]string{"activation": "2", "tls.ca": "x", "passwordFromEnv": "PW", "metricType": "Value"})
	wantEqual(t, "common", trigger.Common, annotations.Common{Type: "queue", Target: 5, Activation: 2, MetricType: "Value"})
	wantEqual(t, "text", trigger.String(), "{activation: 2, metricType: Value, passwordFromEnv: PW, target: 5, tls: {ca: x}, type: queue}")
}

// A reference stays one, whatever the struct says.
func TestReferencesAreNotOverruled(t *testing.T) {
	trigger := annotations.NewTrigger("a", "queue", 5, map[string]string{"activationFromEnv": "A"})
	trigger.Activation = 2
	wantEqual(t, "text", trigger.String(), "{activationFromEnv: A, target: 5, type: queue}")
}

// What a program gets wrong is written all the same, for Decode to find.
func TestFaultsOfAProgramAreNotHidden(t *testing.T) {
	bad := annotations.NewTrigger("a", "queue", math.NaN(), map[string]string{"interval": "soon", "address": "", "stream": "x"})
	wantFaults(t, annotations.New(2, 1, bad).Annotations(),
		`autoscale.io/min-replicas: got "2", want at most max-replicas, which is 1`,
		`autoscale.io/trigger.a: address: got "", want a text`,
		`autoscale.io/trigger.a: interval: got "soon", want a duration such as 30s or 5m ≥ 1s and ≤ 24h`,
		`autoscale.io/trigger.a: target: got "NaN", want a number > 0`,
	)
	wantFaults(t, annotations.Workload{Triggers: []annotations.Trigger{{Name: "A"}}}.Annotations(),
		`autoscale.io/max-replicas: missing; want a whole number ≥ 1`,
		`autoscale.io/trigger.A: the name "A" is no DNS label; want lower case letters, digits and '-', at most 63`,
		`autoscale.io/trigger.A: type: missing; want one of clock, queue`,
	)
}

func TestApplyToReplacesOnlyWhatConfigures(t *testing.T) {
	before := map[string]string{
		"autoscale.io/max-replicas": "3", "autoscale.io/trigger.old": goodTrigger, "autoscale.io/colour": "red",
		"autoscale.io/state": "{}", "autoscale.io/status": "s", "example.com/a": "b",
	}
	var object appsv1.Deployment
	object.Annotations = before
	annotations.New(1, 10, orders()).ApplyTo(&object)
	wantEqual(t, "annotations", object.Annotations, map[string]string{
		"autoscale.io/max-replicas": "10", "autoscale.io/trigger.orders": orders().String(),
		"autoscale.io/state": "{}", "autoscale.io/status": "s", "example.com/a": "b",
	})
	if len(before) != 6 {
		t.Errorf("the map that the object had was changed: %v", before)
	}
	object.Annotations = nil
	annotations.New(1, 10).ApplyTo(&object)
	wantEqual(t, "annotations of an object without any", object.Annotations, map[string]string{"autoscale.io/max-replicas": "10"})
}

func TestEqual(t *testing.T) {
	const base = "{type: queue, address: a, stream: b, target: 10}"
	for _, c := range []struct {
		name, text string
		want       bool
	}{
		{"the same", base, true},
		{"an alias that implies more", "type: queue\naddress: 'a'\nstreamName: b\npendingEntriesCount: 10", false},
		{"another order and style", "stream: b\ntarget: \"10\"\ntype: queue\naddress: a", true},
		{"another text of a number", strings.Replace(base, "10", "1e1", 1), true},
		{"defaults written out", strings.Replace(base, "}", ", activation: 0, metricType: AverageValue}", 1), true},
		{"target", strings.Replace(base, "10", "11", 1), false},
		{"interval", strings.Replace(base, "}", ", interval: 60s}", 1), false},
		{"parameter", strings.Replace(base, "stream: b", "stream: c", 1), false},
		{"parameter by reference", strings.Replace(base, "stream: b", "streamFromEnv: b", 1), false},
		{"list", strings.Replace(base, "}", ", hosts: [a]}", 1), false},
	} {
		one, other := wantFaults(t, with("trigger.orders", base)), wantFaults(t, with("trigger.orders", c.text))
		if got := one.Equal(other); got != c.want || other.Equal(one) != c.want || one.Triggers[0].Equal(other.Triggers[0]) != c.want {
			t.Errorf("%s: equal %v, want %v", c.name, got, c.want)
		}
	}
	a := wantFaults(t, with("pause", "true", "pause-until", "2026-01-02T00:00:00+01:00", "cooldown", "60s", "behavior", "{scaleUp: {tolerance: 0.1}}", "trigger.b", base))
	b := wantFaults(t, with("pause", "true", "pause-until", "2026-01-01T23:00:00Z", "cooldown", "1m", "behavior", "scaleUp: {tolerance: 100m}", "trigger.b", base))
	slices.Reverse(b.Triggers)
	wantEqual(t, "equal settings in other words, triggers in another order", a.Equal(b), true)
	b.Cooldown++
	wantEqual(t, "other settings", a.Equal(b), false)
	wantEqual(t, "fewer triggers", a.Equal(wantFaults(t, with())), false)
	wantEqual(t, "another name", annotations.NewTrigger("a", "q", 1, nil).Equal(annotations.NewTrigger("b", "q", 1, nil)), false)
}

// Whatever a program builds within the bounds is read back as it was.
func TestRoundTrip(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 0))
		w := randomWorkload(r)
		all := w.Annotations()
		got := annotations.Decode(all, types{})
		if len(got.Faults) > 0 || !got.Workload.Equal(w) {
			t.Fatalf("seed %d: %+v\nwas written as %q\nand read as %+v, %s", seed, w, all, got.Workload, got.Faults)
		}
		wantEqual(t, "written again", got.Workload.Annotations(), all)
	}
}

func randomWorkload(r *rand.Rand) annotations.Workload {
	w := annotations.New(r.Int32N(3), 3+r.Int32N(1000))
	w.PollingInterval = time.Second + time.Duration(r.Int64N(int64(time.Hour)))
	w.Cooldown = time.Duration(r.IntN(10)) * time.Minute
	w.ForceActive, w.DryRun = r.IntN(2) == 0, r.IntN(2) == 0
	if r.IntN(2) == 0 {
		until, initial := time.Unix(r.Int64N(1<<33), r.Int64N(1e9)), time.Duration(r.Int64N(int64(time.Hour)))
		w.PauseUntil, w.InitialCooldown = &until, &initial
		w.Pause = annotations.Pause{Mode: annotations.PauseAt, Replicas: r.Int32N(5)}
	}
	for i := range 1 + r.IntN(4) {
		params := map[string]string{"address": randomText(r), "stream": randomText(r), "tls.ca": randomText(r), "passwordFromEnv": randomText(r)}
		if r.IntN(2) == 0 {
			params["password"] = randomText(r)
			delete(params, "passwordFromEnv")
		}
		trigger := annotations.NewTrigger(string(rune('a'+i)), "queue", math.Exp(r.Float64()*100-50), params)
		trigger.Activation, trigger.Interval = float64(r.IntN(2)), time.Duration(r.IntN(2))*time.Minute
		w.Triggers = append(w.Triggers, trigger)
	}
	return w
}

// randomText favours what YAML treats specially.
func randomText(r *rand.Rand) string {
	pieces := []string{"a", "0", " ", "\n", ":", "#", "{", "}", "[", ",", "*", "&", "!", "%", "@", "`", "'", `"`, "\\", "-", "?", "~", "null", "<<", "\t", "\r", "\x00", "\u0085", "\u2028", "\ufeff", "ü", "キ", "\xff"}
	var text strings.Builder
	for range 1 + r.IntN(6) {
		text.WriteString(pieces[r.IntN(len(pieces))])
	}
	return text.String()
}
