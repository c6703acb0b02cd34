package scalers

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schema"
)

// Definition is one kind of source.
type Definition struct {
	annotations.TriggerType
	// Doc introduces the source in the documentation: one paragraph.
	Doc string
	// TypeAliases are other spellings of the type, each with the parameters that it stands for.
	TypeAliases map[string]map[string]string

	open func(host Host, params any) (Scaler, error)
}

// Define completes a definition: P is the struct of parameters, and open makes a scaler of them. open does no I/O. Its errors are
// faults of the parameters and quote no secret.
func Define[P any](d Definition, open func(Host, *P) (Scaler, error)) Definition {
	d.Params = schema.For[P]()
	d.open = func(host Host, params any) (Scaler, error) { return open(host, params.(*P)) }
	return d
}

// Registry is a set of definitions. It implements annotations.Types.
type Registry struct {
	names  []string
	byName map[string]annotations.TriggerType
	defs   map[string]Definition
}

var _ annotations.Types = (*Registry)(nil)

// NewRegistry lists the definitions. Two that share a name or an alias, and one without a name or made without [Define], are an error.
func NewRegistry(definitions ...Definition) (*Registry, error) {
	r := &Registry{byName: map[string]annotations.TriggerType{}, defs: map[string]Definition{}}
	for _, d := range definitions {
		if d.Name == "" || d.open == nil {
			return nil, fmt.Errorf("scaler %q: want a name and a definition made by Define", d.Name)
		}
		if want := annotations.ResourceOf(d.Name); d.Resource != want {
			return nil, fmt.Errorf("scaler %s: measures the resource %q, and its name says %q; want the same", d.Name, d.Resource, want)
		}
		if err := r.add(d.Name, d.TriggerType); err != nil {
			return nil, err
		}
		for _, alias := range slices.Sorted(maps.Keys(d.TypeAliases)) {
			typ := d.TriggerType
			typ.Implied = d.TypeAliases[alias]
			if err := r.add(alias, typ); err != nil {
				return nil, err
			}
		}
		r.names = append(r.names, d.Name)
		r.defs[d.Name] = d
	}
	slices.Sort(r.names)
	return r, nil
}

func (r *Registry) add(name string, typ annotations.TriggerType) error {
	if _, taken := r.byName[name]; taken {
		return fmt.Errorf("two scalers are named %s", name)
	}
	r.byName[name] = typ
	return nil
}

// TriggerType implements annotations.Types.
func (r *Registry) TriggerType(name string) (annotations.TriggerType, bool) {
	typ, ok := r.byName[name]
	return typ, ok
}

// TriggerTypeNames implements annotations.Types.
func (r *Registry) TriggerTypeNames() []string { return slices.Clone(r.names) }

// Definitions lists the definitions in the order of their names.
func (r *Registry) Definitions() []Definition {
	all := make([]Definition, 0, len(r.names))
	for _, name := range r.names {
		all = append(all, r.defs[name])
	}
	return all
}

// QualifyHost makes a Service of the namespace out of a host without a dot: redis:6379 becomes redis.NAMESPACE.svc:6379. IP addresses and
// names with a dot stay.
func QualifyHost(address, namespace string) string {
	host, port, found := strings.Cut(address, ":")
	if strings.Contains(host, ".") || strings.Count(address, ":") > 1 || host == "" {
		return address
	}
	if found {
		port = ":" + port
	}
	return host + "." + namespace + ".svc" + port
}
