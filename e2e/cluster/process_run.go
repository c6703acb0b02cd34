package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	tailBytes = 4096
	tailLines = 20
)

// start runs the program and waits until it is ready; the caller holds p.mu and has seen that nothing runs.
func (p *Process) start(ctx context.Context) error {
	err := p.startOnce(ctx)
	var ended endedError
	if p.command.Crashes && errors.As(err, &ended) {
		err = p.startOnce(ctx)
	}
	return err
}

func (p *Process) startOnce(ctx context.Context) error {
	offset := fileSize(p.command.Log) // so that an error does not quote an earlier life
	r, err := p.launch()
	if err != nil {
		return fmt.Errorf("starting %s: %w", p.Name(), err)
	}
	p.current.Store(r)
	ctx, cancel := context.WithTimeout(ctx, p.command.ReadyTimeout)
	defer cancel()
	err = p.awaitReady(ctx, r)
	if err == nil {
		return nil
	}
	return errors.Join(fmt.Errorf("%s %w\nits log %s ends:\n%s", p.Name(), err, p.command.Log, tail(p.command.Log, offset)), p.kill())
}

func (p *Process) awaitReady(ctx context.Context, r *run) error {
	if p.command.Ready == nil {
		return nil
	}
	for {
		err := p.command.Ready(ctx)
		select {
		case <-r.done:
			return endedError{exitReason(r.err)}
		default:
		}
		if err == nil {
			return nil
		}
		select {
		case <-r.done:
		case <-ctx.Done():
			return fmt.Errorf("was not ready in time: %w", err)
		case <-time.After(readyInterval):
		}
	}
}

// endedError says that a program ended by itself.
type endedError struct{ reason error }

// Error implements error.
func (e endedError) Error() string { return fmt.Sprintf("ended before it was ready (%v)", e.reason) }

func exitReason(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// launch starts the program and leaves a goroutine that waits for its end. That goroutine keeps its OS thread until
// then, because Linux sends the parent-death signal when the thread that started the child ends, not the process.
func (p *Process) launch() (*run, error) {
	log, err := os.OpenFile(p.command.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(p.command.Path, p.command.Args...)
	cmd.Dir = p.command.Dir
	cmd.Env = append(os.Environ(), p.command.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = processAttributes()

	r := &run{done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(r.done)
		err := cmd.Start()
		_ = log.Close() // the child has its own descriptor
		if err == nil {
			r.pid = cmd.Process.Pid
		}
		started <- err
		if err != nil {
			return
		}
		r.err = cmd.Wait()
		// Whatever the program has started and left behind goes with it.
		_ = syscall.Kill(-r.pid, syscall.SIGKILL)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return r, nil
}

func (p *Process) kill() error {
	r := p.current.Load()
	if !p.Running() {
		return nil
	}
	if err := syscall.Kill(-r.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("killing %s (process group %d): %w", p.Name(), r.pid, err)
	}
	<-r.done
	return nil
}

func (p *Process) stop() error {
	if !p.Running() {
		return nil
	}
	r := p.current.Load()
	// The program first, so that it can end its children in its own order; a stopped group could not.
	for _, step := range []struct {
		target int
		signal syscall.Signal
	}{{r.pid, syscall.SIGTERM}, {-r.pid, syscall.SIGCONT}} {
		if err := syscall.Kill(step.target, step.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stopping %s (process %d): %w", p.Name(), r.pid, err)
		}
	}
	select {
	case <-r.done:
		return nil
	case <-time.After(p.command.StopTimeout):
	}
	if err := p.kill(); err != nil {
		return err
	}
	return fmt.Errorf("%s did not end within %s of SIGTERM and was killed; its log is %s",
		p.Name(), p.command.StopTimeout, p.command.Log)
}

func (p *Process) signal(verb string, sig syscall.Signal) error {
	if !p.Running() {
		return fmt.Errorf("cannot %s %s: it does not run", verb, p.Name())
	}
	if err := syscall.Kill(-p.PID(), sig); err != nil {
		return fmt.Errorf("cannot %s %s (process group %d): %w", verb, p.Name(), p.PID(), err)
	}
	return nil
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// tail returns the last lines of a log, none from before offset.
func tail(path string, offset int64) string {
	file, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	offset = max(offset, fileSize(path)-tailBytes)
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return err.Error()
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
