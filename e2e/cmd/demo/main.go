// Command demo shows the autoscaler at work on the real thing: a real API server with its controllers, a real Redis, the shipped manifests and
// rights. Only the pods are played: KWOK says that they run, and the demo consumes for each that is ready.
//
// It owns the story and its pictures; packages cluster, product and servers start what it is played on.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	keep := flag.Bool("keep", false, "leave everything running after the story, until Ctrl-C, and say what to try")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), `demo plays the main job of the autoscaler on a control plane of its own, in about a minute after the build:
a Deployment at zero is annotated, gets bursts of messages in a Redis stream, goes up to its maximum and back to zero.
It exits non-zero when a step does not happen. Ctrl-C ends every process it started.

`)
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *keep)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case err == nil:
	case interrupted && (errors.Is(err, context.Canceled) || *keep):
		fmt.Println("\ninterrupted; everything is stopped")
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "\nThe demo failed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, keep bool) (err error) {
	dir, err := os.MkdirTemp("", "autoscale-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := setUp(ctx, dir)
	if err != nil {
		return err
	}
	defer s.tearDown()
	if err := s.play(ctx); err != nil {
		return fmt.Errorf("%w\nthe end of the autoscaler's log:\n%s", err, s.scaler.LogTail())
	}
	if keep {
		s.explain()
		<-ctx.Done()
	}
	return nil
}

// say prints one line of the story with the time since the start.
func say(format string, args ...any) { fmt.Printf("\n▶ "+format+"\n", args...) }

// sinceStart stamps the rows.
type sinceStart time.Time

func (s sinceStart) String() string {
	return fmt.Sprintf("%5.1fs", time.Since(time.Time(s)).Seconds())
}
