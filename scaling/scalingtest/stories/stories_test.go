package stories

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestEveryStoryEnds(t *testing.T) {
	for _, story := range All() {
		t.Run(story.Name, func(t *testing.T) {
			t.Parallel()
			changes := InMemory(t, story)
			t.Logf("changes:\n%s", changes)
			if len(changes) < 2 {
				t.Errorf("the changes are %q; a story in which nothing happens compares nothing", changes)
			}
		})
	}
}

func TestChangesInMemory(t *testing.T) {
	t.Parallel()
	want := []string{
		"created with 0 replicas and autoscale.io/behavior, autoscale.io/bucket, autoscale.io/cooldown, autoscale.io/max-replicas, autoscale.io/min-replicas, " +
			"autoscale.io/polling-interval, autoscale.io/state, autoscale.io/trigger.orders by a user",
		"replicas 0 → 3 by the autoscaler", "autoscale.io/state by the autoscaler", "replicas 3 → 1 by the autoscaler",
		"autoscale.io/state by the autoscaler", "replicas 1 → 0 by the autoscaler",
	}
	if got := InMemory(t, All()[0]); !slices.Equal(got, want) {
		t.Errorf("the changes are\n%q\nwant\n%q", got, want)
	}
}

func TestAReleaseIsOfNobody(t *testing.T) {
	t.Parallel()
	before, after := &unstructured.Unstructured{}, &unstructured.Unstructured{}
	before.SetAnnotations(map[string]string{"autoscale.io/pause": "true"})
	owner := func(...string) string { t.Error("it asks who owns a field that is not there"); return "" }
	if got, want := Change(before, after, owner), "without autoscale.io/pause"; got != want {
		t.Errorf("the change is %q, want %q", got, want)
	}
}

func TestOwner(t *testing.T) {
	t.Parallel()
	object := &unstructured.Unstructured{}
	object.SetManagedFields([]metav1.ManagedFieldsEntry{
		{Manager: "kubectl", FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:annotations":{"f:autoscale.io/pause":{}}}}`)},
		{Manager: "autoscale.io", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{}}}`)},
	})
	got := []string{
		Owner(object, "spec", "replicas"), Owner(object, "metadata", "annotations", "autoscale.io/pause"), Owner(object, "spec", "paused"),
	}
	if want := []string{"the autoscaler", "a user", "nobody"}; !slices.Equal(got, want) {
		t.Errorf("the owners are %q, want %q", got, want)
	}
}

func TestAsFarAsKnown(t *testing.T) {
	t.Parallel()
	got := AsFarAsKnown(
		[]string{"replicas 3 → 1 by the autoscaler", "replicas 1 → 0 by the autoscaler", "without autoscale.io/pause", "replicas 0 → 2 by a user"},
		[]string{"replicas 3 → 1 by a user", "replicas 1 → 0 by nobody", "replicas 1 → 0 by nobody"},
	)
	want := []string{"replicas 3 → 1 by the autoscaler", "replicas 1 → 0 by nobody", "without autoscale.io/pause", "replicas 0 → 2 by a user"}
	if !slices.Equal(got, want) {
		t.Errorf("what is known is\n%q\nwant\n%q", got, want)
	}
}
