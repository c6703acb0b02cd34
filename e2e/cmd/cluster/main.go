// Command cluster runs a Kubernetes control plane on this machine until it is interrupted. It parses flags and prints
// what package cluster does; it knows nothing else.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"autoscale.io/e2e/cluster"
)

const usage = `Runs a real Kubernetes control plane on the loopback interface until Ctrl-C: etcd, API server, controller-manager
and scheduler, with KWOK playing the nodes and pods. No container ever runs. From the folder e2e:

  go run ./cmd/cluster
  export KUBECONFIG=...        # the path it prints
  kubectl create deployment web --image=web --replicas=3

The first run builds the programs, which takes about 6 minutes on 2 cores; later ones start in seconds.
A pod claims its usage in its annotations kwok.x-k8s.io/usage-cpu and kwok.x-k8s.io/usage-memory (see -metrics-server).
A pod of a Job ends at once, or after the time in its annotation pod-complete.stage.kwok.x-k8s.io/delay.

Flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	options, err := parse(args, out)
	if err != nil {
		return err
	}
	begin := time.Now()
	c, err := cluster.Start(ctx, options)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "ready in %s; logs are in %s/logs; Ctrl-C ends it\nexport KUBECONFIG=%s\n",
		time.Since(begin).Round(100*time.Millisecond), c.Dir(), c.Kubeconfig())
	<-ctx.Done()
	return c.Stop()
}

func parse(args []string, out io.Writer) (cluster.Options, error) {
	var options cluster.Options
	flags := flag.NewFlagSet("cluster", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprint(out, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&options.Dir, "dir", "", "empty or absent `folder` for logs, data and kubeconfig (default a temporary one)")
	flags.BoolVar(&options.Keep, "keep", false, "leave the folder in place at the end")
	flags.IntVar(&options.Nodes, "nodes", 3, "how many nodes; -1 for none")
	flags.DurationVar(&options.HPASyncPeriod, "hpa-sync-period", 15*time.Second, "how often the HorizontalPodAutoscaler controller looks")
	flags.BoolVar(&options.MetricsServer, "metrics-server", false, "run metrics-server too")
	flags.DurationVar(&options.MetricResolution, "metric-resolution", 15*time.Second, "how often metrics-server scrapes; at least 10s")
	if err := flags.Parse(args); err != nil {
		return cluster.Options{}, err
	}
	if flags.NArg() > 0 {
		return cluster.Options{}, fmt.Errorf("unexpected argument %q; see -help", flags.Arg(0))
	}
	return options, nil
}
