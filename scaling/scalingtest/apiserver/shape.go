package apiserver

import (
	"encoding/json"
	"fmt"
	"reflect"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// hasScale says whether a kind has a /scale: those with spec.replicas do.
func hasScale(object *unstructured.Unstructured) bool {
	_, found, err := unstructured.NestedInt64(object.Object, "spec", "replicas")
	return found && err == nil
}

// scaleOf is the /scale of an object.
func scaleOf(object *unstructured.Unstructured) *unstructured.Unstructured {
	replicas, _, _ := unstructured.NestedInt64(object.Object, "spec", "replicas")
	scale := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"replicas": replicas}, "status": map[string]any{"replicas": int64(0)}}}
	scale.SetGroupVersionKind(scaleKind())
	scale.SetName(object.GetName())
	scale.SetNamespace(object.GetNamespace())
	scale.SetUID(object.GetUID())
	scale.SetResourceVersion(object.GetResourceVersion())
	scale.SetCreationTimestamp(object.GetCreationTimestamp())
	return scale
}

// merged is an object after a write of what is wanted, of which each subresource writes its own part alone.
func merged(before, wanted *unstructured.Unstructured, subresource string) *unstructured.Unstructured {
	after := before.DeepCopy()
	switch subresource {
	case "scale":
		replicas, _, _ := unstructured.NestedInt64(wanted.Object, "spec", "replicas")
		_ = unstructured.SetNestedField(after.Object, replicas, "spec", "replicas") // the path is there
		return after
	case "status":
		after.Object["status"] = wanted.Object["status"]
		return after
	}
	after = wanted.DeepCopy()
	if status, ok := before.Object["status"]; ok {
		after.Object["status"] = runtime.DeepCopyJSONValue(status) // what was before is being read
	} else {
		delete(after.Object, "status")
	}
	after.SetGroupVersionKind(before.GroupVersionKind())
	after.SetName(before.GetName())
	after.SetNamespace(before.GetNamespace())
	after.SetUID(before.GetUID())
	after.SetResourceVersion(before.GetResourceVersion())
	after.SetCreationTimestamp(before.GetCreationTimestamp())
	after.SetManagedFields(before.GetManagedFields())
	return after
}

// generation is that of an object after a write.
func generation(before, after *unstructured.Unstructured) int64 {
	same := reflect.DeepEqual(before.Object["spec"], after.Object["spec"])
	if before.GetKind() == "Deployment" {
		same = same && reflect.DeepEqual(before.GetAnnotations(), after.GetAnnotations())
	}
	if same {
		return before.GetGeneration()
	}
	return before.GetGeneration() + 1
}

// complete fills in the defaults that a controller of replicas meets.
func complete(object *unstructured.Unstructured) {
	switch object.GetKind() {
	case "Deployment", "StatefulSet":
		byDefault(object, int64(1), "spec", "replicas")
	case "Job":
		if parallelism, found, _ := unstructured.NestedFieldNoCopy(object.Object, "spec", "parallelism"); !found || parallelism == nil {
			byDefault(object, int64(1), "spec", "completions")
		}
		byDefault(object, int64(1), "spec", "parallelism")
		byDefault(object, false, "spec", "suspend")
		// The API server tells the pods of a Job from others by its uid.
		for _, path := range [][]string{{"spec", "selector", "matchLabels"}, {"spec", "template", "metadata", "labels"}} {
			byDefault(object, string(object.GetUID()), append(path, batchv1.ControllerUidLabel)...)
		}
	}
}

// observe lets the deployment controller see every version at once. A rollout is then what the status says of pods.
func observe(object *unstructured.Unstructured) {
	if object.GetKind() == "Deployment" {
		_ = unstructured.SetNestedField(object.Object, object.GetGeneration(), "status", "observedGeneration") // a status is a map
	}
}

func byDefault(object *unstructured.Unstructured, value any, path ...string) {
	if got, found, _ := unstructured.NestedFieldNoCopy(object.Object, path...); found && got != nil {
		return
	}
	if err := unstructured.SetNestedField(object.Object, value, path...); err != nil {
		panic(fmt.Sprintf("%s %s is malformed: %v", object.GetKind(), object.GetName(), err)) // a test that sends such an object is wrong
	}
}

// own remembers who set the replica count, and of all fields only that.
func own(after, before *unstructured.Unstructured, c Call) {
	for _, name := range []string{"replicas", "parallelism"} {
		is, found, _ := unstructured.NestedInt64(after.Object, "spec", name)
		if !found {
			continue
		}
		if before != nil {
			if was, had, _ := unstructured.NestedInt64(before.Object, "spec", name); had && was == is {
				continue
			}
		}
		data, err := json.Marshal(map[string]any{"f:spec": map[string]any{"f:" + name: map[string]any{}}})
		if err != nil {
			panic(err) // these are strings
		}
		at := metav1.NewTime(now())
		after.SetManagedFields([]metav1.ManagedFieldsEntry{{
			Manager: c.Manager, Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: after.GetAPIVersion(), Time: &at,
			FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(string(data)), Subresource: c.Subresource,
		}})
	}
}
