//go:build unix && !linux

package servers

import "syscall"

// childAttributes put the child in its own process group. Only Linux can tie the child's life to its parent's.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

func awaitStopped(int) error { return nil }
