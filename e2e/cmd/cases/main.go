// Command cases runs field cases by their IDs and prints a line for each, or renders their documentation.
//
// It owns the choice and the report; the cases themselves are tests in package cases.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"syscall"

	"autoscale.io/e2e/cases"
)

func main() {
	docs := flag.String("docs", "", "write the documentation of the cases to this file and run none")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), `cases [flags] [ID …] runs field cases, all without an ID, and prints a line for each:

  RS-01 pass 3.2s a nil lag is counted exactly

It exits non-zero when a case fails, is skipped or does not exist.

`)
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *docs, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cases:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, docs string, ids []string) error {
	if docs != "" {
		return os.WriteFile(docs, []byte(cases.Markdown()), 0o644) //nolint:gosec // G306: documentation is for everybody
	}
	known := map[string]cases.Case{}
	var all []string
	for _, c := range cases.All() {
		known[c.ID] = c
		all = append(all, c.ID)
	}
	if len(ids) == 0 {
		ids = all
	}
	patterns := make([]string, 0, len(ids))
	for _, id := range ids {
		if _, ok := known[id]; !ok {
			return fmt.Errorf("there is no case %s; there are %s", id, strings.Join(all, " "))
		}
		patterns = append(patterns, regexp.QuoteMeta(id))
	}
	passed, ended, err := test(ctx, "^TestCases$/^("+strings.Join(patterns, "|")+")$", known)
	if err != nil {
		return err
	}
	var missing []string
	for _, id := range ids {
		if !passed[id] {
			missing = append(missing, id)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%d of %d did not pass: %s", len(missing), len(ids), strings.Join(missing, " "))
	}
	return ended
}

// event is a line of go test -json.
type event struct {
	Action  string
	Test    string
	Elapsed float64
	Output  string
}

// test runs the cases that match, prints a line for each as it ends, and returns those that passed and how go test itself ended.
func test(ctx context.Context, pattern string, known map[string]cases.Case) (passed map[string]bool, ended, err error) {
	command := exec.CommandContext(ctx, "go", "test", "-json", "-count=1", "-timeout=30m", "-run", pattern, "autoscale.io/e2e/cases")
	command.Stderr = os.Stderr
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := command.Start(); err != nil {
		return nil, nil, fmt.Errorf("run go test: %w", err)
	}
	passed, err = report(out, known)
	if ended = command.Wait(); ended != nil {
		ended = fmt.Errorf("go test: %w", ended)
	}
	return passed, ended, err
}

func report(out io.Reader, known map[string]cases.Case) (map[string]bool, error) {
	passed := map[string]bool{}
	logs := map[string]*strings.Builder{}
	scanner := bufio.NewScanner(out)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var e event
		if err := json.Unmarshal(scanner.Bytes(), &e); err != nil {
			fmt.Println(scanner.Text()) // a build failure is not JSON
			continue
		}
		id := strings.TrimPrefix(e.Test, "TestCases/")
		c, isCase := known[id]
		switch {
		case e.Action == "output" && isCase:
			if logs[id] == nil {
				logs[id] = &strings.Builder{}
			}
			logs[id].WriteString(e.Output)
		case e.Action == "output" && e.Test == "", e.Action == "build-output":
			fmt.Print(e.Output)
		case isCase && (e.Action == "pass" || e.Action == "fail" || e.Action == "skip"):
			fmt.Printf("%s %s %.1fs %s\n", id, e.Action, e.Elapsed, c.Holds)
			if passed[id] = e.Action == "pass"; !passed[id] && logs[id] != nil {
				fmt.Print(logs[id].String())
			}
		}
	}
	return passed, scanner.Err()
}
