// Command demo shows the autoscaler at work on the real thing: a real API server with its controllers, a real Redis, the
// shipped manifests and rights. Only the pods are played: KWOK reports that they run, and the demo does their work.
//
// It owns the builds, and the words about how long they take: it imports little, so that it compiles in seconds and shows
// the progress of a first run from the beginning. The program in the folder play starts everything and tells the story.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"autoscale.io/e2e/cmd/demo/step"
	"autoscale.io/e2e/programs"
	"autoscale.io/e2e/tree"
)

const (
	usage = `demo builds and starts a Kubernetes control plane and the autoscaler, and shows how a workload is scaled.
It exits non-zero when a step does not happen. Ctrl-C ends every process that it has started.

`
	firstRun = "The control plane is not built yet. Steps 1 and 2 take about 9 minutes on 2 cores, once; the other steps take about %s.\n"
	laterRun = "The control plane is built. The steps take about %s.\n"
)

type options struct {
	story string
	keep  bool
}

func main() {
	var o options
	flag.StringVar(&o.story, "story", "queue", "what to show: `queue` scales on the backlog of a Redis stream, cpu on the usage that metrics-server reports")
	flag.BoolVar(&o.keep, "keep", false, "leave everything running after the story, until Ctrl-C, and print what to try")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	command, err := prepare(ctx, o, os.Stdout)
	interrupted := ctx.Err() != nil
	stop()
	if err == nil && !interrupted {
		// The program takes the place of this one, so that a signal reaches it whoever sends the signal.
		err = syscall.Exec(command[0], command, os.Environ())
	}
	if interrupted {
		fmt.Println("\ninterrupted; everything is stopped")
		os.Exit(130)
	}
	fmt.Fprintln(os.Stderr, "\nThe demo failed:", err)
	os.Exit(1)
}

// check fails early, before minutes of building, if something is missing.
func (o options) check() error {
	switch o.story {
	case "cpu":
		return nil
	case "queue":
	default:
		return fmt.Errorf("there is no story %q; wanted queue or cpu, as in: make demo DEMO=cpu", o.story)
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		return errors.New("the program redis-server is not in PATH; install it with: sudo apt-get install -y redis-server")
	}
	return nil
}

// length is how long the steps after the builds take.
func (o options) length() string {
	if o.story == "cpu" {
		return "3 minutes"
	}
	return "1 minute"
}

// prepare builds everything and returns the command of the story.
func prepare(ctx context.Context, o options, w io.Writer) ([]string, error) {
	began := time.Now()
	if err := o.check(); err != nil {
		return nil, err
	}
	built, err := programs.ControlPlane().Built(ctx, programs.Options{})
	if err != nil {
		return nil, err
	}
	forecast := firstRun
	if built {
		forecast = laterRun
	}
	fmt.Fprintf(w, "The demo has %d steps. "+forecast+"Ctrl-C ends everything at any time.\n", step.Last, o.length())

	step.ControlPlane.Begin(w, began)
	controlPlane, err := programs.ControlPlane().Build(ctx, programs.Options{Progress: w})
	if err != nil {
		return nil, err
	}
	step.Autoscaler.Begin(w, began)
	root, err := tree.Root(ctx)
	if err != nil {
		return nil, err
	}
	into := filepath.Join(root, "build", "demo")
	for _, job := range []programs.Job{
		{What: "the autoscaler", Dir: root, Packages: []string{"./cmd/autoscaler"}, Into: into},
		{What: "the demo", Dir: filepath.Join(root, "e2e"), Packages: []string{"./cmd/demo/play"}, Into: into},
	} {
		if err := job.Compile(ctx, w); err != nil {
			return nil, err
		}
	}
	command := []string{
		filepath.Join(into, "play"), "-story=" + o.story, "-began=" + began.Format(time.RFC3339),
		"-programs=" + controlPlane.Dir, "-autoscaler=" + filepath.Join(into, "autoscaler"),
	}
	if o.keep {
		command = append(command, "-keep")
	}
	return command, nil
}
