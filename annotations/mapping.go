package annotations

import (
	"fmt"
	"strings"

	"autoscale.io/annotations/formula"
	"autoscale.io/annotations/schedule"
	"autoscale.io/annotations/schema"
)

// Mapping is an annotation whose value is one mapping of fixed parameters, for the documentation.
type Mapping struct {
	// Key is the whole key, with <name> where the user's name stands.
	Key    string
	Fields []schema.Field
}

// Mappings returns the annotations with a mapping beside those of triggers and guards.
func Mappings() []Mapping {
	return []Mapping{
		{Prefix + fallbackKey, fallbackSchema.Fields()},
		{Prefix + formulaKey, formulaSchema.Fields()},
		{Prefix + schedulePrefix + "<name>", scheduleSchema.Fields()},
		{Prefix + strategyKey, strategySchema.Fields()},
	}
}

// mapping decodes the annotations whose value is a mapping and that have one fixed key each. It is false for any other.
func (d *decoder) mapping(name, text string) bool {
	w, key := &d.result.Workload, Prefix+name
	switch name {
	case fallbackKey:
		w.Fallback = decodeMapping[Fallback](d, fallbackSchema, key, text)
	case formulaKey:
		w.Formula = decodeMapping[Formula](d, formulaSchema, key, text)
	case strategyKey:
		w.JobStrategy = d.jobStrategy(key, text)
	default:
		return false
	}
	return true
}

// decodeMapping decodes a mapping of fixed parameters, or reports what is wrong with it and returns nil.
func decodeMapping[T any](d *decoder, s *schema.Schema, key, text string) *T {
	values, err := schema.ParseAs(exampleOf(s), text)
	if err != nil {
		d.fault(key, schema.Problem{Text: err.Error()})
		return nil
	}
	var decoded T
	problems := s.Decode(values, nil, &decoded)
	d.fault(key, problems...)
	if len(problems) > 0 {
		return nil
	}
	return &decoded
}

// exampleOf has what must be given: {expression: '…', target: …}. A text has quotes, which characters such as ? and , need.
func exampleOf(s *schema.Schema) string {
	var parts []string
	for _, f := range s.Fields() {
		switch {
		case !f.Required:
		case f.Want() == "a text":
			parts = append(parts, f.Path+": '…'")
		default:
			parts = append(parts, f.Path+": …")
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// schedule reads a window and compares its bounds, filled in with those of always, with each other.
func (d *decoder) schedule(key, text string) {
	name := d.name(key, schedulePrefix)
	s := decodeMapping[Schedule](d, scheduleSchema, key, text)
	if s == nil {
		return
	}
	s.Name = name
	for _, part := range []struct {
		param, text string
		check       func(string) error
	}{{"start", s.Start, schedule.CheckCron}, {"end", s.End, schedule.CheckCron}, {"timezone", s.Timezone, schedule.CheckZone}} {
		if err := part.check(part.text); err != nil {
			want := "a cron expression of five fields such as 0 8 * * 1-5"
			if part.param == "timezone" {
				want = strings.TrimPrefix(err.Error(), "want ")
			} else {
				want += " (" + err.Error() + ")"
			}
			d.fault(key, schema.Problem{Param: part.param, Text: fmt.Sprintf("got %q, want %s", part.text, want)})
		}
	}
	d.scheduleBounds(key, s)
	d.result.Workload.Schedules = append(d.result.Workload.Schedules, *s)
}

func (d *decoder) scheduleBounds(key string, s *Schedule) {
	switch {
	case s.Start == s.End:
		d.fault(key, schema.Problem{Param: "end", Text: "is the same as start, so that the window never opens"})
	case !schedule.Opens(s.Start, s.End):
		d.fault(key, schema.Problem{Param: "end", Text: fmt.Sprintf("got %q, which comes at each start, so that the window never opens; want an end after a start", s.End)})
	}
	if s.Min == nil && s.Max == nil {
		d.fault(key, schema.Problem{Text: "has neither min nor max; want at least one of them"})
		return
	}
	if d.badBounds {
		return
	}
	least, most := d.result.Workload.MinReplicas, d.result.Workload.MaxReplicas
	leastName, mostName := "min-replicas", "max-replicas"
	if s.Min != nil {
		least, leastName = *s.Min, "min"
	}
	if s.Max != nil {
		most, mostName = *s.Max, "max"
	}
	if least > most {
		d.fault(key, schema.Problem{Text: fmt.Sprintf("%s, which is %d, is more than %s, which is %d", leastName, least, mostName, most)})
	}
}

// FormulaName is how the result of a formula is called where triggers have their names.
const FormulaName = "formula"

// formula compiles the formula over the triggers of these keys.
func (d *decoder) formula(triggers []string) {
	f := d.result.Workload.Formula
	if f == nil {
		return
	}
	names := make([]string, 0, len(triggers))
	variables := make([]string, 0, len(triggers))
	for _, key := range triggers {
		name := strings.TrimPrefix(key, Prefix+triggerPrefix)
		if !d.resources[key] {
			names, variables = append(names, name), append(variables, formula.Variable(name))
		}
		if name == FormulaName {
			d.fault(key, schema.Problem{Text: "this name is that of the formula's result; want another one"})
		}
	}
	if len(names) == 0 && len(d.resources) > 0 {
		d.fault(Prefix+formulaKey, schema.Problem{Text: "there is no event trigger to combine; cpu and memory stay by themselves"})
		return
	}
	if _, err := formula.Compile(f.Expression, names); err != nil {
		d.fault(Prefix+formulaKey, schema.Problem{Param: "expression", Text: fmt.Sprintf("got %q, want an expression over %s that gives a number (%v)",
			f.Expression, strings.Join(variables, ", "), err)})
	}
}
