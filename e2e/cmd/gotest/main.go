// Command gotest runs go test with the arguments after its own flags, and lists the slowest tests at the end.
//
// It owns its flags alone; package gotest does the work.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"autoscale.io/e2e/gotest"
)

func main() {
	dir := flag.String("C", "", "the folder to run go test in")
	slowest := flag.Int("slowest", 10, "how many of the slowest tests are listed at the end")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), `gotest [flags] [-- flags of go test] [package …] runs go test. It prints a line for each package and the whole output of
what failed. It exits non-zero when a test fails or is skipped.

`)
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), gotest.Signals()...)
	err := gotest.Run(ctx, gotest.Options{Dir: *dir, Args: flag.Args(), Slowest: *slowest})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
