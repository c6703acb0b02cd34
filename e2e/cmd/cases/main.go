// Command cases runs field cases by their IDs and prints a line for each, or renders their documentation.
//
// It owns the choice and the report; the cases themselves are tests in package cases.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"

	"autoscale.io/e2e/cases"
	"autoscale.io/e2e/gotest"
	"autoscale.io/e2e/world"
)

func main() {
	docs := flag.String("docs", "", "write the documentation of the cases to this file and run none")
	in := flag.String("in", "", "run only the cases of this run: test or soak")
	deflake := flag.Bool("until-it-fails", false, "run the cases again and again on one cluster until one fails")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), `cases [flags] [ID …] runs field cases, all without an ID, and prints a line for each:

  RS-01 pass 3.2s a nil lag is counted exactly

It exits non-zero when a case fails, is skipped or does not exist.

`)
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), gotest.Signals()...)
	var err error
	if *docs != "" {
		err = os.WriteFile(*docs, []byte(cases.Markdown()), 0o644) //nolint:gosec // G306: documentation is for everybody
	} else {
		err = run(ctx, world.Run(*in), *deflake, flag.Args())
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cases:", err)
		os.Exit(1)
	}
}

// run runs the cases with these IDs, or those of a run; again and again if it is to deflake them.
func run(ctx context.Context, in world.Run, deflake bool, ids []string) error {
	chosen, err := choose(in, ids)
	if err != nil {
		return err
	}
	left := map[string]world.Case{}
	patterns := make([]string, 0, len(chosen))
	for _, c := range chosen {
		left[c.ID] = c
		patterns = append(patterns, regexp.QuoteMeta(c.ID))
	}
	repeat := []string{"-count=1", "-timeout=60m"}
	if deflake {
		repeat = []string{"-count=1000000", "-failfast", "-timeout=0"}
	}
	err = gotest.Run(ctx, gotest.Options{
		Args:    append(repeat, "-run", "^Test(Cases|Soak)$/^("+strings.Join(patterns, "|")+")$", "autoscale.io/e2e/cases"),
		Slowest: 10,
		Ended: func(r gotest.Result) {
			_, id, _ := strings.Cut(r.Test, "/")
			c, ok := left[id]
			if !ok {
				if r.Action != "pass" { // a part of a case
					fmt.Print(r.Output)
				}
				return
			}
			fmt.Printf("%s %s %.1fs %s\n", id, r.Action, r.Took.Seconds(), c.Holds)
			if r.Action != "pass" {
				fmt.Print(r.Output)
				return
			}
			delete(left, id)
		},
	})
	if len(left) > 0 {
		var missing []string
		for id := range left {
			missing = append(missing, id)
		}
		slices.Sort(missing)
		return fmt.Errorf("%d of %d did not pass: %s", len(missing), len(chosen), strings.Join(missing, " "))
	}
	return err
}

// choose returns the cases with the IDs, or all of a run, or all.
func choose(in world.Run, ids []string) ([]world.Case, error) {
	if in != "" && in != world.Test && in != world.Soak {
		return nil, fmt.Errorf("there is no run %q; there are %s and %s", in, world.Test, world.Soak)
	}
	var chosen []world.Case
	var known []string
	for _, c := range cases.All() {
		known = append(known, c.ID)
		if len(ids) > 0 && slices.Contains(ids, c.ID) || len(ids) == 0 && (in == "" || c.In == in) {
			chosen = append(chosen, c)
		}
	}
	for _, id := range ids {
		if !slices.Contains(known, id) {
			return nil, fmt.Errorf("there is no case %s; there are %s", id, strings.Join(known, " "))
		}
	}
	return chosen, nil
}
