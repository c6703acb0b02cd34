package cluster

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// processAttributes give the child a process group of its own, out of reach of the terminal's Ctrl-C, and have the
// kernel kill it when the thread that started it ends.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitStopped returns once SIGSTOP has taken effect on a child: kill(2) does not wait for that.
func awaitStopped(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED, nil)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		default:
			return fmt.Errorf("process %d ended: %w", pid, err)
		}
	}
}
