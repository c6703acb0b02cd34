package fieldcases

import (
	"testing"

	"autoscale.io/scaling/scalingtest"
)

func TestFieldCases(t *testing.T) {
	for _, c := range All() {
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			scalingtest.RunWith(t, c.Options, c.Run)
		})
	}
}

func TestNoTwoCasesHaveOneID(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range All() {
		if seen[c.ID] {
			t.Errorf("there are two cases %s", c.ID)
		}
		seen[c.ID] = true
	}
}
