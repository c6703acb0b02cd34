package stories

import (
	"slices"
	"testing"
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
			"autoscale.io/polling-interval, autoscale.io/state, autoscale.io/trigger.orders",
		"replicas 0 → 3", "autoscale.io/state", "replicas 3 → 1", "autoscale.io/state", "replicas 1 → 0",
	}
	if got := InMemory(t, All()[0]); !slices.Equal(got, want) {
		t.Errorf("the changes are\n%q\nwant\n%q", got, want)
	}
}
