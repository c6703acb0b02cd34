// Command play is the part of the demo that starts everything and tells the story. Command demo builds what it needs and
// starts it.
//
// It owns the stories and their pictures; packages cluster, product and servers start what it is played on.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"autoscale.io/e2e/cmd/demo/step"
)

// options are the flags.
type options struct {
	story      string
	keep       bool
	began      time.Time
	programs   string
	autoscaler string
}

func main() {
	o := options{began: time.Now()}
	flag.StringVar(&o.story, "story", "queue", "queue or cpu")
	flag.BoolVar(&o.keep, "keep", false, "leave everything running after the story, until Ctrl-C")
	flag.Func("began", "when the demo began (RFC 3339)", func(text string) (err error) {
		o.began, err = time.Parse(time.RFC3339, text)
		return err
	})
	flag.StringVar(&o.programs, "programs", "", "the folder of the control plane's programs")
	flag.StringVar(&o.autoscaler, "autoscaler", "", "the autoscaler's program")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, o)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case interrupted:
		fmt.Println("\ninterrupted; everything is stopped")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "\nThe demo failed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	if o.programs == "" || o.autoscaler == "" {
		return errors.New("-programs and -autoscaler are missing; start the demo with: make demo")
	}
	dir, err := os.MkdirTemp("", "autoscale-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := setUp(ctx, dir, o)
	if err != nil {
		return err
	}
	defer s.tearDown()
	ctx, cancel := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()

	step.Story.Begin(os.Stdout, o.began)
	told := s.story()
	if err := s.play(ctx, told, &background); err != nil {
		return fmt.Errorf("%w\nthe end of the autoscaler's log:\n%s", err, s.scaler.LogTail())
	}
	if !o.keep {
		return nil
	}
	s.explain(told)
	select {
	case <-ctx.Done():
		return nil
	case <-s.scaler.Done():
		return fmt.Errorf("the autoscaler has ended\nthe end of its log:\n%s", s.scaler.LogTail())
	}
}

// say prints one line of the story.
func say(format string, args ...any) { fmt.Printf("\n▶ "+format+"\n", args...) }

// sinceStart stamps the rows.
type sinceStart time.Time

func (s sinceStart) String() string {
	return fmt.Sprintf("%5.1fs", time.Since(time.Time(s)).Seconds())
}
