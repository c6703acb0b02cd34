// Package servers starts real servers for tests and demonstrations: each on reserved loopback ports, with its data in a temporary directory of its own.
//
// It owns the processes it starts, and ends them on Stop and when the process that started them dies. It refuses to know any server that the machine
// already runs, anything about scaling, and the testing package: what it needs of a test is the small interface TB.
package servers

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// TB is the part of testing.TB that the Must functions use.
type TB interface {
	Helper()
	Context() context.Context
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// must registers the server's Stop as a cleanup of the test, and ends the test if the server did not start.
func must[S interface{ Stop() }](tb TB, server S, err error) S {
	tb.Helper()
	if err != nil {
		tb.Fatalf("%v", err)
	}
	tb.Cleanup(server.Stop)
	return server
}

// installed reports which of the binaries are missing from PATH, and the command that installs them.
func installed(apt string, binaries ...string) error {
	var missing []string
	for _, binary := range binaries {
		if _, err := exec.LookPath(binary); err != nil {
			missing = append(missing, binary)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("%s: not found in PATH; install it with: apt-get install %s", strings.Join(missing, ", "), apt)
}
