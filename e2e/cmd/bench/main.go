// Command bench measures the autoscaler on a real control plane with real servers, prints a table, and fails when a row misses its budget.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"autoscale.io/e2e/bench"
)

func main() {
	quick := flag.Bool("quick", false, "leave out the rows of 5,000 workloads and measure shorter: 7 minutes instead of 20")
	out := flag.String("o", "bench.json", "file for the figures, as JSON")
	seed := flag.Uint64("seed", 0, "chooses when work comes; 0 takes a new seed")
	only := flag.String("only", "", "run these parts alone, with commas between them: "+strings.Join(bench.Parts(), ","))
	profiles := flag.String("profiles", "", "folder for Go profiles of the autoscaler at rest; none are taken when it is empty")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), `bench measures the autoscaler on a control plane of its own: how soon it reacts, what it costs at rest, how it starts again.
It prints a table with the budget of each row, writes it as JSON, and exits non-zero when a row misses its budget or was not measured.
The machine should do nothing else meanwhile.

`)
		flag.PrintDefaults()
	}
	flag.Parse()
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	var parts []string
	for _, name := range strings.FieldsFunc(*only, func(r rune) bool { return r == ',' }) {
		if !slices.Contains(bench.Parts(), name) {
			fmt.Fprintf(os.Stderr, "-only: unknown part %q; want some of %s\n", name, strings.Join(bench.Parts(), ", "))
			os.Exit(2)
		}
		parts = append(parts, name)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, bench.Options{Seed: *seed, Quick: *quick, Only: parts, Profiles: *profiles, Progress: os.Stderr}, *out); err != nil {
		fmt.Fprintln(os.Stderr, "\n"+err.Error())
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, o bench.Options, out string) error {
	report, failed := bench.Run(ctx, o)
	if failed != nil && len(report.Rows) == 0 {
		return failed
	}
	// What was found before something went wrong took minutes to find.
	fmt.Printf("\n%s, %d cores, load %.1f before the run, seed %d\n\n", report.Machine.CPU, report.Machine.Cores, report.Machine.Load, report.Seed)
	return errors.Join(report.Table(os.Stdout), report.Write(out), failed, report.Verdict())
}
