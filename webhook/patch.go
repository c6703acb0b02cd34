package webhook

import (
	"strings"

	"gomodules.xyz/jsonpatch/v2"

	"autoscale.io/annotations"
)

// patch is the JSON patch that turns the new object into what the verdict asks for, in a fixed order. It is nil when nothing changes.
func (v verdict) patch(o *object) []jsonpatch.Operation {
	var ops []jsonpatch.Operation
	if v.own != nil {
		ops = patchMap("/metadata/annotations", o.Metadata.Annotations, entry{annotations.StateKey, v.own.state}, entry{annotations.StatusKey, v.own.status})
		ops = append(ops, patchMap("/metadata/labels", o.Metadata.Labels, entry{annotations.Bucket, v.own.label})...)
	}
	switch {
	case v.replicas == nil:
	case o.Spec == nil:
		ops = append(ops, jsonpatch.NewOperation("add", "/spec", map[string]any{o.field: *v.replicas}))
	default:
		// "add" also replaces.
		ops = append(ops, jsonpatch.NewOperation("add", "/spec/"+o.field, *v.replicas))
	}
	if v.suspend {
		ops = append(ops, jsonpatch.NewOperation("add", "/spec/suspend", true))
	}
	return ops
}

// entry is a key with the value it shall have; nil for none.
type entry struct {
	key  string
	want *string
}

// patchMap changes single keys, so that keys which another webhook adds meanwhile stay.
func patchMap(path string, have map[string]string, entries ...entry) []jsonpatch.Operation {
	var ops []jsonpatch.Operation
	added := map[string]any{}
	for _, e := range entries {
		got := lookup(have, e.key)
		switch {
		case equal(got, e.want):
		case e.want == nil:
			ops = append(ops, jsonpatch.NewOperation("remove", path+"/"+escape(e.key), nil))
		case have == nil:
			added[e.key] = *e.want
		default:
			ops = append(ops, jsonpatch.NewOperation("add", path+"/"+escape(e.key), *e.want))
		}
	}
	if len(added) > 0 {
		ops = append(ops, jsonpatch.NewOperation("add", path, added))
	}
	return ops
}

// escape writes a key as a token of a JSON pointer.
func escape(key string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(key) }
