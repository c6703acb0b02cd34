package annotations

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"autoscale.io/annotations/schema"
)

func (d *decoder) trigger(key, text string) {
	name := strings.TrimPrefix(key, Prefix+triggerPrefix)
	if len(validation.IsDNS1123Label(name)) > 0 {
		d.fault(key, schema.Problem{Text: fmt.Sprintf("the name %q is no DNS label; want lower case letters, digits and '-', at most 63", name)})
	}
	values, err := schema.Parse(text)
	if err != nil {
		d.fault(key, schema.Problem{Text: err.Error()})
		return
	}
	direct, refs, problems := schema.SplitRefs(values)
	d.fault(key, problems...)
	if _, indirect := refs["type"]; indirect {
		d.fault(key, schema.Problem{Param: "type", Text: "cannot be given by reference; want one of " + strings.Join(d.types.TriggerTypeNames(), ", ")})
		return
	}
	typ, ok := d.typeOf(key, direct)
	if !ok {
		return
	}
	named := typ.rename(direct, refs)
	d.fault(key, named.problems...)
	trigger := Trigger{Name: name, Given: named.values, Refs: named.refs}
	params, problems := typ.Decode(&trigger.Common, trigger.Given, trigger.Refs)
	d.fault(key, named.asWritten(problems)...)
	if len(problems) == 0 && typ.Check != nil {
		problems, warnings := typ.Check(CheckInput{d.result.Workload.Settings, trigger.Common, params, trigger.Refs})
		d.fault(key, named.asWritten(problems)...)
		d.warn(key, named.asWritten(warnings)...)
	}
	d.result.Workload.Triggers = append(d.result.Workload.Triggers, trigger)
}

func (d *decoder) typeOf(key string, direct schema.Values) (TriggerType, bool) {
	names := d.types.TriggerTypeNames()
	given := direct["type"]
	if typ, ok := d.types.TriggerType(given.Text); ok && given.Text != "" {
		return typ, true
	}
	text := "missing; want one of " + strings.Join(names, ", ")
	for _, path := range direct.Paths() {
		if given.Text == "" && path != "type" && schema.Nearest(path, []string{"type"}) != "" {
			text += "; did you mean it by " + schema.Plain(path) + "?"
		}
	}
	if given.Text != "" {
		text = schema.Unknown("type", given.Text, names)
		if schema.Nearest(given.Text, names) == "" {
			text += "; want one of " + strings.Join(names, ", ")
		}
	}
	d.fault(key, schema.Problem{Param: "type", Text: text})
	return TriggerType{}, false
}

// renamed are the parameters of a trigger under their proper names.
type renamed struct {
	values schema.Values
	refs   schema.Refs
	// spelling maps a proper name to what was written.
	spelling map[string]string
	problems []schema.Problem
}

// rename gives aliases their proper names and adds what they and the spelling of the type imply.
func (t TriggerType) rename(direct schema.Values, refs schema.Refs) renamed {
	n := renamed{values: schema.Values{}, refs: schema.Refs{}, spelling: map[string]string{}}
	implied := map[string]string{}
	maps.Copy(implied, t.Implied)
	for _, path := range slices.Concat(direct.Paths(), refs.Paths()) {
		proper := t.properName(path)
		if first, twice := n.spelling[proper]; twice {
			n.problems = append(n.problems, schema.Problem{Param: proper, Text: twiceText(proper, first, path)})
			continue
		}
		n.spelling[proper] = path
		maps.Copy(implied, t.Aliases[path].Implies)
		if value, ok := direct[path]; ok {
			n.values[proper] = value
		} else {
			n.refs[proper] = refs[path]
		}
	}
	for name, text := range implied {
		if _, given := n.spelling[name]; !given {
			n.values[name] = schema.Value{Text: text}
		}
	}
	n.values["type"] = schema.Value{Text: t.Name}
	return n
}

// asWritten puts the name that the person wrote into problems of a parameter.
func (n renamed) asWritten(problems []schema.Problem) []schema.Problem {
	for i, p := range problems {
		if written, ok := n.spelling[p.Param]; ok {
			problems[i].Param = written
		}
	}
	return problems
}

func (t TriggerType) properName(path string) string {
	if alias, ok := t.Aliases[path]; ok {
		return alias.For
	}
	if f, ok := t.Params.Field(path); ok {
		return f.Path
	}
	return path
}

func twiceText(proper, first, second string) string {
	if first == second {
		return "given both directly and by reference; want one of them"
	}
	return fmt.Sprintf("given twice, as %s and as %s; want %s alone", first, second, proper)
}

// Decode fills common and returns a pointer to a new struct of the type's own parameters. Parameters in refs count as given and
// keep their zero value.
func (t TriggerType) Decode(common *Common, values schema.Values, refs schema.Refs) (any, []schema.Problem) {
	host, own := schema.Values{}, schema.Values{}
	hostRefs, ownRefs := schema.Refs{}, schema.Refs{}
	var problems []schema.Problem
	for path, value := range values {
		switch {
		case isCommon(path):
			host[path] = value
		case t.has(path):
			own[path] = value
		default:
			problems = append(problems, t.unknown(path, value.Null))
		}
	}
	for path, ref := range refs {
		switch {
		case isCommon(path):
			hostRefs[path] = ref
		case t.has(path):
			ownRefs[path] = ref
		default:
			problems = append(problems, t.unknown(path, false))
		}
	}
	params := t.Params.New()
	problems = append(problems, commonSchema.Decode(host, hostRefs, common)...)
	problems = append(problems, t.Params.Decode(own, ownRefs, params)...)
	slices.SortFunc(problems, func(a, b schema.Problem) int { return strings.Compare(a.String(), b.String()) })
	return params, problems
}

func isCommon(path string) bool {
	_, ok := commonSchema.Field(path)
	return ok
}

func (t TriggerType) has(path string) bool {
	_, ok := t.Params.Field(path)
	return ok
}

func (t TriggerType) unknown(path string, bare bool) schema.Problem {
	aliases := slices.Sorted(maps.Keys(t.Aliases))
	for _, alias := range aliases {
		if inner, ok := strings.CutPrefix(path, alias+"."); ok {
			// The alias has a mapping for its value; the words are the same as under the proper name.
			path = t.Aliases[alias].For + "." + inner
			break
		}
	}
	return schema.Unknowns{commonSchema, t.Params}.Problem(path, bare, aliases...)
}
