package gotest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const sample = `package sample

import (
	"os"
	"strconv"
	"testing"
)

func note(t *testing.T) {
	name, text := os.Getenv("NOTE"), strconv.Itoa(os.Getpid())+" "+t.TempDir()
	if err := os.WriteFile(name+"~", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+"~", name); err != nil {
		t.Fatal(err)
	}
}

func TestGroup(t *testing.T) {
	t.Run("waited", func(t *testing.T) { t.Logf("took %.1fs", 2.5) })
	t.Run("quick", func(t *testing.T) {})
}

`

// sampleWith writes a package with one more test and returns its folder.
func sampleWith(t *testing.T, more string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module sample\n\ngo 1.26\n", "sample_test.go": sample + more} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GOFLAGS", "")
	return dir
}

// run runs go test on a package with one more test, and returns the report and the error.
func run(t *testing.T, more string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := Run(t.Context(), Options{Dir: sampleWith(t, more), Args: []string{"-count=1", "./..."}, Out: &out, Slowest: 2})
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

func TestARunOfNothingIsAFailure(t *testing.T) {
	var out bytes.Buffer
	err := Run(t.Context(), Options{Dir: sampleWith(t, ""), Args: []string{"-run", "^TestMisspelt$", "./..."}, Out: &out})
	if want := "no test ran; see the names of the packages and of the tests"; err == nil || err.Error() != want {
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

// TestWhatEndsTheProcessIsShown has tests that never end themselves. Each is named, and so is the reason.
func TestWhatEndsTheProcessIsShown(t *testing.T) {
	for reason, more := range map[string]string{
		"panic: the reason":                   `func TestEnds(t *testing.T) { go func() { panic("the reason") }(); select {} }`,
		"the reason\n":                        `func TestEnds(t *testing.T) { println("the reason"); os.Exit(1) }`,
		"panic: test timed out after 300ms\n": `func TestEnds(t *testing.T) { select {} }`,
	} {
		var out bytes.Buffer
		var ended []string
		err := Run(t.Context(), Options{Dir: sampleWith(t, more), Args: []string{"-count=1", "-timeout=300ms", "./..."}, Out: &out, Ended: func(r Result) {
			if r.Action == "fail" {
				ended = append(ended, r.Test)
				out.WriteString(r.Output)
			}
		}})
		if want := "go test: exit status 1"; err == nil || err.Error() != want {
			t.Errorf("the error is %v, want %s", err, want)
		}
		if text := out.String(); !strings.Contains(text, reason) || !slices.Equal(ended, []string{"TestEnds"}) {
			t.Errorf("failed: %v, want TestEnds; the report does not show %q:\n%s", ended, reason, text)
		}
	}
}

func TestABuildFailureIsShown(t *testing.T) {
	out, err := run(t, `func TestBroken(t *testing.T) { undefined() }`)
	if err == nil || !strings.Contains(out, "undefined: undefined") {
		t.Errorf("the error is %v and the report\n%s\nwant an error and the compiler's message", err, out)
	}
}

// TestAnInterruptLeavesNothing ends a run whose test never would, and looks for its process and its temporary files.
func TestAnInterruptLeavesNothing(t *testing.T) {
	note := filepath.Join(t.TempDir(), "note")
	t.Setenv("NOTE", note)
	dir := sampleWith(t, `func TestWaits(t *testing.T) { note(t); select {} }`)
	ctx, interrupt := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	var out bytes.Buffer
	go func() { ended <- Run(ctx, Options{Dir: dir, Args: []string{"-count=1", "./..."}, Out: &out}) }()
	var text []byte
	for text == nil {
		select {
		case err := <-ended:
			t.Fatalf("it ended before the interrupt: %v\n%s", err, out.String())
		case <-time.After(10 * time.Millisecond):
			text, _ = os.ReadFile(note)
		}
	}
	interrupt()
	if err := <-ended; err == nil {
		t.Error("an interrupted run passed")
	}
	var pid int
	var folder string
	if _, err := fmt.Sscan(string(text), &pid, &folder); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the process of the test is still there: %v", err)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder %s of the test is still there: %v", folder, err)
	}
}
