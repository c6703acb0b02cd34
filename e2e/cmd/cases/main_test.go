package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"autoscale.io/e2e/cases"
	"autoscale.io/e2e/tree"
	"autoscale.io/e2e/world"
	"autoscale.io/scaling/scalingtest/fieldcases"
)

func TestDocsAreFresh(t *testing.T) {
	root, err := tree.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, "docs", "cases.md"))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != cases.Markdown() {
		t.Error("docs/cases.md is stale; run: make docs")
	}
}

// TestEveryCaseIsRun fails for a case that neither make test nor make soak runs, and for two cases with one ID.
func TestEveryCaseIsRun(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range cases.All() {
		if c.In != world.Test && c.In != world.Soak {
			t.Errorf("case %s is in the run %q; want %s or %s", c.ID, c.In, world.Test, world.Soak)
		}
		if seen[c.ID] {
			t.Errorf("there are two cases %s", c.ID)
		}
		seen[c.ID] = true
	}
	for _, c := range fieldcases.All() {
		if !seen[c.ID] {
			t.Errorf("the case %s in memory has no documentation; add it to its family in e2e/cases", c.ID)
		}
	}
}

// TestEveryFamilyIsListed fails for a folder of cases that All leaves out.
func TestEveryFamilyIsListed(t *testing.T) {
	root, err := tree.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile(filepath.Join(root, "e2e", "cases", "cases.go"))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(root, "e2e", "cases"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.IsDir() && !strings.Contains(string(list), "\t"+entry.Name()+".Cases(),\n") {
			t.Errorf("e2e/cases/cases.go does not list the family %s", entry.Name())
		}
	}
}

func TestAnUnknownCaseIsNamed(t *testing.T) {
	var ids []string
	for _, c := range cases.All() {
		ids = append(ids, c.ID)
	}
	want := "there is no case RS-99; there are " + strings.Join(ids, " ")
	if _, err := choose("", []string{"RS-01", "RS-99"}); err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
	if _, err := choose("all", nil); err == nil || err.Error() != `there is no run "all"; there are test and soak` {
		t.Errorf("the error is %v", err)
	}
}
