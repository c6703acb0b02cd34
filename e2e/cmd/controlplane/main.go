// Command controlplane builds the programs that the tests run on: the control plane, and cert-manager, which some of the
// tests run on it. It shows how far the build is, and prints the folder of the control plane, which can serve as the
// KUBEBUILDER_ASSETS of controller-runtime's envtest. It starts none of the programs.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"autoscale.io/e2e/programs"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	controlPlane, err := programs.ControlPlane().Build(ctx, programs.Options{})
	if err == nil {
		_, err = programs.CertManager().Build(ctx, programs.Options{})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		os.Exit(1)
	}
	fmt.Println(controlPlane.Dir)
}
