package gotest

import (
	"fmt"
	"os"
	"time"
)

// scratch makes the folder for the temporary files of a run, and returns what removes it. A run that is interrupted ends
// its tests before they can clean up; their servers end with them, but a moment later, and may write until then.
func scratch() (dir string, remove func() error, err error) {
	dir, err = os.MkdirTemp("", "gotest-")
	if err != nil {
		return "", nil, fmt.Errorf("make a folder for temporary files: %w", err)
	}
	// The servers of root's tests run as another user, who must reach their folders in it.
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // G302: what is in it has permissions of its own
		return "", nil, fmt.Errorf("open the folder for temporary files: %w", err)
	}
	return dir, func() (err error) {
		for range 20 {
			if err = os.RemoveAll(dir); err == nil {
				return nil
			}
			time.Sleep(100 * time.Millisecond)
		}
		return fmt.Errorf("remove the temporary files: %w", err)
	}, nil
}
