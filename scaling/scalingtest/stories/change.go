package stories

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"autoscale.io/annotations"
	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/target"
)

// Change says in words what an update of a workload has changed, and who has: "replicas 2 → 3 by the autoscaler",
// "autoscale.io/state by a user". The first version of an object has a nil before. owner is the field manager that has
// set a field, as Owner says.
//
// It is empty for a change that is none of the autoscaler's business, such as one of the status, and for one of the
// autoscaler's own status annotation: how often that changes depends on when reads happen to come.
//
// It tells no user from another, since the two sides name theirs in other ways. It does not say who has only removed
// something, because nobody owns a field that is not there. It does not ask who owns a replica count that was written
// together with annotations: that is the work of the webhook, which the API server does not remember. Writes that change
// nothing and writes that fail cannot be compared at all: a watch of the real API server does not show them, and how
// many conflicts there are depends on what else happens to be written.
func Change(before, after *unstructured.Unstructured, owner func(field ...string) string) string {
	if before == nil {
		keys := strings.Join(slices.Sorted(maps.Keys(ours(after))), ", ")
		return fmt.Sprintf("created with %v replicas and %s by %s", Replicas(after), keys, owner("spec", countField(after)))
	}
	var words, owners []string
	was, is := ours(before), ours(after)
	for _, key := range slices.Sorted(maps.Keys(was)) {
		if _, ok := is[key]; !ok {
			words = append(words, "without "+key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(is)) {
		if value, ok := was[key]; !ok || value != is[key] {
			words, owners = append(words, key), append(owners, owner("metadata", fieldOf(after, key), key))
		}
	}
	if a, b := Replicas(before), Replicas(after); a != b {
		if len(words) == 0 {
			owners = append(owners, owner("spec", countField(after)))
		}
		words = append([]string{fmt.Sprintf("replicas %v → %v", a, b)}, words...)
	}
	text := strings.Join(words, ", ")
	if len(owners) > 0 {
		slices.Sort(owners)
		text += " by " + strings.Join(slices.Compact(owners), " and ")
	}
	return text
}

const byNobody = " by nobody"

// AsFarAsKnown are changes without what a cluster has not remembered of the same changes: who wrote them. The real API
// server forgets who owns the replica count when /scale sets it to zero, and does not learn it by /scale again.
func AsFarAsKnown(changes, remembered []string) []string {
	known := slices.Clone(changes)
	for i, change := range known[:min(len(known), len(remembered))] {
		if what, _, told := strings.Cut(change, " by "); told && strings.HasSuffix(remembered[i], byNobody) {
			known[i] = what + byNobody
		}
	}
	return known
}

// Owner is the field manager that has set a field, as the API server remembers it: "the autoscaler" or "a user". It is
// "nobody" when nobody is remembered.
func Owner(object *unstructured.Unstructured, field ...string) string {
	for _, entry := range object.GetManagedFields() {
		var fields map[string]any
		if entry.FieldsV1 == nil || json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields) != nil {
			continue
		}
		path := make([]string, len(field))
		for i, name := range field {
			path[i] = "f:" + name
		}
		if _, found, err := unstructured.NestedFieldNoCopy(fields, path...); found && err == nil {
			return named(entry.Manager)
		}
	}
	return "nobody"
}

func named(manager string) string {
	if manager == target.FieldManager {
		return "the autoscaler"
	}
	return "a user"
}

// Replicas is the replica count of a workload; a Job's is its parallelism.
func Replicas(object *unstructured.Unstructured) int32 {
	n, _, _ := unstructured.NestedInt64(object.Object, "spec", countField(object))
	return int32(n) //nolint:gosec // stories have small counts
}

func countField(object *unstructured.Unstructured) string {
	if object.GetKind() == "Job" {
		return "parallelism"
	}
	return "replicas"
}

// fieldOf is the field of the metadata that has a key.
func fieldOf(object *unstructured.Unstructured, key string) string {
	if _, ok := object.GetLabels()[key]; ok {
		return "labels"
	}
	return "annotations"
}

// Made says whether an object is a Job that was made of a template.
func Made(object *unstructured.Unstructured, template string) bool {
	return object.GetKind() == "Job" && object.GetLabels()[annotations.Template] == template
}

// OfMade are the words for a change of a Job that was made of the template.
func OfMade(change string) string {
	if change == "" {
		return ""
	}
	return "a Job of it: " + change
}

// ours are the label and the annotations of the autoscaler.
func ours(object *unstructured.Unstructured) map[string]string {
	all := map[string]string{}
	for _, keys := range []map[string]string{object.GetLabels(), object.GetAnnotations()} {
		for key, value := range keys {
			if strings.HasPrefix(key, annotations.Prefix) && key != annotations.StatusKey {
				all[key] = value
			}
		}
	}
	return all
}

// Gone are the settings that remove everything that users have written for the autoscaler.
func Gone(present map[string]string) scalingtest.Settings {
	gone := scalingtest.Settings{}
	for key := range present {
		if name, ok := strings.CutPrefix(key, annotations.Prefix); ok && key != annotations.StateKey && key != annotations.StatusKey {
			gone[name] = ""
		}
	}
	return gone
}
