package gotest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const sample = `package sample

import "testing"

func TestGroup(t *testing.T) {
	t.Run("waited", func(t *testing.T) { t.Logf("took %.1fs", 2.5) })
	t.Run("quick", func(t *testing.T) {})
}

`

// run runs go test on a package with one more test, and returns the report and the error.
func run(t *testing.T, more string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module sample\n\ngo 1.26\n", "sample_test.go": sample + more} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GOFLAGS", "")
	var out bytes.Buffer
	err := Run(t.Context(), Options{Dir: dir, Args: []string{"-count=1", "./..."}, Out: &out, Slowest: 2})
	return out.String(), err
}

func TestTheSlowestAreListedWithoutTheirWait(t *testing.T) {
	out, err := run(t, "")
	if err != nil {
		t.Fatal(err)
	}
	const want = "the 2 slowest tests:\n     2.5s  sample  TestGroup/waited\n     0.0s  sample  TestGroup/quick\n"
	if !strings.HasPrefix(out, "ok  \tsample\t") || !strings.HasSuffix(out, want) {
		t.Errorf("the report is\n%s\nwant go test's line for the package and\n%s", out, want)
	}
}

func TestASkippedTestIsAFailure(t *testing.T) {
	_, err := run(t, `func TestSkipped(t *testing.T) { t.Skip("no server") }`)
	if want := "TestSkipped of sample was skipped; a skipped test proves nothing"; err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
}

func TestTheOutputOfAFailureIsShown(t *testing.T) {
	out, err := run(t, `func TestFails(t *testing.T) { t.Error("the reason") }`)
	if want := "go test: exit status 1"; err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
	if !strings.Contains(out, "the reason") {
		t.Errorf("the report does not show the reason:\n%s", out)
	}
}

func TestABuildFailureIsShown(t *testing.T) {
	out, err := run(t, `func TestBroken(t *testing.T) { undefined() }`)
	if err == nil || !strings.Contains(out, "undefined: undefined") {
		t.Errorf("the error is %v and the report\n%s\nwant an error and the compiler's message", err, out)
	}
}
