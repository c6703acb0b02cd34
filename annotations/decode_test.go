package annotations_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schema"
)

func TestDecodeWordsEveryFaultOfASetting(t *testing.T) {
	for _, c := range []struct {
		name  string
		given map[string]string
		want  []string
	}{
		{"sound", with(), nil},
		{"no ceiling", with("max-replicas", "-"), []string{`autoscale.io/max-replicas: missing; want a whole number ≥ 1`}},
		{"ceiling of nothing", with("max-replicas", "0"), []string{`autoscale.io/max-replicas: got "0", want a whole number ≥ 1`}},
		{"negative floor", with("min-replicas", "-1"), []string{`autoscale.io/min-replicas: got "-1", want a whole number ≥ 0`}},
		{"floor above the ceiling", with("min-replicas", "11"), []string{`autoscale.io/min-replicas: got "11", want at most max-replicas, which is 10`}},
		{"too large", with("max-replicas", "99999999999"), []string{`autoscale.io/max-replicas: got "99999999999", want a whole number ≥ 1`}},
		{"text for a number", with("max-replicas", "ten"), []string{`autoscale.io/max-replicas: got "ten", want a whole number ≥ 1`}},
		{"spaces", with("max-replicas", " 10 "), []string{`autoscale.io/max-replicas: got " 10 ", want a whole number ≥ 1`}},
		{"idle not below the floor", with("idle-replicas", "1"), []string{`autoscale.io/idle-replicas: got "1", want less than min-replicas, which is 1`}},
		{"idle beside a bad floor", with("idle-replicas", "1", "min-replicas", "x"), []string{`autoscale.io/min-replicas: got "x", want a whole number ≥ 0`}},
		{"idle with the floor 0", with("idle-replicas", "0", "min-replicas", "0"), []string{`autoscale.io/idle-replicas: got "0", want less than min-replicas, which is 0`}},
		{"interval too short", with("polling-interval", "500ms"), []string{`autoscale.io/polling-interval: got "500ms", want a duration such as 30s or 5m ≥ 1s and ≤ 24h`}},
		{"negative cooldown", with("cooldown", "-1s"), []string{`autoscale.io/cooldown: got "-1s", want a duration such as 30s or 5m ≥ 0s and ≤ 168h`}},
		{"cooldown too long", with("initial-cooldown", "169h"), []string{`autoscale.io/initial-cooldown: got "169h", want a duration such as 30s or 5m ≥ 0s and ≤ 168h`}},
		{"truth value", with("force-active", "1"), []string{`autoscale.io/force-active: got "1", want true or false`}},
		{"dry run", with("dry-run", ""), []string{`autoscale.io/dry-run: got "", want true or false`}},
		{"time", with("pause", "true", "pause-until", "tomorrow"), []string{`autoscale.io/pause-until: got "tomorrow", want a time such as 2026-12-31T18:00:00Z`}},
		{"enumeration", with("on-removal", "delete"), []string{`autoscale.io/on-removal: got "delete", want one of keep, restore`}},
		{"class", with("class", "Team A"), []string{`autoscale.io/class: got "Team A", want a DNS label`}},
		{"empty class", with("class", ""), []string{`autoscale.io/class: got "", want a text`}},
		{"empty container", with("env-container", ""), []string{`autoscale.io/env-container: got "", want a text`}},
		{"no trigger", with("trigger.orders", "-"), []string{`autoscale.io/trigger.<name>: missing; want at least one trigger`}},
		{"unknown key", with("colour", "red"), []string{`autoscale.io/colour: unknown annotation autoscale.io/colour`}},
		{"misspelt key", with("poling-interval", "5s"), []string{`autoscale.io/poling-interval: unknown annotation autoscale.io/poling-interval; did you mean autoscale.io/polling-interval?`}},
		{"key in another case", with("Max-Replicas", "5"), []string{`autoscale.io/Max-Replicas: unknown annotation autoscale.io/Max-Replicas; did you mean autoscale.io/max-replicas?`}},
		{"key in camelCase", with("maxReplicas", "5"), []string{`autoscale.io/maxReplicas: unknown annotation autoscale.io/maxReplicas; did you mean autoscale.io/max-replicas?`}},
		{"misspelt trigger", with("triger.mails", goodTrigger), []string{`autoscale.io/triger.mails: unknown annotation autoscale.io/triger.mails; did you mean autoscale.io/trigger.mails?`}},
		{"trigger without a name", with("trigger", goodTrigger), []string{`autoscale.io/trigger: unknown annotation autoscale.io/trigger; did you mean autoscale.io/trigger.<name>?`}},
		{"several triggers in one", with("triggers", goodTrigger), []string{`autoscale.io/triggers: unknown annotation autoscale.io/triggers; did you mean autoscale.io/trigger.<name>?`}},
		{"the prefix alone", map[string]string{"autoscale.io/": "", "autoscale.io/max-replicas": "1", "autoscale.io/trigger.a": goodTrigger}, []string{`autoscale.io/: unknown annotation autoscale.io/`}},
		{"all at once, in order", with("class", "Ä", "max-replicas", "-", "trigger.orders", "-", "idle-replicas", "1", "zzz", ""), []string{
			`autoscale.io/class: got "Ä", want a DNS label`,
			`autoscale.io/idle-replicas: got "1", want less than min-replicas, which is 1`,
			`autoscale.io/max-replicas: missing; want a whole number ≥ 1`,
			`autoscale.io/trigger.<name>: missing; want at least one trigger`,
			`autoscale.io/zzz: unknown annotation autoscale.io/zzz`,
		}},
		{"others' annotations and our own notes", map[string]string{
			"autoscale.io/max-replicas": "1", "autoscale.io/trigger.a": goodTrigger, "autoscale.io/state": "{broken", "autoscale.io/status": "", "example.com/colour": "red", "autoscale.iox/a": "",
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) { wantFaults(t, c.given, c.want...) })
	}
}

func TestDecodeFillsEverySetting(t *testing.T) {
	got := wantFaults(t, with(
		"min-replicas", "2", "idle-replicas", "0", "polling-interval", "10s", "cooldown", "0s", "initial-cooldown", "1h", "force-active", "true",
		"behavior", "{scaleDown: {stabilizationWindowSeconds: 60}}", "pause", "scale-in", "pause-until", "2026-12-31T18:00:00Z", "dry-run", "true",
		"on-removal", "restore", "class", "blue", "env-container", "app",
	)).Settings
	window, idle, initial, until := int32(60), int32(0), time.Hour, time.Date(2026, 12, 31, 18, 0, 0, 0, time.UTC)
	wantEqual(t, "window", *got.Behavior.ScaleDown.StabilizationWindowSeconds, window)
	got.Behavior = nil
	wantEqual(t, "settings", got, annotations.Settings{
		MinReplicas: 2, MaxReplicas: 10, IdleReplicas: &idle, PollingInterval: 10 * time.Second, InitialCooldown: &initial, ForceActive: true,
		Pause: annotations.Pause{Mode: annotations.PauseScaleIn}, PauseUntil: &until, DryRun: true, OnRemoval: "restore", Class: "blue", EnvContainer: "app",
	})
}

func TestDecodeFillsDefaults(t *testing.T) {
	got := wantFaults(t, with())
	wantEqual(t, "settings", got.Settings, annotations.Settings{MinReplicas: 1, MaxReplicas: 10, PollingInterval: 5 * time.Second, Cooldown: 5 * time.Minute, OnRemoval: "keep"})
	wantEqual(t, "triggers", got.Triggers, []annotations.Trigger{{
		Name:   "orders",
		Given:  schema.Values{"type": {Text: "queue"}, "address": {Text: "redis:6379"}, "stream": {Text: "orders"}, "target": {Text: "10"}},
		Refs:   schema.Refs{},
		Common: annotations.Common{Type: "queue", Target: 10, MetricType: "AverageValue"},
	}})
}

// Zero, empty and absent are three things for every number (AN-05).
func TestZeroEmptyAbsentOfEveryNumber(t *testing.T) {
	const duration = "want a duration such as 30s or 5m "
	for _, c := range []struct{ key, zero, empty string }{
		{"min-replicas", "", "want a whole number ≥ 0"},
		{"max-replicas", "want a whole number ≥ 1", "want a whole number ≥ 1"},
		{"idle-replicas", "", "want a whole number ≥ 0"},
		{"polling-interval", duration + "≥ 1s and ≤ 24h", duration + "≥ 1s and ≤ 24h"},
		{"cooldown", "", duration + "≥ 0s and ≤ 168h"},
		{"initial-cooldown", "", duration + "≥ 0s and ≤ 168h"},
		{"pause", "", "want true, false, a number of replicas, scale-in or scale-out"},
	} {
		for text, want := range map[string]string{"0": c.zero, "": c.empty} {
			var faults []string
			if want != "" {
				faults = []string{fmt.Sprintf("autoscale.io/%s: got %q, %s", c.key, text, want)}
			}
			wantFaults(t, with(c.key, text), faults...)
		}
	}
	wantEqual(t, "floor of 0", wantFaults(t, with("min-replicas", "0")).MinReplicas, 0)
	wantEqual(t, "cooldown of 0", wantFaults(t, with("cooldown", "0")).Cooldown, 0)
	wantEqual(t, "initial cooldown of 0", *wantFaults(t, with("initial-cooldown", "0s")).InitialCooldown, 0)
	wantEqual(t, "idle count of 0", *wantFaults(t, with("idle-replicas", "0")).IdleReplicas, 0)
	if absent := wantFaults(t, with()); absent.IdleReplicas != nil || absent.InitialCooldown != nil {
		t.Errorf("absent: idle %v, initial cooldown %v; want nil", absent.IdleReplicas, absent.InitialCooldown)
	}
	const trigger = "{type: queue, address: a, stream: b, "
	for _, c := range []struct{ param, zero, empty string }{
		{"target", "want a number > 0", "want a number > 0"},
		{"activation", "", "want a number ≥ 0"},
		{"interval", duration + "≥ 1s and ≤ 24h", duration + "≥ 1s and ≤ 24h"},
		{"timeout", duration + "> 0s and ≤ 1m", duration + "> 0s and ≤ 1m"},
		{"lagCount", "", "want a whole number ≥ 0"},
		{"grace", "", duration + "≥ 0s"},
	} {
		for text, want := range map[string]string{"0": c.zero, "": c.empty} {
			var faults []string
			if want != "" {
				faults = []string{fmt.Sprintf("autoscale.io/trigger.orders: %s: got %q, %s", c.param, text, want)}
			}
			body := fmt.Sprintf("%s%s: %q}", trigger, c.param, text)
			if c.param != "target" {
				body = fmt.Sprintf("%starget: 1, %s: %q}", trigger, c.param, text)
			}
			wantFaults(t, with("trigger.orders", body), faults...)
		}
	}
}

// Pause is read strictly (AN-01).
func TestPause(t *testing.T) {
	for text, want := range map[string]annotations.Pause{
		"true":      {Mode: annotations.PauseHold},
		"false":     {},
		"0":         {Mode: annotations.PauseAt},
		"1":         {Mode: annotations.PauseAt, Replicas: 1},
		"scale-in":  {Mode: annotations.PauseScaleIn},
		"scale-out": {Mode: annotations.PauseScaleOut},
	} {
		got := wantFaults(t, with("pause", text)).Pause
		wantEqual(t, text, got, want)
		wantEqual(t, "text of "+text, got.String(), text)
	}
	for _, text := range []string{"True", "FALSE", "", "no", " yes ", "yes", "-1", "1.0", "at", "scale-In", "4294967296", "true ", "null"} {
		wantFaults(t, with("pause", text), fmt.Sprintf("autoscale.io/pause: got %q, want true, false, a number of replicas, scale-in or scale-out", text))
	}
}

func TestPauseUntilWithoutPauseIsAWarning(t *testing.T) {
	for _, pairs := range [][]string{{}, {"pause", "false"}} {
		result := annotations.Decode(with(append(pairs, "pause-until", "2026-12-31T18:00:00Z")...), types{})
		wantEqual(t, "faults", len(result.Faults), 0)
		wantEqual(t, "warnings", result.Warnings.Texts(), []string{"autoscale.io/pause-until: has no effect without autoscale.io/pause"})
	}
	result := annotations.Decode(with("pause", "maybe", "pause-until", "2026-12-31T18:00:00Z"), types{})
	wantEqual(t, "warnings beside a fault of pause", result.Warnings.Texts(), []string{})
}

func TestBehaviorHasTheLimitsOfTheHPA(t *testing.T) {
	const syntax = "want the behavior field of a HorizontalPodAutoscaler v2 in YAML "
	for _, c := range []struct{ text, want string }{
		{"", syntax + "(it is no YAML mapping)"},
		{"[]", syntax + "(it is no YAML mapping)"},
		{"fast", syntax + "(it is no YAML mapping)"},
		{"{scaleUp: {}}\n---\n{}", syntax + "(it is more than one YAML document)"},
		{"{} #" + strings.Repeat("x", 8<<10), syntax + "(it is longer than 8192 bytes)"},
		{"{scaleup: {}}", syntax + "(unknown field scaleup; did you mean scaleUp?)"},
		{"{scaleDown: {stabilisationWindowSeconds: 1}}", syntax + "(unknown field scaleDown.stabilisationWindowSeconds; did you mean stabilizationWindowSeconds?)"},
		{"{colour: red}", syntax + "(unknown field colour)"},
		{"{scaleDown: {stabilizationWindowSeconds: soon}}", syntax + "(scaleDown.stabilizationWindowSeconds has the wrong type, string)"},
		{"{scaleDown: [1]}", syntax + "(scaleDown has the wrong type, array)"},
		{"{scaleUp: {}, scaleUp: {}}", syntax + `(line 1: key "scaleUp" already set in map)`},
		{"{scaleUp: {tolerance: lots}}", syntax + "(quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$')"},
		{"{scaleUp: {stabilizationWindowSeconds: -1}}", "want scaleUp.stabilizationWindowSeconds ≥ 0 and ≤ 3600"},
		{"{scaleDown: {stabilizationWindowSeconds: 3601}}", "want scaleDown.stabilizationWindowSeconds ≥ 0 and ≤ 3600"},
		{"{scaleUp: {selectPolicy: max}}", "want scaleUp.selectPolicy Max, Min or Disabled"},
		{"{scaleUp: {tolerance: -0.1}}", "want scaleUp.tolerance ≥ 0"},
		{"{scaleUp: {policies: []}}", "want scaleUp.policies with at least one policy, or none given"},
		{"{scaleUp: {policies: [{type: Pod, value: 1, periodSeconds: 1}]}}", "want scaleUp.policies[0].type Pods or Percent"},
		{"{scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 1}, {type: Percent, value: 0, periodSeconds: 1}]}}", "want scaleUp.policies[1].value > 0"},
		{"{scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 0}]}}", "want scaleUp.policies[0].periodSeconds > 0 and ≤ 1800"},
		{"{scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 1801}]}}", "want scaleUp.policies[0].periodSeconds > 0 and ≤ 1800"},
	} {
		quoted := fmt.Sprintf("%q", c.text)
		if len(c.text) > 60 {
			quoted = fmt.Sprintf("%q", c.text[:60]+"…")
		}
		wantFaults(t, with("behavior", c.text), "autoscale.io/behavior: got "+quoted+", "+c.want)
	}
	for _, text := range []string{
		"{}", "scaleUp:\n  stabilizationWindowSeconds: 0\n", "{scaleDown: {stabilizationWindowSeconds: 3600, selectPolicy: Disabled}}",
		"{scaleUp: {tolerance: 0.05, policies: [{type: Pods, value: 1, periodSeconds: 1800}, {type: Percent, value: 900, periodSeconds: 1}]}}",
	} {
		wantFaults(t, with("behavior", text))
	}
}

// A decoder that meets a whole annotation budget of nonsense, in one annotation or in many, neither hangs nor floods its faults.
func TestHugeInput(t *testing.T) {
	const budget, share = 256 << 10, 31 << 10
	for name, piece := range map[string]string{"text": "x", "keys": "a,", "mappings": "{a: ", "lists": "[", "blocks": "a:\n "} {
		nonsense := func(size int) string { return "{type: queue, " + strings.Repeat(piece, size/len(piece)) }
		started := processorTime(t)
		faults := annotations.Decode(with("trigger.orders", nonsense(budget), "behavior", nonsense(budget), "pause", nonsense(budget)), types{}).Faults.Error()
		if len(faults) > 2000 {
			t.Errorf("%s: %d bytes of faults, want at most 2000", name, len(faults))
		}
		for i := range budget / share {
			annotations.Decode(with("trigger.orders", nonsense(share+i), "behavior", nonsense(8000)), types{})
		}
		// In fact a tenth of a second; the margin is for the race detector.
		if took := processorTime(t) - started; took > 10*time.Second {
			t.Errorf("%s: took %v of processor time", name, took)
		}
	}
}

// processorTime is what the process has used so far. Unlike the time of day, it does not depend on what else the machine does.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
