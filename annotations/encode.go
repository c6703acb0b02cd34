package annotations

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/annotations/schema"
)

// New returns a workload with these bounds and triggers and the default of everything else. A workload that is written as a
// struct has no cooldown and the floor 0, since those are values that a person can mean.
func New(minReplicas, maxReplicas int32, triggers ...Trigger) Workload {
	var w Workload
	// The problem of the missing ceiling does not keep the defaults from being filled in.
	_ = settingsSchema.Decode(schema.Values{}, nil, &w.Settings)
	w.MinReplicas, w.MaxReplicas, w.Triggers = minReplicas, maxReplicas, triggers
	return w
}

// NewTrigger returns a trigger of a type with its target and the defaults of the other common parameters. params holds the parameters of the
// type and any common ones by the names of the documentation, nested ones with dots (tls.serverName); pFromEnv names a variable for p.
// Nothing is checked here; [Decode] lists what is wrong. The target of cpu and memory is cores or bytes a pod, or with the metricType Utilization a
// percentage of what the pods request.
func NewTrigger(name, typ string, target float64, params map[string]string) Trigger {
	values := schema.Values{}
	for param, text := range params {
		values[param] = schema.Value{Text: text}
	}
	direct, refs, _ := schema.SplitRefs(values)
	t := Trigger{Name: name, Given: direct, Refs: refs}
	host := schema.Values{}
	for path, value := range direct {
		if _, common := commonSchema.Field(path); common {
			host[path] = value
		}
	}
	// A common parameter that does not decode stays in Given and is a fault when the annotation is read.
	_ = commonSchema.Decode(host, nil, &t.Common)
	if ResourceOf(typ) != "" && host["metricType"].Text == Utilization {
		t.MetricType = Utilization
	}
	t.Type, t.Target = typ, target
	return t
}

// Annotations returns the annotations that ask for the workload: what differs from the defaults, and one annotation a trigger on one line of
// YAML. It is the reverse of [Decode], which finds no fault in it if it found none in the workload. Of two triggers of one name the last is
// written.
func (w Workload) Annotations() map[string]string {
	all := w.settingsTexts()
	for _, t := range w.Triggers {
		all[Prefix+triggerPrefix+t.Name] = t.String()
	}
	for _, g := range w.Guards {
		values, refs := g.parameters(), maps.Clone(g.Refs)
		if value, ok := values["target"]; ok {
			delete(values, "target")
			values[limit] = value
		}
		if ref, ok := refs["target"]; ok {
			delete(refs, "target")
			refs[limit] = ref
		}
		all[Prefix+guardPrefix+g.Name] = schema.Format(values, refs)
	}
	return all
}

func (w Workload) settingsTexts() map[string]string {
	texts := map[string]string{}
	for name, value := range settingsSchema.Encode(&w.Settings) {
		texts[Prefix+name] = value.Text
		if value.List != nil {
			texts[Prefix+name] = strings.Join(value.List, ",")
		}
	}
	if w.Fallback != nil {
		texts[Prefix+fallbackKey] = schema.Format(fallbackSchema.Encode(w.Fallback), nil)
	}
	if w.Formula != nil {
		texts[Prefix+formulaKey] = schema.Format(formulaSchema.Encode(w.Formula), nil)
	}
	if w.JobStrategy != nil {
		texts[Prefix+strategyKey] = schema.Format(strategySchema.Encode(w.JobStrategy), nil)
	}
	if w.JobMode == JobSpawn {
		texts[Prefix+"min-replicas"] = strconv.Itoa(int(w.MinReplicas)) // the default is another one
	}
	for _, s := range w.Schedules {
		texts[Prefix+schedulePrefix+s.Name] = schema.Format(scheduleSchema.Encode(&s), nil)
	}
	return texts
}

// ApplyTo makes the workload the only one that the object's annotations ask for. Other annotations, the autoscaler's own state and
// status among them, stay. The object's present map is not written to.
func (w Workload) ApplyTo(obj metav1.Object) {
	kept := maps.Clone(obj.GetAnnotations())
	maps.DeleteFunc(kept, func(key, _ string) bool { return configures(key) })
	if kept == nil {
		kept = map[string]string{}
	}
	maps.Copy(kept, w.Annotations())
	obj.SetAnnotations(kept)
}

// Equal says whether both ask for the same, however it is written.
func (w Workload) Equal(o Workload) bool {
	if !maps.Equal(w.settingsTexts(), o.settingsTexts()) {
		return false
	}
	byName := func(a, b Trigger) int { return strings.Compare(a.Name, b.Name) }
	same := func(a, b []Trigger) bool {
		return slices.EqualFunc(slices.SortedStableFunc(slices.Values(a), byName), slices.SortedStableFunc(slices.Values(b), byName), Trigger.Equal)
	}
	return same(w.Triggers, o.Triggers) && same(w.Guards, o.Guards)
}

// String is the annotation's text.
func (t Trigger) String() string { return schema.Format(t.parameters(), t.Refs) }

// Equal says whether both triggers read the same source in the same way, so that a scaler opened for one serves the other.
func (t Trigger) Equal(o Trigger) bool {
	sameValue := func(a, b schema.Value) bool {
		return a.Text == b.Text && a.Null == b.Null && (a.List == nil) == (b.List == nil) && slices.Equal(a.List, b.List)
	}
	return t.Name == o.Name && maps.Equal(t.Refs, o.Refs) && maps.EqualFunc(t.parameters(), o.parameters(), sameValue)
}

// parameters are the direct parameters, in which Common overrules Given: a program may have changed it since the trigger was decoded. Defaults
// are left out; a common parameter of Given that is no value of its kind stays, for Decode to find.
func (t Trigger) parameters() schema.Values {
	host := commonSchema.Encode(&t.Common)
	values := schema.Values{}
	for path, value := range t.Given {
		if f, common := commonSchema.Field(path); !common || !f.Accepts(value) {
			values[path] = value
		}
	}
	for path, value := range host {
		if _, indirect := t.Refs[path]; !indirect {
			values[path] = value
		}
	}
	t.withTarget(values)
	return values
}
