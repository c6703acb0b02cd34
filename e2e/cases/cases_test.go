package cases

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"autoscale.io/e2e/tree"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// A case mostly waits, so more of them run at a time than there are processors.
	if err := flag.Set("test.parallel", "4"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code, err := runWorld(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// TestCases runs every field case as a subtest named by its ID. Cases that disturb shared parts come first, one by one.
func TestCases(t *testing.T) {
	for _, c := range All() {
		t.Run(c.ID, func(t *testing.T) {
			if !c.Alone {
				t.Parallel()
			}
			c.Run(t, shared.enter(t, c.ID))
		})
	}
}

func TestDocsAreFresh(t *testing.T) {
	root, err := tree.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, "docs", "cases.md"))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != Markdown() {
		t.Error("docs/cases.md is stale; run: make docs")
	}
}
