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
	name := d.name(key, triggerPrefix)
	typ, direct, refs, ok := d.source(key, text)
	if !ok {
		return
	}
	named := typ.rename(direct, refs)
	d.resources[key] = typ.Resource != ""
	if d.combined && typ.Resource == "" && named.spelling["target"] == "" {
		named.values["target"] = schema.Value{Text: "1"} // only the formula's counts
	}
	trigger := d.decodeSource(key, typ, named, d.result.Workload.Settings)
	trigger.Name = name
	d.result.Workload.Triggers = append(d.result.Workload.Triggers, trigger)
}

// limit is what a guard calls the target that it does not have.
const limit = "limit"

// guard reads a trigger that has a limit in place of target, activation and metricType.
func (d *decoder) guard(key, text string) {
	name := d.name(key, guardPrefix)
	typ, direct, refs, ok := d.source(key, text)
	if !ok {
		return
	}
	if typ.Resource != "" {
		d.fault(key, schema.Problem{Param: "type", Text: fmt.Sprintf("got %q, want a source outside of the workload's own pods", direct["type"].Text)})
		return
	}
	typ.Aliases = maps.Clone(typ.Aliases)
	if typ.Aliases == nil {
		typ.Aliases = map[string]Alias{}
	}
	typ.Aliases[limit] = Alias{For: "target"}
	named := typ.rename(direct, refs)
	_, hasLimit := direct[limit]
	for _, param := range []string{"target", "activation", "metricType"} {
		if written := named.spelling[param]; written != "" && written != limit && !(param == "target" && hasLimit) {
			d.fault(key, schema.Problem{Param: written, Text: "a guard has a limit in place of it"})
			delete(named.values, param)
			delete(named.refs, param)
		}
	}
	named.spelling["target"] = limit
	settings := d.result.Workload.Settings
	settings.MinReplicas = max(settings.MinReplicas, 1) // what is said about waking does not concern a guard
	trigger := d.decodeSource(key, typ, named, settings)
	trigger.Name = name
	d.result.Workload.Guards = append(d.result.Workload.Guards, trigger)
}

func (d *decoder) name(key, family string) string {
	name := strings.TrimPrefix(key, Prefix+family)
	if len(validation.IsDNS1123Label(name)) > 0 {
		d.fault(key, schema.Problem{Text: fmt.Sprintf("the name %q is no DNS label; want lower case letters, digits and '-', at most 63", name)})
	}
	return name
}

// source reads the mapping of a trigger or guard and finds its type; ok is false when that cannot be found, so that nothing more can be said.
func (d *decoder) source(key, text string) (typ TriggerType, direct schema.Values, refs schema.Refs, ok bool) {
	values, err := schema.Parse(text)
	if err != nil {
		d.fault(key, schema.Problem{Text: err.Error()})
		return typ, nil, nil, false
	}
	direct, refs, problems := schema.SplitRefs(values)
	d.fault(key, problems...)
	d.refNames(key, refs)
	if _, indirect := refs["type"]; indirect {
		d.fault(key, schema.Problem{Param: "type", Text: "cannot be given by reference; want one of " + strings.Join(d.types.TriggerTypeNames(), ", ")})
		return typ, nil, nil, false
	}
	typ, ok = d.typeOf(key, direct)
	return typ, direct, refs, ok
}

// refNames reports references to names that no object can have, such as one with a namespace before it. What was given is not quoted, since it may be a secret that
// stands in the wrong place.
func (d *decoder) refNames(key string, refs schema.Refs) {
	for _, param := range refs.Paths() {
		ref, kind := refs[param], "secret"
		if ref.ConfigMap != "" {
			kind = "configMap"
		}
		if name := ref.Secret + ref.ConfigMap; name != "" && len(validation.IsDNS1123Subdomain(name)) > 0 {
			d.fault(key, schema.Problem{Param: param + "From", Text: kind + " is no name of an object; want one in the workload's own namespace, without the namespace before it: lower case letters, digits, '-' and '.'"})
		}
	}
}

// decodeSource decodes what a trigger or guard of a type says, and reports what is wrong with it.
func (d *decoder) decodeSource(key string, typ TriggerType, named renamed, settings Settings) Trigger {
	d.fault(key, named.problems...)
	trigger := Trigger{Given: named.values, Refs: named.refs}
	params, problems := typ.Decode(&trigger.Common, trigger.Given, trigger.Refs)
	d.fault(key, named.asWritten(problems)...)
	if len(problems) == 0 && typ.Check != nil {
		problems, warnings := typ.Check(CheckInput{settings, trigger.Common, params, trigger.Refs})
		d.fault(key, named.asWritten(problems)...)
		d.warn(key, named.asWritten(warnings)...)
	}
	return trigger
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
		case t.isCommon(path):
			host[path] = value
		case t.has(path):
			own[path] = value
		default:
			problems = append(problems, t.unknown(path, value.Null))
		}
	}
	for path, ref := range refs {
		switch {
		case t.isCommon(path):
			hostRefs[path] = ref
		case t.has(path):
			ownRefs[path] = ref
		default:
			problems = append(problems, t.unknown(path, false))
		}
	}
	params := t.Params.New()
	problems = append(problems, t.decodeCommon(common, host, hostRefs)...)
	problems = append(problems, t.Params.Decode(own, ownRefs, params)...)
	slices.SortFunc(problems, func(a, b schema.Problem) int { return strings.Compare(a.String(), b.String()) })
	return params, problems
}

func (t TriggerType) isCommon(path string) bool {
	_, ok := t.common().Field(path)
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
	return schema.Unknowns{t.common(), t.Params}.Problem(path, bare, aliases...)
}
