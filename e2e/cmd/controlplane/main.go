// Command controlplane builds the programs of the control plane that the tests run on, and cert-manager, which some of them run on it; it shows how the build gets on, and prints the folder that
// holds the first, which can serve as the KUBEBUILDER_ASSETS of controller-runtime's envtest. It starts none of them.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"autoscale.io/e2e/cluster"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	programs, err := cluster.Build(ctx, cluster.BuildOptions{})
	if err == nil {
		_, err = cluster.BuildCertManager(ctx, cluster.BuildOptions{})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		os.Exit(1)
	}
	fmt.Println(programs.Dir)
}
