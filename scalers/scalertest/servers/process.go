package servers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// stopGrace is how long a server may take to end after SIGTERM before it is killed.
const stopGrace = 5 * time.Second

// process is one child in a process group of its own, its output in a file.
type process struct {
	name string
	pid  int
	log  string
	// done is closed once the child has been waited for.
	done chan struct{}
}

// startProcess runs the command with its output appended to the log file. It returns as soon as the child runs; whether the child serves is the
// caller's to find out.
func startProcess(cmd *exec.Cmd, log string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", cmd.Path, err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	attributes := childAttributes()
	if cmd.SysProcAttr != nil {
		attributes.Credential = cmd.SysProcAttr.Credential
	}
	cmd.SysProcAttr = attributes
	p := &process{name: cmd.Path, log: log, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The kernel sends the death signal when the thread that started the child ends, not the process: the thread stays with the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		err := cmd.Start()
		// The child has its own descriptor.
		_ = out.Close()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			// How it ended is of no interest: it was asked to, or its log says why.
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		<-p.done
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// signal reaches the child and everything it started.
func (p *process) signal(signal syscall.Signal) error {
	if p.exited() {
		return fmt.Errorf("%s has ended; its last output was: %s", p.name, p.tail())
	}
	if err := syscall.Kill(-p.pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("%s of %s: %w", signal, p.name, err)
	}
	return nil
}

// pause stops the child and everything it started, and returns once it stands still.
func (p *process) pause() error {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	return awaitStopped(p.pid)
}

func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop ends the child, by force if it does not listen, and returns when it is gone.
func (p *process) stop() {
	if p.exited() {
		return
	}
	// A paused child takes SIGTERM only after it resumes.
	_ = p.signal(syscall.SIGTERM)
	_ = p.signal(syscall.SIGCONT)
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	select {
	case <-p.done:
	case <-grace.C:
		p.kill()
	}
}

// kill ends the child without a word, as a lost node would, and returns when it is gone.
func (p *process) kill() {
	_ = p.signal(syscall.SIGKILL)
	<-p.done
}

// tail returns the last lines of the child's output.
func (p *process) tail() string {
	const keep = 2000
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	if len(data) > keep {
		data = data[len(data)-keep:]
	}
	return strings.TrimSpace(string(data))
}
