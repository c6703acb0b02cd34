//go:build unix && !linux

package cluster

import "syscall"

// processAttributes give the child a process group of its own. Only Linux can tie its life to its parent's: elsewhere
// a parent that is killed leaves its processes behind.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

func awaitStopped(int) error { return nil }
