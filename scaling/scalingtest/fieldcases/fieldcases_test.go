package fieldcases

import (
	"os"
	"strings"
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

// TestEveryCaseIsDocumented fails for a case that has no real version, where its symptom is told.
func TestEveryCaseIsDocumented(t *testing.T) {
	docs, err := os.ReadFile("../../../docs/cases.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range All() {
		if !strings.Contains(string(docs), "\n| "+c.ID+" | ") {
			t.Errorf("docs/cases.md has no case %s; add it to its family in e2e/cases, too, and run make docs", c.ID)
		}
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
