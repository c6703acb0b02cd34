package annotations_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schema"
)

type resourceParams struct {
	Container string `name:"container"`
}

// withResources are the types of the other tests and cpu and memory.
type withResources struct{ types }

func (withResources) TriggerTypeNames() []string { return []string{"clock", "cpu", "memory", "queue"} }

func (w withResources) TriggerType(name string) (annotations.TriggerType, bool) {
	if name == "cpu" || name == "memory" {
		return annotations.TriggerType{
			Name: name, Params: schema.For[resourceParams](), Resource: corev1.ResourceName(name),
			Aliases: map[string]annotations.Alias{"value": {For: "target"}, "containerName": {For: "container"}},
		}, true
	}
	return w.types.TriggerType(name)
}

// only are annotations with these keys and no other trigger.
func only(pairs ...string) map[string]string { return with(append(pairs, "trigger.orders", "-")...) }

func wantResourceFaults(t *testing.T, given map[string]string, want ...string) annotations.Workload {
	t.Helper()
	result := annotations.Decode(given, withResources{})
	if want == nil {
		want = []string{}
	}
	wantEqual(t, "faults", result.Faults.Texts(), want)
	return result.Workload
}

func TestTargetsOfResources(t *testing.T) {
	const cpu, memory = "autoscale.io/cpu", "autoscale.io/memory"
	for _, c := range []struct {
		key, text  string
		target     float64
		metricType string
	}{
		{cpu, "70%", 70, "Utilization"},
		{cpu, "62.5%", 62.5, "Utilization"},
		{cpu, "500m", 0.5, "AverageValue"},
		{memory, "400Mi", 400 << 20, "AverageValue"},
		{memory, "1G", 1e9, "AverageValue"},
		{memory, "150%", 150, "Utilization"},
		{"autoscale.io/trigger.x", "{type: cpu, target: 70%, container: app}", 70, "Utilization"},
		{"autoscale.io/trigger.x", "{type: cpu, target: 70%, metricType: Utilization}", 70, "Utilization"},
		{"autoscale.io/trigger.x", "{type: cpu, target: 70, metricType: Utilization}", 70, "Utilization"},
		{"autoscale.io/trigger.x", "{type: cpu, value: 2, metricType: AverageValue, containerName: app}", 2, "AverageValue"},
		{"autoscale.io/trigger.x", "{type: memory, target: 1e3, metricType: AverageValue}", 1000, "AverageValue"},
		{"autoscale.io/trigger.x", "{type: memory, target: 1Gi, interval: 30s, timeout: 1s}", 1 << 30, "AverageValue"},
	} {
		got := wantResourceFaults(t, map[string]string{c.key: c.text, "autoscale.io/max-replicas": "10"})
		if len(got.Triggers) != 1 || got.Triggers[0].Target != c.target || got.Triggers[0].MetricType != c.metricType {
			t.Errorf("%s: %s: got %+v", c.key, c.text, got.Triggers)
		}
	}
}

func TestFaultsOfResources(t *testing.T) {
	const (
		cpuWants    = `want a percentage such as 70% of what the pods request, or a quantity such as 500m a pod`
		memoryWants = `want a percentage such as 70% of what the pods request, or a quantity such as 400Mi a pod`
		why         = `; cpu and memory say nothing of pods that are not there, so an event trigger has to tell when there is work`
	)
	for _, c := range []struct {
		name  string
		given map[string]string
		want  []string
	}{
		{"a number alone", only("cpu", "70"), []string{`autoscale.io/cpu: got "70", ` + cpuWants + `; a number alone needs metricType`}},
		{"no number", only("memory", "much"), []string{`autoscale.io/memory: got "much", ` + memoryWants}},
		{"nothing", only("cpu", ""), []string{`autoscale.io/cpu: got "", ` + cpuWants}},
		{"nothing of it", only("cpu", "0%"), []string{`autoscale.io/cpu: got "0%", ` + cpuWants}},
		{"infinity", only("cpu", "Inf%"), []string{`autoscale.io/cpu: got "Inf%", ` + cpuWants}},
		{"negative", only("cpu", "-1"), []string{`autoscale.io/cpu: got "-1", ` + cpuWants}},
		{"a mapping in the short form", only("cpu", "{target: 70%}"), []string{`autoscale.io/cpu: got "{target: 70%}", ` + cpuWants}},
		{"no target", only("trigger.x", "{type: cpu}"), []string{`autoscale.io/trigger.x: target: missing; ` + cpuWants}},
		{"an empty target", only("trigger.x", "{type: cpu, target: }"), []string{`autoscale.io/trigger.x: target: has no value; ` + cpuWants}},
		{"a list", only("trigger.x", "{type: cpu, target: [1]}"), []string{`autoscale.io/trigger.x: target: got a list, ` + cpuWants}},
		{"a quantity for a share", only("trigger.x", "{type: cpu, target: 500m, metricType: Utilization}"), []string{`autoscale.io/trigger.x: target: got "500m", want a percentage such as 70%, since metricType is Utilization`}},
		{"a share for a quantity", only("trigger.x", "{type: memory, value: 70%, metricType: AverageValue}"), []string{`autoscale.io/trigger.x: value: got "70%", want a quantity such as 400Mi, since metricType is AverageValue`}},
		{"another kind", only("trigger.x", "{type: cpu, target: 70%, metricType: Value}"), []string{`autoscale.io/trigger.x: metricType: got "Value", want one of Utilization, AverageValue`}},
		{"activation", only("trigger.x", "{type: cpu, target: 70%, activation: 5}"), []string{`autoscale.io/trigger.x: unknown parameter activation; want one of container, containerName, interval, metricType, target, timeout, type, value`}},
		{"misspelt", only("trigger.x", "{type: cpu, target: 70%, contaner: app}"), []string{`autoscale.io/trigger.x: unknown parameter contaner; did you mean container?`}},
		{"a share for an event source", with("trigger.x", "{type: queue, address: a, stream: b, target: 70%}"), []string{`autoscale.io/trigger.x: target: got "70%", want a number > 0`}},
		{"both forms", only("cpu", "70%", "trigger.cpu", "{type: cpu, target: 70%}"), []string{`autoscale.io/cpu: is the short form of autoscale.io/trigger.cpu, which is given too; want one of them`}},
		{"a guard", with("guard.x", "{type: cpu, limit: 90%}"), []string{`autoscale.io/guard.x: type: got "cpu", want a source outside of the workload's own pods`}},
		{"misspelt key", only("cpus", "70%", "cpu", "70%"), []string{`autoscale.io/cpus: unknown annotation autoscale.io/cpus; did you mean autoscale.io/cpu?`}},

		{"CM-09 zero", only("cpu", "70%", "min-replicas", "0"), []string{`autoscale.io/min-replicas: got "0", want at least 1` + why}},
		{"CM-09 zero with both", only("cpu", "70%", "trigger.m", "{type: memory, target: 1Gi}", "min-replicas", "0"), []string{`autoscale.io/min-replicas: got "0", want at least 1` + why}},
		{"an idle count", only("cpu", "70%", "min-replicas", "3", "idle-replicas", "1"), []string{`autoscale.io/idle-replicas: got "1", want none` + why}},
		{"zero at night", only("cpu", "70%", "schedule.night", "{start: 0 20 * * *, end: 0 6 * * *, min: 0}"), []string{`autoscale.io/schedule.night: min: got "0", want at least 1` + why}},
		{"zero with an event trigger", with("cpu", "70%", "min-replicas", "0"), nil},
		{"zero with an event trigger that has a fault", only("cpu", "70%", "min-replicas", "0", "trigger.x", "{type: que}"), []string{`autoscale.io/trigger.x: type: unknown type que; want one of clock, cpu, memory, queue`}},

		{"a formula beside", with("cpu", "70%", "formula", "{expression: 2 * orders, target: 1}"), nil},
		{"a formula over cpu", with("cpu", "70%", "formula", "{expression: orders + cpu, target: 1}"), []string{`autoscale.io/formula: expression: got "orders + cpu", want an expression over orders that gives a number (unknown name cpu)`}},
		{"a formula of nothing", only("cpu", "70%", "formula", "{expression: cpu, target: 1}"), []string{`autoscale.io/formula: there is no event trigger to combine; cpu and memory stay by themselves`}},
		{"a formula does not give cpu a target", with("trigger.x", "{type: cpu}", "formula", "{expression: orders, target: 1}"), []string{`autoscale.io/trigger.x: target: missing; ` + cpuWants}},
	} {
		t.Run(c.name, func(t *testing.T) { wantResourceFaults(t, c.given, c.want...) })
	}
	wantFaults(t, only("cpu", "70%"), `autoscale.io/cpu: unknown annotation autoscale.io/cpu`)
}

func TestShortFormIsATriggerOfThatName(t *testing.T) {
	got := wantResourceFaults(t, with("cpu", "70%", "memory", "400Mi"))
	var names []string
	for _, trigger := range got.Triggers {
		names = append(names, trigger.Name+" "+trigger.Type)
	}
	wantEqual(t, "triggers in order", names, []string{"cpu cpu", "memory memory", "orders queue"})
	wantEqual(t, "as the long form", got.Triggers[0].Equal(wantResourceFaults(t, only("trigger.cpu", "{type: cpu, target: 70, metricType: Utilization}")).Triggers[0]), true)
	wantEqual(t, "written", got.Annotations(), map[string]string{
		"autoscale.io/max-replicas": "10", "autoscale.io/trigger.cpu": "{target: 70%, type: cpu}", "autoscale.io/trigger.memory": "{target: 400Mi, type: memory}",
		"autoscale.io/trigger.orders": got.Triggers[2].String(),
	})
}

func TestTargetThatIsKeptElsewhere(t *testing.T) {
	const given = "{targetFrom: {configMap: c, key: k}, type: cpu}"
	w := wantResourceFaults(t, only("trigger.x", given))
	wantEqual(t, "text", w.Triggers[0].String(), given)
	typ, _ := withResources{}.TriggerType("cpu")
	for text, want := range map[string]annotations.Common{
		"70%":  {Type: "cpu", Target: 70, MetricType: "Utilization"},
		"500m": {Type: "cpu", Target: 0.5, MetricType: "AverageValue"},
	} {
		var got annotations.Common
		if _, problems := typ.Decode(&got, schema.Values{"type": {Text: "cpu"}, "target": {Text: text}}, nil); len(problems) > 0 || got != want {
			t.Errorf("%s: got %+v, %v", text, got, problems)
		}
	}
	wantResourceFaults(t, only("trigger.x", "{type: cpu, target: 5, metricTypeFromEnv: KIND}"))
}

// Whatever a program builds is read back as it was.
func TestRoundTripOfResources(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		name := []string{"cpu", "memory"}[r.IntN(2)]
		kind := []string{annotations.Utilization, annotations.AverageValue}[r.IntN(2)]
		target := math.Exp(r.Float64()*60 - 30)
		if r.IntN(2) == 0 {
			target = math.Ceil(target)
		}
		trigger := annotations.NewTrigger("x", name, target, map[string]string{"metricType": kind, "container": "app"})
		trigger.Interval = time.Duration(r.IntN(2)) * time.Minute
		w := annotations.New(1, 5, trigger)
		all := w.Annotations()
		got := annotations.Decode(all, withResources{})
		if len(got.Faults) > 0 || !got.Workload.Equal(w) || got.Workload.Triggers[0].Target != target || got.Workload.Triggers[0].MetricType != kind {
			t.Fatalf("seed %d: %+v\nwas written as %q\nand read as %+v, %s", seed, w, all, got.Workload, got.Faults)
		}
		wantEqual(t, "written again", got.Workload.Annotations(), all)
	}
}
