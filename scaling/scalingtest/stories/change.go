package stories

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"autoscale.io/annotations"
	"autoscale.io/scaling/scalingtest"
)

// Change says in words what an update of a workload has changed: "replicas 2 → 3", "autoscale.io/state". The first
// version of an object has a nil before. It is empty for a change that is none of the autoscaler's business, such as one
// of the status, and for one of the autoscaler's own status annotation: how often that changes depends on when reads
// happen to come.
func Change(before, after *unstructured.Unstructured) string {
	if before == nil {
		return fmt.Sprintf("created with %v replicas and %s", replicas(after), strings.Join(slices.Sorted(maps.Keys(ours(after))), ", "))
	}
	var words []string
	if a, b := replicas(before), replicas(after); a != b {
		words = append(words, fmt.Sprintf("replicas %v → %v", a, b))
	}
	was, is := ours(before), ours(after)
	for _, key := range slices.Sorted(maps.Keys(was)) {
		if _, ok := is[key]; !ok {
			words = append(words, "without "+key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(is)) {
		if value, ok := was[key]; !ok || value != is[key] {
			words = append(words, key)
		}
	}
	return strings.Join(words, ", ")
}

func replicas(object *unstructured.Unstructured) int64 {
	n, _, _ := unstructured.NestedInt64(object.Object, "spec", "replicas")
	return n
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
