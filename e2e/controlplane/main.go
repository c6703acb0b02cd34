// Command controlplane is a whole Kubernetes control plane in one binary: etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler and metrics-server, each the real program with its own flags.
//
// The part is chosen by the name the binary is called by, so that symbolic links in one folder stand for the five
// programs (and serve as the KUBEBUILDER_ASSETS of controller-runtime's envtest), or else by the first argument:
//
//	controlplane kube-apiserver --help
//
// One binary, because the five share nearly all of their code: linking them apart takes four more minutes and
// 500 MB. It knows nothing of ports, certificates or other parts; package cluster puts the parts together. KWOK is
// not in it: its flag "version" clashes with Kubernetes' own.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	_ "time/tzdata" // CronJobs name time zones, and a bare machine may have no zone files.

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // client-go's metrics on /metrics
	_ "k8s.io/component-base/metrics/prometheus/version"  // the build's version on /metrics
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	metricsserver "sigs.k8s.io/metrics-server/cmd/metrics-server/app"
)

// parts are the programs by name. Only the chosen one is built: each of them takes the process's one signal
// handler as it is made.
func parts() map[string]func(args []string) int {
	return map[string]func(args []string) int{
		"etcd": func(args []string) int {
			etcdmain.Main(args)
			return 0
		},
		"kube-apiserver":          command(apiserver.NewAPIServerCommand),
		"kube-controller-manager": command(controllermanager.NewControllerManagerCommand),
		"kube-scheduler":          command(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
		"metrics-server": command(func() *cobra.Command {
			return metricsserver.NewMetricsServerCommand(server.SetupSignalHandler())
		}),
	}
}

func command(build func() *cobra.Command) func(args []string) int {
	return func(args []string) int {
		cmd := build()
		cmd.SetArgs(args[1:])
		return cli.Run(cmd)
	}
}

func main() {
	run, args, err := choose(os.Args)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	os.Args = args // Cobra and klog read the program's name from here.
	os.Exit(run(args))
}

// choose returns the part that args ask for, with its own arguments: the part's name first.
func choose(args []string) (run func([]string) int, rest []string, err error) {
	all := parts()
	if run, ok := all[filepath.Base(args[0])]; ok {
		return run, args, nil
	}
	names := "etcd, kube-apiserver, kube-controller-manager, kube-scheduler, metrics-server"
	if len(args) < 2 || strings.HasPrefix(args[1], "-") {
		return nil, nil, fmt.Errorf("usage: controlplane PART [FLAG...], where PART is one of %s", names)
	}
	run, ok := all[args[1]]
	if !ok {
		return nil, nil, fmt.Errorf("controlplane: there is no part %q; it is one of %s", args[1], names)
	}
	return run, args[1:], nil
}
