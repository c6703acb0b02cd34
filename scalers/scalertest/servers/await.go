package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// awaitLog waits for one of the lines of the child's output that say it serves. The output, unlike an answer on the port, cannot be another server's. A child that does not
// get there is ended.
func awaitLog(ctx context.Context, proc *process, ready ...string) error {
	err := waitFor(ctx, filepath.Base(proc.name)+" did not start", func(context.Context) error {
		// Looked at before the log, so that the last words of a child that ended are in it.
		ended := proc.exited()
		text, err := os.ReadFile(proc.log)
		switch {
		case err != nil:
			return finalError{err}
		case slices.ContainsFunc(ready, func(line string) bool { return strings.Contains(string(text), line) }):
			return nil
		case ended:
			return finalError{fmt.Errorf("it ended: %s", proc.tail())}
		}
		return errors.New("it is starting")
	})
	if err != nil {
		proc.kill()
	}
	return err
}
