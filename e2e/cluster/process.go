package cluster

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	defaultReadyTimeout = 60 * time.Second
	defaultStopTimeout  = 10 * time.Second
	readyInterval       = 50 * time.Millisecond
)

// Command says how a [Process] is started. Path and Log are required.
type Command struct {
	// Name stands for the process in errors. Defaults to the base name of Path.
	Name string
	// Path is the program, absolute or looked up in PATH.
	Path string
	// Args are its arguments, without the program's name.
	Args []string
	// Env holds KEY=value pairs, added to this process's own environment.
	Env []string
	// Dir is the working directory. Defaults to that of this process.
	Dir string
	// Log is the file that standard output and standard error are appended to.
	Log string
	// Ready returns nil once the process does its work. It is asked every 50 ms. Defaults to: as soon as it runs.
	Ready func(context.Context) error
	// ReadyTimeout is how long Ready may fail before the process is killed. Defaults to 60 s.
	ReadyTimeout time.Duration
	// StopTimeout is how long Stop waits after SIGTERM before it kills. Defaults to 10 s.
	StopTimeout time.Duration
	// Crashes says that the program is known to crash now and then before it is ready, through no fault of the one who starts it: it is then started once more.
	Crashes bool
}

// Process is a program that can be started, disturbed and started again. Its methods may be called from several
// goroutines.
//
// The program leads a process group of its own, and the group ends with it. On Linux it is also killed when this
// process ends in whatever way, a SIGKILL included.
type Process struct {
	command Command
	mu      sync.Mutex          // held while starting and stopping
	current atomic.Pointer[run] // nil before the first Start
}

// run is one life of a Process.
type run struct {
	pid  int
	done chan struct{} // closed once the program is gone
	err  error         // how it ended; read after done
}

// NewProcess returns a process that is not yet started.
func NewProcess(command Command) *Process {
	if command.Name == "" {
		command.Name = filepath.Base(command.Path)
	}
	if command.ReadyTimeout <= 0 {
		command.ReadyTimeout = defaultReadyTimeout
	}
	if command.StopTimeout <= 0 {
		command.StopTimeout = defaultStopTimeout
	}
	return &Process{command: command}
}

// Name is the name used in errors.
func (p *Process) Name() string { return p.command.Name }

// Log is the path of the log file; it holds all lives of the process, one after another.
func (p *Process) Log() string { return p.command.Log }

// LogTail returns the last lines of the log, 4 KiB at most.
func (p *Process) LogTail() string { return tail(p.command.Log, 0) }

// PID is the process id of the latest life, also the id of its process group; 0 before the first Start.
func (p *Process) PID() int {
	if r := p.current.Load(); r != nil {
		return r.pid
	}
	return 0
}

// Done is closed when the latest life has ended, for whatever reason. Before the first Start it is closed already.
func (p *Process) Done() <-chan struct{} {
	if r := p.current.Load(); r != nil {
		return r.done
	}
	ended := make(chan struct{})
	close(ended)
	return ended
}

// Running tells whether the program lives; a paused program does.
func (p *Process) Running() bool {
	select {
	case <-p.Done():
		return false
	default:
		return true
	}
}

// Start runs the program and returns once it is ready. ctx and ReadyTimeout limit the waiting, not the program's life.
// On any error the program is gone; the error quotes the end of its log.
func (p *Process) Start(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Running() {
		return fmt.Errorf("%s already runs as process %d; stop it first or call Restart", p.Name(), p.PID())
	}
	return p.start(ctx)
}

// Restart stops the program if it runs, then starts it with the same arguments, so on the same ports and data, and
// returns once it is ready.
func (p *Process) Restart(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.stop(); err != nil {
		return err
	}
	return p.start(ctx)
}

// Pause stops the whole process group in its tracks (SIGSTOP) and returns once it stands still. Connections stay
// open and unanswered, as with a machine that hangs.
func (p *Process) Pause() error {
	if err := p.signal("pause", syscall.SIGSTOP); err != nil {
		return err
	}
	if err := awaitStopped(p.PID()); err != nil {
		return fmt.Errorf("pausing %s: %w", p.Name(), err)
	}
	return nil
}

// Resume continues a paused process group (SIGCONT). It does nothing to one that runs.
func (p *Process) Resume() error { return p.signal("resume", syscall.SIGCONT) }

// Signal sends one signal to the program alone, not to its group.
func (p *Process) Signal(sig syscall.Signal) error {
	if !p.Running() {
		return fmt.Errorf("cannot send %v to %s: it does not run", sig, p.Name())
	}
	return syscall.Kill(p.PID(), sig)
}

// Kill ends the process group at once (SIGKILL) and returns when the program is gone. It does nothing to one that has
// ended.
func (p *Process) Kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kill()
}

// Stop asks the program to end (SIGTERM), waits, and kills it after StopTimeout, which is an error. A paused program is
// resumed. It does nothing to one that has ended.
func (p *Process) Stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stop()
}
