package schema

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Ref says where the value of a parameter is kept: exactly one of Secret, ConfigMap and Env is set.
type Ref struct {
	// Secret or ConfigMap is the name of an object in the workload's namespace, and Key one of its keys.
	Secret    string
	ConfigMap string
	Key       string
	// Env is the name of a variable of the workload's own container.
	Env string
}

// String names the place for an error: "key password of Secret redis".
func (r Ref) String() string {
	switch {
	case r.Secret != "":
		return fmt.Sprintf("key %s of Secret %s", r.Key, r.Secret)
	case r.ConfigMap != "":
		return fmt.Sprintf("key %s of ConfigMap %s", r.Key, r.ConfigMap)
	}
	return "variable " + r.Env
}

// Refs maps the paths of parameters to the places of their values.
type Refs map[string]Ref

// Paths returns the paths in order.
func (r Refs) Paths() []string { return slices.Sorted(maps.Keys(r)) }

// SplitRefs takes the indirect parameters (pFrom, pFromEnv) out of values and returns them by the name p, with what is wrong with them.
// values itself is left as it is.
func SplitRefs(values Values) (Values, Refs, []Problem) {
	direct, refs := Values{}, Refs{}
	from := map[string]Values{}
	var problems []Problem
	for _, path := range values.Paths() {
		value := values[path]
		if param, field, ok := cut(path, "FromEnv"); ok {
			if value.Text == "" || field != "" {
				problems = append(problems, Problem{param + "FromEnv", "want the name of an environment variable"})
			}
			refs[param] = Ref{Env: value.Text}
			continue
		}
		if param, field, ok := cut(path, "From"); ok {
			if from[param] == nil {
				from[param] = Values{}
			}
			if field != "" {
				from[param][field] = value
			}
			continue
		}
		direct[path] = value
	}
	for _, param := range slices.Sorted(maps.Keys(from)) {
		ref, ok := refOf(from[param])
		if _, twice := refs[param]; twice {
			problems = append(problems, Problem{param, fmt.Sprintf("given twice, as %sFrom and as %sFromEnv; want one of them", param, param)})
		} else if !ok {
			problems = append(problems, Problem{param + "From", "want {secret: NAME, key: KEY} or {configMap: NAME, key: KEY}"})
		}
		refs[param] = ref
	}
	return direct, refs, problems
}

// cut splits "passwordFrom.secret" into "password" and "secret", and "passwordFrom" (given as no mapping) into "password" and "", for the
// suffix From; likewise for FromEnv.
func cut(path, suffix string) (param, field string, ok bool) {
	for at, r := range path {
		if r != '.' {
			continue
		}
		if param, ok = strings.CutSuffix(path[:at], suffix); ok && param != "" {
			return param, path[at+1:], true
		}
	}
	param, ok = strings.CutSuffix(path, suffix)
	return param, "", ok && param != ""
}

func refOf(fields Values) (Ref, bool) {
	ref := Ref{Secret: fields["secret"].Text, ConfigMap: fields["configMap"].Text, Key: fields["key"].Text}
	ok := len(fields) == 2 && ref.Key != "" && (ref.Secret == "") != (ref.ConfigMap == "")
	return ref, ok
}
