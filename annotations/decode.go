package annotations

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"autoscale.io/annotations/schema"
)

var (
	settingsSchema = schema.For[Settings]()
	commonSchema   = schema.For[Common]()
	fallbackSchema = schema.For[Fallback]()
	formulaSchema  = schema.For[Formula]()
	scheduleSchema = schema.For[Schedule]()
	strategySchema = schema.For[JobStrategy]()
)

// SettingsFields returns the annotations with fixed keys, for the documentation.
func SettingsFields() []schema.Field { return settingsSchema.Fields() }

// CommonFields returns the parameters that every trigger has, for the documentation.
func CommonFields() []schema.Field { return commonSchema.Fields() }

// Result is what Decode found.
type Result struct {
	// Workload is complete only when there are no Faults.
	Workload Workload
	Faults   Faults
	// Warnings are about things that are allowed and probably not meant.
	Warnings Faults
}

// Decode reads all annotations under the prefix. It is strict: an unknown key or parameter is a fault. Faults come all at once, in order, and
// never quote a secret.
func Decode(annotations map[string]string, types Types) Result {
	d := decoder{types: types, resources: map[string]bool{}}
	settings := schema.Values{}
	var triggers, guards, schedules []string
	var short []string // keys of triggers that consist of a target
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		name := strings.TrimPrefix(key, Prefix)
		switch {
		case !configures(key):
		case strings.HasPrefix(name, triggerPrefix):
			triggers = append(triggers, key)
		case strings.HasPrefix(name, guardPrefix):
			guards = append(guards, key)
		case strings.HasPrefix(name, schedulePrefix):
			schedules = append(schedules, key)
		case ResourceOf(name) != "":
			short = append(short, key)
		case d.mapping(name, annotations[key]):
		case !known(name):
			d.fault(key, unknownKey(name))
		default:
			settings[name] = schema.Value{Text: annotations[key]}
		}
	}
	_, d.combined = annotations[Prefix+formulaKey]
	d.settings(settings)
	for _, key := range triggers {
		d.trigger(key, annotations[key])
	}
	for _, key := range short {
		d.shorthand(key, annotations[key])
	}
	slices.SortStableFunc(d.result.Workload.Triggers, func(a, b Trigger) int { return strings.Compare(a.Name, b.Name) })
	for _, key := range guards {
		d.guard(key, annotations[key])
	}
	for _, key := range schedules {
		d.schedule(key, annotations[key])
	}
	d.namesOnce(triggers, short)
	d.enoughTriggers(slices.Concat(triggers, short))
	d.formula(triggers)
	d.jobs(annotations)
	d.result.Faults, d.result.Warnings = d.result.Faults.sorted(), d.result.Warnings.sorted()
	return d.result
}

type decoder struct {
	types  Types
	result Result
	// combined says that a formula is set, so that triggers need no target of their own.
	combined bool
	// resources holds the keys of cpu and memory triggers.
	resources map[string]bool
	// badBounds says that min-replicas or max-replicas is not known, so that nothing can be compared with them.
	badBounds bool
}

func (d *decoder) fault(key string, problems ...schema.Problem) {
	for _, problem := range problems {
		d.result.Faults = append(d.result.Faults, Fault{key, problem})
	}
}

func (d *decoder) warn(key string, problems ...schema.Problem) {
	for _, problem := range problems {
		d.result.Warnings = append(d.result.Warnings, Fault{key, problem})
	}
}

func known(name string) bool {
	_, ok := settingsSchema.Field(name)
	return ok
}

// unknownKey suggests the key that a misspelt one may have meant; a misspelt trigger keeps its own name. name lacks the prefix, or any two
// keys would look alike.
func unknownKey(name string) schema.Problem {
	text := "unknown annotation " + schema.Plain(Prefix+name)
	if near := schema.Nearest(name, slices.Concat(settingsSchema.Names(), []string{fallbackKey, formulaKey, strategyKey}, shorthands())); near != "" {
		return schema.Problem{Text: text + "; did you mean " + Prefix + near + "?"}
	}
	kind, label, found := strings.Cut(name, ".")
	near := schema.Nearest(kind, []string{"guard", "schedule", "trigger"})
	if near == "" {
		return schema.Problem{Text: text}
	}
	if !found || label == "" {
		label = "<name>"
	}
	return schema.Problem{Text: text + "; did you mean " + Prefix + near + "." + schema.Plain(label) + "?"}
}

func (d *decoder) settings(values schema.Values) {
	s := &d.result.Workload.Settings
	bad := map[string]bool{}
	for _, problem := range settingsSchema.Decode(values, nil, s) {
		bad[problem.Param] = true
		d.fault(Prefix+problem.Param, schema.Problem{Text: problem.Text})
	}
	if _, given := values["min-replicas"]; !given && s.JobMode == JobSpawn {
		s.MinReplicas = 0
	}
	d.badBounds = bad["max-replicas"] || bad["min-replicas"]
	if !d.badBounds && s.MinReplicas > s.MaxReplicas {
		d.badBounds = true
		d.fault(Prefix+"min-replicas", schema.Problem{Text: fmt.Sprintf("got \"%d\", want at most max-replicas, which is %d", s.MinReplicas, s.MaxReplicas)})
	}
	if s.IdleReplicas != nil && !bad["min-replicas"] && *s.IdleReplicas >= s.MinReplicas {
		d.fault(Prefix+"idle-replicas", schema.Problem{Text: fmt.Sprintf("got \"%d\", want less than min-replicas, which is %d", *s.IdleReplicas, s.MinReplicas)})
	}
	if s.PauseUntil != nil && s.Pause.Mode == PauseOff && !bad["pause"] {
		d.warn(Prefix+"pause-until", schema.Problem{Text: "has no effect without " + Prefix + "pause"})
	}
	if s.Class != "" && len(validation.IsDNS1123Label(s.Class)) > 0 {
		d.fault(Prefix+"class", schema.Problem{Text: fmt.Sprintf("got %q, want a DNS label", s.Class)})
	}
}
