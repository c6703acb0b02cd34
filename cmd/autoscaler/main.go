// Command autoscaler is the whole product in one process: the admission webhook and the loop, and the command that ends its work in a cluster. It owns the flags and
// nothing else; packages app and release do what they ask for.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	_ "golang.org/x/crypto/x509roots/fallback" // an image without files must trust the public authorities, too; those of the host win

	"autoscale.io/cmd/autoscaler/app"
	"autoscale.io/cmd/autoscaler/release"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "autoscaler:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	options := app.DefaultOptions()
	c := &cobra.Command{
		Use:   "autoscaler",
		Short: "Scales Kubernetes workloads on events",
		Long: `autoscaler scales Kubernetes workloads on events, configured by autoscale.io/ annotations on the workloads themselves.

It serves the mutating webhook that stamps and checks annotated workloads, reads their triggers, and writes their replicas.
Run two or more: every replica serves the webhook, and they share the workloads by leases.`,
		Args:              noArguments,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE:              func(c *cobra.Command, _ []string) error { return app.Run(c.Context(), options) },
	}
	c.Flags().SortFlags = false
	options.AddFlags(c.Flags())
	c.AddCommand(releaseCommand())
	return c
}

func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q; see --help", args[0])
	}
	return nil
}

func releaseCommand() *cobra.Command {
	options := release.DefaultOptions()
	c := &cobra.Command{
		Use:   "release (--all | --namespace NAMESPACE [KIND/NAME…])",
		Short: "End the management of workloads, before an uninstall",
		Long: `release takes the autoscaler's label and annotations off workloads and leaves each at its present count, or puts back the count from before the autoscaler.
It says what becomes of each, and lists those that are left at 0. It runs with your own rights; stop the autoscaler first.`,
		Example: `  kubectl -n autoscale-system scale deployment autoscaler --replicas=0
  autoscaler release --all --dry-run
  autoscaler release --all --restore`,
		RunE: func(c *cobra.Command, args []string) error {
			options.Objects = args
			return release.Run(c.Context(), c.OutOrStdout(), options)
		},
	}
	c.Flags().SortFlags = false
	options.AddFlags(c.Flags())
	return c
}
