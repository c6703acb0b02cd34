package annotations_test

import (
	"testing"

	"autoscale.io/annotations"
)

const (
	fallback = "{after: 3, replicas: 6}"
	office   = "{start: '0 8 * * 1-5', end: '0 20 * * 1-5', timezone: Europe/Berlin, min: 5, max: 20}"
	database = "{type: clock, start: a, limit: 80}"
)

func TestDecodeMappings(t *testing.T) {
	w := wantFaults(t, with(
		"fallback", fallback, "schedule.office", office, "guard.database", database,
		"formula", "{expression: 'orders + 2*(slow_mail ?? 0)', target: 10, activation: 1, metricType: Value}",
		"trigger.slow-mail", "{type: clock, start: a}",
	))
	five, twenty := int32(5), int32(20)
	wantEqual(t, "fallback", w.Fallback, &annotations.Fallback{After: 3, Replicas: 6, Behavior: "currentReplicasIfHigher"})
	wantEqual(t, "formula", w.Formula, &annotations.Formula{Expression: "orders + 2*(slow_mail ?? 0)", Target: 10, Activation: 1, MetricType: "Value"})
	wantEqual(t, "schedules", w.Schedules, []annotations.Schedule{
		{Name: "office", Start: "0 8 * * 1-5", End: "0 20 * * 1-5", Timezone: "Europe/Berlin", Min: &five, Max: &twenty},
	})
	wantEqual(t, "ceiling", w.Ceiling(), 20)
	if len(w.Guards) != 1 || w.Guards[0].Name != "database" || w.Guards[0].Target != 80 || w.Guards[0].Type != "clock" {
		t.Errorf("guards: %+v", w.Guards)
	}
	wantEqual(t, "a trigger under a formula needs no target", w.Triggers[1].Target, 1)
	written := w.Annotations()
	wantEqual(t, "guard", written["autoscale.io/guard.database"], "{limit: 80, start: a, type: clock}")
	wantEqual(t, "fallback", written["autoscale.io/fallback"], "{replicas: 6}")
	if read := annotations.Decode(written, types{}); len(read.Faults) > 0 || !read.Workload.Equal(w) {
		t.Errorf("written as %q, read with %s", written, read.Faults)
	}
}

func TestDecodeWordsEveryFaultOfAMapping(t *testing.T) {
	for _, c := range []struct {
		key, text string
		want      []string
	}{
		{"fallback", "6", []string{"got a plain value, want a YAML mapping such as {replicas: …}"}},
		{"fallback", "{replicas: 1, whatever: 2}", []string{"unknown parameter whatever; want one of after, behavior, failureThreshold, replicas"}},
		{"formula", "orders + 1", []string{"got a plain value, want a YAML mapping such as {expression: '…', target: …}"}},
		{"formula", "{expression: orders ?? 0, target: 1}", []string{"not YAML (did not find expected ',' or '}'); want a mapping such as {expression: '…', target: …}"}},
		{"schedule.a", "8:00", []string{"got a plain value, want a YAML mapping such as {start: '…', end: '…'}"}},
		{"fallback", "{}", []string{"replicas: missing; want a whole number ≥ 1"}},
		{"fallback", "{replicas: 0, after: 0, behaviour: static}", []string{
			`after: got "0", want a whole number ≥ 1`, `replicas: got "0", want a whole number ≥ 1`, "unknown parameter behaviour; did you mean behavior?",
		}},
		{"fallback", "{replicas: 1, behavior: Static}", []string{`behavior: got "Static", want one of currentReplicasIfHigher, static, currentReplicas, currentReplicasIfLower`}},
		{"formula", "{expression: ordres, target: 1}", []string{`expression: got "ordres", want an expression over orders that gives a number (unknown name ordres; did you mean orders?)`}},
		{"formula", "{expression: orders > 1, target: 1}", []string{`expression: got "orders > 1", want an expression over orders that gives a number (expected float64, but got bool)`}},
		{"formula", "{expression: orders, target: 0}", []string{`target: got "0", want a number > 0`}},
		{"schedule.a", "{start: 0 8 * *, end: '@daily', timezone: Berlin, min: 1}", []string{
			`end: got "@daily", want a cron expression of five fields such as 0 8 * * 1-5 (want five fields; a word with @ or a zone cannot stand here)`,
			`start: got "0 8 * *", want a cron expression of five fields such as 0 8 * * 1-5 (expected exactly 5 fields, found 4: [0 8 * *])`,
			`timezone: got "Berlin", want a name of the IANA database such as Europe/Berlin or UTC`,
		}},
		{"schedule.a", "{start: 0 8 * * *, end: 0 8 * * *, max: 3}", []string{"end: is the same as start, so that the window never opens"}},
		{"schedule.a", `{start: "* * * * *", end: "*/1 * * * *", max: 3}`, []string{
			`end: got "*/1 * * * *", which comes at each start, so that the window never opens; want an end after a start`}},
		{"schedule.a", "{start: 0 8 * * *, end: 0 9 * * *}", []string{"has neither min nor max; want at least one of them"}},
		{"schedule.a", "{start: 0 8 * * *, end: 0 9 * * *, min: 11}", []string{"min, which is 11, is more than max-replicas, which is 10"}},
		{"schedule.a", "{start: 0 8 * * *, end: 0 9 * * *, min: 3, max: 2}", []string{"min, which is 3, is more than max, which is 2"}},
		{"schedule.A", office, []string{`the name "A" is no DNS label; want lower case letters, digits and '-', at most 63`}},
		{"guard.db", "{type: clock, start: a}", []string{"limit: missing; want a number > 0"}},
		{"guard.db", "{type: clock, start: a, limit: none}", []string{`limit: got "none", want a number > 0`}},
		{"guard.db", "{type: clock, start: a, limit: 1, activation: 2, metricType: Value}", []string{"activation: a guard has a limit in place of it", "metricType: a guard has a limit in place of it"}},
		{"guard.db", "{type: clock, start: a, target: 1}", []string{"limit: missing; want a number > 0", "target: a guard has a limit in place of it"}},
		{"guard.db", "{type: queue, address: a, stream: b, clusterTarget: 1, limit: 2}", []string{"target: given twice, as clusterTarget and as limit; want target alone"}},
	} {
		want := make([]string, len(c.want))
		for i, text := range c.want {
			want[i] = annotations.Prefix + c.key + ": " + text
		}
		wantFaults(t, with(c.key, c.text), want...)
	}
}

// What KEDA calls them is read, too.
func TestSpellingsOfKEDA(t *testing.T) {
	w := wantFaults(t, with("fallback", "{failureThreshold: 4, replicas: 6}", "formula", "{formula: orders, target: 5, activationTarget: 2}"))
	wantEqual(t, "fallback", w.Fallback, &annotations.Fallback{After: 4, Replicas: 6, Behavior: "currentReplicasIfHigher"})
	wantEqual(t, "formula", w.Formula, &annotations.Formula{Expression: "orders", Target: 5, Activation: 2, MetricType: "AverageValue"})
}

func TestMisspeltFamilies(t *testing.T) {
	wantFaults(t, with("guards.db", database, "shedule.a", office, "falback", fallback, "formulas", "x"),
		"autoscale.io/falback: unknown annotation autoscale.io/falback; did you mean autoscale.io/fallback?",
		"autoscale.io/formulas: unknown annotation autoscale.io/formulas; did you mean autoscale.io/formula?",
		"autoscale.io/guards.db: unknown annotation autoscale.io/guards.db; did you mean autoscale.io/guard.db?",
		"autoscale.io/shedule.a: unknown annotation autoscale.io/shedule.a; did you mean autoscale.io/schedule.a?",
	)
}

func TestTheNameFormulaIsTaken(t *testing.T) {
	wantFaults(t, with("formula", "{expression: orders + formula, target: 1}", "trigger.formula", "{type: clock, start: a}"),
		"autoscale.io/trigger.formula: this name is that of the formula's result; want another one")
}
