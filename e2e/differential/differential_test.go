package differential

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"autoscale.io/e2e/tree"
)

var (
	seed   = flag.Uint64("seed", 0, "makes the scenarios; 0 takes a new seed. To see a failure again: go test ./differential -args -seed=N")
	shared *lab
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	os.Exit(runLab(m))
}

func runLab(m *testing.M) (code int) {
	// A scenario mostly waits; all of them run at the same time.
	if err := flag.Set("test.parallel", "200"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "autoscale-differential-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	shared, err = startLab(context.Background(), dir, os.Stderr)
	if err == nil {
		code = m.Run()
		if code != 0 {
			fmt.Fprintln(os.Stderr, "the end of the autoscaler's log:\n"+shared.scaler.LogTail())
		}
	}
	for _, err := range []error{err, shared.ends.Stop()} {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// sample is which scenarios of a seed make test runs: every fifth of those without cpu and memory, so about nine.
const sample = 5

// TestSameCountsAsTheHPA runs some scenarios of a seed.
func TestSameCountsAsTheHPA(t *testing.T) {
	t.Parallel()
	var some []Scenario
	for i, s := range Scenarios(*seed) {
		if s.resource() < 0 && (uint64(i)+*seed)%sample == 0 {
			some = append(some, s)
		}
	}
	compare(t, some)
}

// TestSoakSameCountsAsTheHPA runs every scenario of a seed.
func TestSoakSameCountsAsTheHPA(t *testing.T) {
	t.Parallel()
	compare(t, Scenarios(*seed))
}

// compare runs scenarios on both sides.
func compare(t *testing.T, scenarios []Scenario) {
	t.Helper()
	t.Logf("seed %d", *seed)
	var ended, moves atomic.Int64
	t.Cleanup(func() {
		// A comparison of workloads that never move would say nothing.
		if all := int64(len(scenarios)); ended.Load() == all && moves.Load() < 2*all {
			t.Errorf("the scenarios are too tame: %d changes in %d of them", moves.Load(), all)
		}
	})
	for _, s := range scenarios {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			shared.run(t, &s, func(x *trial, step int) {
				x.same(step)
				if step == len(s.Steps)-1 {
					hpa, mine := x.histories()
					t.Logf("the HPA:        %s", hpa)
					t.Logf("the autoscaler: %s", mine)
					ended.Add(1)
					moves.Add(int64(len(hpa)) - 1)
				}
			})
			if t.Failed() {
				t.Logf("to see it again: go test ./differential -run 'TestSoakSameCountsAsTheHPA/%s' -args -seed=%d", strings.ReplaceAll(s.Name, " ", "_"), *seed)
			}
		})
	}
}

// TestScenariosAreTheSameForASeed is what makes a failure repeatable.
func TestScenariosAreTheSameForASeed(t *testing.T) {
	one, two := Scenarios(*seed), Scenarios(*seed)
	for i := range one {
		if one[i].String() != two[i].String() {
			t.Errorf("scenario %s differs between two calls:\n%s\n%s", one[i].Name, &one[i], &two[i])
		}
	}
	if other := Scenarios(*seed + 1); other[0].String() == one[0].String() {
		t.Errorf("another seed makes the same scenario %s", one[0].Name)
	}
}

// TestDifferences shows the differences that docs/differences.md lists.
func TestDifferences(t *testing.T) {
	t.Parallel()
	for _, d := range Differences() {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			shared.run(t, &d.Scenario, func(x *trial, step int) {
				if step == len(d.Scenario.Steps)-1 {
					x.differ(&d)
				}
			})
		})
	}
}

// differ fails the test unless the counts are those of the difference.
func (x *trial) differ(d *Difference) {
	x.t.Helper()
	hpa, mine := x.histories()
	if !slices.Equal(hpa.counts(), d.HPA) || !slices.Equal(mine.counts(), d.Ours) {
		x.t.Errorf("the HPA had %v, want %v; the autoscaler had %v, want %v\n%s", hpa.counts(), d.HPA, mine.counts(), d.Ours, x.story())
		return
	}
	if later := mine[len(mine)-1].at.Sub(hpa[len(hpa)-1].at); d.Later > 0 && later < d.Later {
		x.t.Errorf("the last change of the autoscaler came %s after the HPA's, want at least %s\n%s", later, d.Later, x.story())
	}
}

// TestDocsListTheDifferences compares the headings of docs/differences.md with what is shown here.
func TestDocsListTheDifferences(t *testing.T) {
	root, err := tree.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "differences.md"))
	if err != nil {
		t.Fatal(err)
	}
	var listed, known []string
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "## "); ok {
			listed = append(listed, name)
		}
	}
	for _, d := range Differences() {
		known = append(known, d.Name)
	}
	for name := range Unshown() {
		known = append(known, name)
	}
	slices.Sort(listed)
	slices.Sort(known)
	if !slices.Equal(listed, known) {
		t.Errorf("docs/differences.md has the headings\n%s\nwant those of Differences and Unshown\n%s", strings.Join(listed, "\n"), strings.Join(known, "\n"))
	}
}
