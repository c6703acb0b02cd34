// Command autoscaler is the whole product in one process: the admission webhook and the loop. It owns the flags and nothing else; package app
// wires the parts.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"

	"autoscale.io/cmd/autoscaler/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "autoscaler:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	options := app.DefaultOptions()
	flags := pflag.NewFlagSet("autoscaler", pflag.ContinueOnError)
	flags.SortFlags = false
	flags.Usage = func() {
		fmt.Fprint(os.Stderr, `autoscaler scales Kubernetes workloads on events, configured by autoscale.io/ annotations on the workloads themselves.

It serves the mutating webhook that stamps and checks annotated workloads, reads their triggers, and writes their replicas.
Run two or more: every replica serves the webhook, and they share the workloads by leases.

Flags:
`, flags.FlagUsages())
	}
	options.AddFlags(flags)
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return nil
		}
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; see --help", flags.Arg(0))
	}
	return app.Run(ctx, options)
}
