// Package gotest runs go test and tells people what they want to know of a long run: each package as it ends, the whole
// output of what failed, and at the end the ten slowest tests. A skipped test counts as failed.
//
// It owns the reading of go test's events. Which tests there are and what they need is none of its business.
package gotest

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Result is how one test ended. A test with subtests is one, too.
type Result struct {
	// Package is the import path.
	Package string
	// Test is the name with those of its parents, as go test -run takes it.
	Test string
	// Action is pass, fail or skip.
	Action string
	// Took is the time from the test's start to its end. A test that waits for room beside others logs the time
	// without the wait ("took 1.5s"), which counts then.
	Took time.Duration
	// Output is what the test printed.
	Output string
}

// Options say what is run.
type Options struct {
	// Dir is the folder that go test runs in. Defaults to the working directory.
	Dir string
	// Args are those of go test, without -json.
	Args []string
	// Out receives the report. Defaults to standard output.
	Out io.Writer
	// Ended is called for every test as it ends. Defaults to printing the output of those that did not pass.
	Ended func(Result)
	// Slowest is how many of the slowest tests are listed at the end. Defaults to none.
	Slowest int
}

// Signals are those by which people and programs end a run. The tests have a process group of their own and get none of
// them, so a command must end the context of Run with each.
func Signals() []os.Signal {
	return []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}
}

// endWithin is how long tests have to end after an interrupt before they are killed.
const endWithin = 10 * time.Second

// Run runs go test and returns an error when it failed, when a test was skipped or when none ran. The end of ctx ends the
// tests, and nothing is left of them.
func Run(ctx context.Context, o Options) (err error) {
	if o.Out == nil {
		o.Out = os.Stdout
	}
	if o.Ended == nil {
		o.Ended = func(r Result) {
			if r.Action != "pass" {
				fmt.Fprint(o.Out, r.Output)
			}
		}
	}
	dir, remove, err := scratch()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	command := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, o.Args...)...)
	command.Dir, command.Stderr, command.Env = o.Dir, os.Stderr, append(os.Environ(), "TMPDIR="+dir)
	// The go command would wait for its tests, so the interrupt goes to them as well: to all of a process group of their own.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error {
		group := -command.Process.Pid
		time.AfterFunc(endWithin, func() { _ = syscall.Kill(group, syscall.SIGKILL) }) // mostly there is nobody left
		return syscall.Kill(group, syscall.SIGINT)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return fmt.Errorf("run go test: %w", err)
	}
	results, read := report(out, o)
	ended := command.Wait()
	if ended != nil {
		ended = fmt.Errorf("go test: %w", ended)
	}
	if ended == nil && len(results) == 0 {
		ended = errors.New("no test ran; see the names of the packages and of the tests")
	}
	o.slowest(results)
	return errors.Join(read, ended, skipped(results))
}

// event is a line of go test -json.
type event struct {
	Action  string
	Package string
	Test    string
	Elapsed float64
	Output  string
}

var took = regexp.MustCompile(`(?m)^ +\w+\.go:\d+: took ([0-9.]+)s$`)

// reading takes in the events of go test.
type reading struct {
	Options
	results []Result
	// outputs are those of what has not ended yet, by package and test; a package's own has no test.
	outputs map[[2]string]*strings.Builder
}

// report prints what happens and returns how the tests ended.
func report(in io.Reader, o Options) ([]Result, error) {
	r := reading{Options: o, outputs: map[[2]string]*strings.Builder{}}
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, 4<<20)
	for scanner.Scan() {
		var e event
		if err := json.Unmarshal(scanner.Bytes(), &e); err != nil {
			fmt.Fprintln(o.Out, scanner.Text()) // not of go test
			continue
		}
		r.take(e)
	}
	return r.results, scanner.Err()
}

func (r *reading) take(e event) {
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.Out, e.Output)
	case "output":
		key := [2]string{e.Package, e.Test}
		if r.outputs[key] == nil {
			r.outputs[key] = &strings.Builder{}
		}
		r.outputs[key].WriteString(e.Output)
	case "pass", "fail", "skip":
		if e.Test != "" {
			r.end(e)
			return
		}
		if e.Action == "fail" {
			r.endTheRest(e.Package)
		}
		fmt.Fprint(r.Out, closing(e.Action, r.output(e.Package, "")))
	}
}

// endTheRest fails the tests of a package that had not ended when the package did: those that were running when one of them
// took too long, panicked or ended the process. What they printed names the reason.
func (r *reading) endTheRest(name string) {
	var tests []string
	for key := range r.outputs {
		if key[0] == name && key[1] != "" {
			tests = append(tests, key[1])
		}
	}
	slices.Sort(tests)
	for _, test := range tests {
		r.end(event{Action: "fail", Package: name, Test: test})
	}
}

func (r *reading) end(e event) {
	result := Result{
		Package: e.Package, Test: e.Test, Action: e.Action, Took: time.Duration(e.Elapsed * float64(time.Second)), Output: r.output(e.Package, e.Test),
	}
	for _, line := range took.FindAllStringSubmatch(result.Output, -1) {
		if seconds, err := strconv.ParseFloat(line[1], 64); err == nil {
			result.Took = time.Duration(seconds * float64(time.Second))
		}
	}
	r.results = append(r.results, result)
	r.Ended(result)
}

// output returns what was printed, and forgets it.
func (r *reading) output(name, test string) string {
	key := [2]string{name, test}
	defer delete(r.outputs, key)
	if b := r.outputs[key]; b != nil {
		return b.String()
	}
	return ""
}

// closing is what is shown of a package's own output: of one that failed everything, else the last line, go test's own.
func closing(action, output string) string {
	if action == "fail" {
		return output
	}
	lines := strings.SplitAfter(strings.TrimSuffix(output, "\n"), "\n")
	last := lines[len(lines)-1]
	if strings.HasPrefix(last, "?") {
		return "" // no test files
	}
	return last + "\n"
}

func skipped(results []Result) error {
	var errs []error
	for _, r := range results {
		if r.Action == "skip" {
			errs = append(errs, fmt.Errorf("%s of %s was skipped; a skipped test proves nothing", r.Test, r.Package))
		}
	}
	return errors.Join(errs...)
}

// slowest lists the slowest tests that have no subtests.
func (o Options) slowest(results []Result) {
	parents := map[[2]string]bool{}
	for _, r := range results {
		for at, char := range r.Test {
			if char == '/' {
				parents[[2]string{r.Package, r.Test[:at]}] = true
			}
		}
	}
	results = slices.DeleteFunc(slices.Clone(results), func(r Result) bool { return parents[[2]string{r.Package, r.Test}] })
	slices.SortStableFunc(results, func(a, b Result) int { return cmp.Compare(b.Took, a.Took) })
	results = results[:min(len(results), o.Slowest)]
	if len(results) == 0 {
		return
	}
	fmt.Fprintf(o.Out, "the %d slowest tests:\n", len(results))
	for _, r := range results {
		fmt.Fprintf(o.Out, "  %6.1fs  %s  %s\n", r.Took.Seconds(), strings.TrimPrefix(r.Package, "autoscale.io/"), r.Test)
	}
}
