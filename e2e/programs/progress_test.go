package programs

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"autoscale.io/scalers/scalertest/bubble"
)

// kubernetes is a compilation of 1,000 packages of 100 kB each.
func kubernetes(cores int) *meter {
	w := work{pending: map[string]int64{}, packages: 1300}
	for i := range 1000 {
		w.pending[fmt.Sprintf("example.com/%d", i)] = 100e3
	}
	m := newMeter(w)
	m.cores = cores
	return m
}

func TestEstimate(t *testing.T) {
	for _, c := range []struct {
		name    string
		cores   int
		begun   int
		elapsed time.Duration
		want    string
	}{
		{"before the first package, 263 s and 10 s of linking", 2, 0, 0, "0 of 1000 packages compiled, 0%; 0s elapsed, about 4m33s left"},
		{"with twice the cores", 4, 0, 0, "0 of 1000 packages compiled, 0%; 0s elapsed, about 2m22s left"},
		{"at the pace that was measured", 2, 252, 66 * time.Second, "250 of 1000 packages compiled, 25%; 1m06s elapsed, about 3m28s left"},
		{"on a machine of half the speed", 2, 252, 132 * time.Second, "250 of 1000 packages compiled, 25%; 2m12s elapsed, about 5m25s left"},
		{"what the cores work on is not done", 2, 1, time.Second, "0 of 1000 packages compiled, 0%; 1s elapsed, about 4m39s left"},
		{"after the last package", 2, 1000, 200 * time.Second, "1000 packages compiled, linking; 3m20s elapsed"},
	} {
		m := kubernetes(c.cores)
		for i := range c.begun {
			if !m.compiles(fmt.Sprintf("example.com/%d", i)) {
				t.Fatalf("package %d was not counted", i)
			}
		}
		if got := m.text(c.elapsed, c.elapsed); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
	m := kubernetes(2)
	if m.compiles("# example.com/1") {
		t.Error("the head of an error message was counted as a package")
	}
	if got, want := m.forecast(), "1000 of 1300 packages are to be compiled: about 4m33s with 2 cores"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestPlan lists one package that is compiled already and one that is not.
func TestPlan(t *testing.T) {
	dir := t.TempDir()
	for name, size := range map[string]int{"a.go": 10, "b.go": 5} {
		if err := os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte("/"), size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := planned("example.com/old\tfalse\t" + dir + "\ta.go\nexample.com/new\ttrue\t" + dir + "\ta.go\tb.go\n")
	if err != nil || got.packages != 2 || fmt.Sprint(got.pending) != "map[example.com/new:15]" {
		t.Errorf("got %+v, %v; want two packages and 15 bytes of example.com/new", got, err)
	}
	_, err = planned("nonsense\n")
	if want := `go list has printed "nonsense\n"; wanted three fields at least`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestLinesThatAreNotTakenAreKept(t *testing.T) {
	l := &lines{take: func(line string) bool { return strings.HasPrefix(line, "go: downloading ") }}
	for _, part := range []string{"go: down", "loading k8s.io/api v1\nfirst\ngo: downloading k8s.io/kms v1\nsec", "ond"} {
		if n, err := l.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatalf("wrote %d, %v", n, err)
		}
	}
	if got, want := l.rest(), "first\nsecond"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestStatus shows the status of something that takes 25 seconds, in a file and on a terminal.
func TestStatus(t *testing.T) {
	for _, c := range []struct {
		terminal bool
		every    time.Duration
		want     string
	}{
		{false, 10 * time.Second, "  10s\n  20s\n  ended\n"},
		{true, 20 * time.Second, "\r\x1b[K  0s\r\x1b[K  20s\r\x1b[K  ended\n"},
	} {
		bubble.Test(t, func(t *testing.T) {
			var shown bytes.Buffer
			s := &screen{w: &shown, terminal: c.terminal, every: c.every}
			start := time.Now()
			err := s.while(func() error {
				time.Sleep(25 * time.Second)
				return context.Canceled
			}, func() string { return short(time.Since(start)) })
			s.line("ended")
			if err != context.Canceled || shown.String() != c.want {
				t.Errorf("terminal %t: got %v and %q, want %q", c.terminal, err, &shown, c.want)
			}
		})
	}
}
