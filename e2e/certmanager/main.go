// Command certmanager is the two halves of cert-manager that the webhook's certificate takes: the controller, which issues certificates of self-signed issuers
// and of authorities in a Secret, and the cainjector, which fills bundles.
//
//	certmanager controller --kubeconfig FILE
//	certmanager cainjector --kubeconfig FILE
//
// Both are cert-manager's released packages. Its own commands are modules that the go command cannot fetch, since they replace their parent by a path, so what
// they wire up is wired up here; leader election, metrics and the issuers that need another server are left out. It knows nothing of the autoscaler.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	logf "github.com/cert-manager/cert-manager/pkg/logs"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"
	ctrl "sigs.k8s.io/controller-runtime"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "certmanager:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	parts := map[string]func(context.Context, string) error{"controller": runController, "cainjector": runInjector}
	if len(args) == 0 || parts[args[0]] == nil {
		return fmt.Errorf("got %q, want: certmanager controller|cainjector --kubeconfig FILE", args)
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", "", "the way to the API server, with an administrator's rights")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	log := textlogger.NewLogger(textlogger.NewConfig(textlogger.Verbosity(logf.InfoLevel))).WithName(args[0])
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	ctx, stop := signal.NotifyContext(logf.NewContext(context.Background(), log), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return parts[args[0]](ctx, *kubeconfig)
}
