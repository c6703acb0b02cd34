package fieldcases

import (
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"autoscale.io/annotations"
	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/apiserver"
)

// wantMade fails the test unless that many Jobs were ever made of a template, of which there were never more than most
// unfinished at a time.
func wantMade(w *scalingtest.World, template string, want, most int) {
	w.Helper()
	w.Settle()
	made, unfinished, highest := 0, map[string]bool{}, 0
	for _, write := range w.API.Writes(func(write apiserver.Write) bool { return write.Resource.Resource == "jobs" && write.Err == nil }) {
		object := write.After
		if object == nil {
			delete(unfinished, write.Name)
			continue
		}
		if object.GetLabels()[annotations.Template] != template {
			continue
		}
		if write.Verb == "create" {
			made++
			unfinished[object.GetName()] = true
		}
		if finished(object) {
			delete(unfinished, object.GetName())
		}
		highest = max(highest, len(unfinished))
	}
	if made != want || highest > most {
		w.Fatalf("%d Jobs of %s were made, and %d were unfinished at a time; want %d and at most %d", made, template, highest, want, most)
	}
}

// finished says whether a Job has succeeded or failed.
func finished(job *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(job.Object, "status", "conditions") // none when malformed
	return len(conditions) > 0
}

// images counts the Jobs of a template by their image.
func images(w *scalingtest.World, template string) map[string]int {
	w.Helper()
	images := map[string]int{}
	for _, job := range w.Children(template) {
		images[job.Spec.Template.Spec.Containers[0].Image]++
	}
	return images
}

func wantImages(w *scalingtest.World, template string, want map[string]int) {
	w.Helper()
	w.Settle()
	if got := images(w, template); !maps.Equal(got, want) {
		w.Fatalf("the Jobs of %s have the images %v, want %v", template, got, want)
	}
}
