package annotations

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"autoscale.io/annotations/schema"
)

// The kinds of target that a cpu or memory trigger has.
const (
	// Utilization is a percentage of what the pods request.
	Utilization = "Utilization"
	// AverageValue is an amount that a pod is meant to use.
	AverageValue = "AverageValue"
)

// resourceCommon is Common for cpu and memory, with other bounds. The target is a number only once decodeTarget has read it; an activation they
// have not, since they wake nothing.
type resourceCommon struct {
	Type       string  `name:"type" required:"true"`
	Target     float64 `name:"target" required:"true" above:"0"`
	Activation float64
	MetricType string        `name:"metricType" enum:"Utilization,AverageValue"`
	Interval   time.Duration `name:"interval" min:"1s" max:"24h"`
	Timeout    time.Duration `name:"timeout" above:"0s" max:"1m"`
}

var resourceSchema = schema.For[resourceCommon]()

// ResourceOf is the resource of the workload's own pods that a trigger of this type measures, or empty. The names are the same, and are also those of
// the short annotations.
func ResourceOf(name string) corev1.ResourceName {
	switch r := corev1.ResourceName(name); r {
	case corev1.ResourceCPU, corev1.ResourceMemory:
		return r
	}
	return ""
}

func shorthands() []string {
	return []string{string(corev1.ResourceCPU), string(corev1.ResourceMemory)}
}

func (t TriggerType) common() *schema.Schema {
	if t.Resource != "" {
		return resourceSchema
	}
	return commonSchema
}

// shorthand reads a trigger from its target alone. Its name is that of the resource.
func (d *decoder) shorthand(key, text string) {
	name := strings.TrimPrefix(key, Prefix)
	typ, ok := d.types.TriggerType(name)
	if !ok || typ.Resource == "" {
		d.fault(key, schema.Problem{Text: "unknown annotation " + key})
		return
	}
	d.resources[key] = true
	named := typ.rename(schema.Values{"target": {Text: text}}, nil)
	named.spelling["target"] = "" // the fault is one of the whole annotation
	trigger := d.decodeSource(key, typ, named, d.result.Workload.Settings)
	trigger.Name = name
	d.result.Workload.Triggers = append(d.result.Workload.Triggers, trigger)
}

// namesOnce reports a trigger that has the name of a short annotation beside it.
func (d *decoder) namesOnce(triggers, short []string) {
	for _, key := range short {
		if long := Prefix + triggerPrefix + strings.TrimPrefix(key, Prefix); slices.Contains(triggers, long) {
			d.fault(key, schema.Problem{Text: "is the short form of " + long + ", which is given too; want one of them"})
		}
	}
}

// enoughTriggers reports that there is no trigger, or none that could ever end or begin a zero or idle count. triggers are the keys of all triggers.
func (d *decoder) enoughTriggers(triggers []string) {
	if len(triggers) == 0 {
		d.fault(Prefix+"trigger.<name>", schema.Problem{Text: "missing; want at least one trigger"})
		return
	}
	for _, key := range triggers {
		if !d.resources[key] {
			return
		}
	}
	const why = "; cpu and memory say nothing of pods that are not there, so an event trigger has to tell when there is work"
	w := &d.result.Workload
	if d.badBounds || len(triggers) == 0 || w.JobMode == JobSpawn {
		return
	}
	if w.MinReplicas == 0 {
		d.fault(Prefix+"min-replicas", schema.Problem{Text: `got "0", want at least 1` + why})
	}
	if w.IdleReplicas != nil {
		d.fault(Prefix+"idle-replicas", schema.Problem{Text: fmt.Sprintf("got \"%d\", want none", *w.IdleReplicas) + why})
	}
	for _, s := range w.Schedules {
		if s.Min != nil && *s.Min == 0 {
			d.fault(Prefix+schedulePrefix+s.Name, schema.Problem{Param: "min", Text: `got "0", want at least 1` + why})
		}
	}
}

// decodeCommon fills common from the parameters of the host.
func (t TriggerType) decodeCommon(common *Common, host schema.Values, refs schema.Refs) []schema.Problem {
	if t.Resource == "" {
		return commonSchema.Decode(host, refs, common)
	}
	host = maps.Clone(host)
	target, metricType, problem := t.decodeTarget(host, refs)
	if _, indirect := refs["target"]; !indirect {
		host["target"] = schema.Value{Text: "1"}
	}
	var c resourceCommon
	problems := resourceSchema.Decode(host, refs, &c)
	if problem != "" {
		problems = append(problems, schema.Problem{Param: "target", Text: problem})
	}
	c.Target = target
	if metricType != "" {
		c.MetricType = metricType
	}
	*common = Common(c)
	return problems
}

// decodeTarget reads a percentage or a quantity, and says what kind of target that is. A number alone could be either, so metricType has to
// say; one that is kept elsewhere, or is wrong by itself, gets the benefit of the doubt.
func (t TriggerType) decodeTarget(host schema.Values, refs schema.Refs) (target float64, metricType, problem string) {
	given, direct := host["target"]
	kind := host["metricType"].Text
	_, indirect := refs["metricType"]
	_, elsewhere := refs["target"]
	example := "500m"
	if t.Resource == corev1.ResourceMemory {
		example = "400Mi"
	}
	share, amount := "a percentage such as 70%", "a quantity such as "+example
	want := share + " of what the pods request, or " + amount + " a pod"
	switch {
	case elsewhere:
		return 0, "", ""
	case !direct:
		return 0, "", "missing; want " + want
	case given.Null:
		return 0, "", "has no value; want " + want
	case given.List != nil:
		return 0, "", "got a list, want " + want
	}
	got := fmt.Sprintf("got %q, want ", schema.Short(given.Text))
	number, unit, ok := amountOf(given.Text)
	switch {
	case !ok:
		return 0, "", got + want
	case unit == Utilization && kind == AverageValue:
		return 0, "", got + amount + ", since metricType is " + kind
	case unit == AverageValue && kind == Utilization:
		return 0, "", got + share + ", since metricType is " + kind
	case unit != "":
		return number, unit, ""
	case kind == "" && !indirect:
		return 0, "", got + want + "; a number alone needs metricType"
	}
	return number, "", ""
}

// amountOf reads "70%" (Utilization), "500m" (AverageValue) or "70", which could be either. ok is false for anything that is not a number > 0.
func amountOf(text string) (number float64, unit string, ok bool) {
	bare, percent := strings.CutSuffix(text, "%")
	number, err := strconv.ParseFloat(bare, 64)
	if percent {
		unit = Utilization
	} else if err != nil {
		quantity, wrong := resource.ParseQuantity(text)
		number, unit, err = quantity.AsApproximateFloat64(), AverageValue, wrong
	}
	return number, unit, err == nil && number > 0 && !math.IsInf(number, 0)
}

// resourceTarget writes the target of a cpu or memory trigger such that amountOf reads it back; alone says that metricType has to stand beside it.
func (c Common) resourceTarget() (text string, alone bool) {
	plain := strconv.FormatFloat(c.Target, 'g', -1, 64)
	if c.MetricType == Utilization {
		return plain + "%", false
	}
	quantity := resource.NewMilliQuantity(int64(math.Min(c.Target*1000, math.MaxInt64/2)), resource.DecimalSI)
	if ResourceOf(c.Type) == corev1.ResourceMemory {
		quantity = resource.NewQuantity(int64(math.Min(c.Target, math.MaxInt64/2)), resource.BinarySI)
	}
	if number, unit, ok := amountOf(quantity.String()); ok && unit == AverageValue && number == c.Target {
		return quantity.String(), false
	}
	return plain, true
}

// withTarget puts the target of a cpu or memory trigger among its parameters as a person would write it.
func (t Trigger) withTarget(values schema.Values) {
	if ResourceOf(t.Type) == "" || t.Target <= 0 || t.Refs["target"] != (schema.Ref{}) || t.MetricType == "" {
		return
	}
	text, alone := t.resourceTarget()
	values["target"] = schema.Value{Text: text}
	if _, indirect := t.Refs["metricType"]; indirect {
		return
	}
	delete(values, "metricType")
	if alone {
		values["metricType"] = schema.Value{Text: t.MetricType}
	}
}
