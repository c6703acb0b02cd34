// Package memory compares the loop in memory, which many field cases run on, with a real cluster.
//
// It owns that comparison and no story: those are in package stories, which tells them to the loop in memory.
package memory

import (
	"slices"
	"strings"
	"testing"

	"autoscale.io/e2e/world"
	"autoscale.io/scaling/scalingtest/stories"
)

// Cases are the cases of this family.
func Cases() []world.Case {
	return []world.Case{
		{
			ID: "MEM-same", Symptom: "tests in memory pass, and a real API server behaves in another way",
			Holds: "the same stories lead to the same changes in memory and on a real cluster", In: world.Test, Weight: 3, Run: same,
		},
	}
}

func same(t *testing.T, w *world.World) {
	w.OwnInstall()
	w.Create(bystander, 1, world.Quick(world.Settings{"trigger.orders": w.Trigger(w.Stream(bystander), ", measure: length")}))
	for _, restarts := range []bool{false, true} {
		t.Run(map[bool]string{false: "together", true: "restarts"}[restarts], func(t *testing.T) {
			for number, story := range stories.All() {
				if story.Restarts != restarts {
					continue
				}
				t.Run(strings.ReplaceAll(story.Name, " ", "-"), func(t *testing.T) {
					if !story.Restarts {
						t.Parallel()
					}
					compare(t, newRealCluster(t, w, number, story.Of), story)
				})
			}
		})
	}
}

// compare tells a story on both sides.
func compare(t *testing.T, c *realCluster, story stories.Story) {
	t.Helper()
	story.Tell(c)
	want := stories.InMemory(t, story)
	c.awaitChanges(want)
	c.settle() // what is written too much comes after what is wanted
	got := c.changes()
	if want = stories.AsFarAsKnown(want, got); !slices.Equal(got, want) {
		t.Errorf("the changes on the real cluster are\n%s\nand in memory\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
