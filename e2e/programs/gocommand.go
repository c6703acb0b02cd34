package programs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// interruptedWithin is how long the go command and its compilers may take to end.
const interruptedWithin = 10 * time.Second

var errNoGo = errors.New("the program go is not in PATH; install Go from https://go.dev/doc/install")

// environment is that of every compilation. Without cgo the packages are those that the image of the autoscaler is made
// of, and that `make e2e` compiles: nothing is compiled a second time, and no C compiler is needed.
func environment() []string { return []string{"CGO_ENABLED=0"} }

// sharedFlags are those of every compilation. With other flags the same packages would be compiled a second time.
func sharedFlags() []string { return []string{"-trimpath", "-buildvcs=false"} }

// goCommand returns a go command that ends with ctx, together with its compilers.
func goCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), environment()...)
	// The group is signaled as a whole: the go command does not end its compilers.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = interruptedWithin
	return cmd
}

// scratch is a folder for the files that the go command makes while it compiles. An interrupted go command leaves them.
type scratch string

func newScratch() (scratch, error) {
	dir, err := os.MkdirTemp("", "autoscale-build-")
	return scratch(dir), err
}

// run runs a go command with its files in the folder.
func (s scratch) run(ctx context.Context, cmd *exec.Cmd) error {
	cmd.Env = append(cmd.Env, "GOTMPDIR="+string(s), "TMPDIR="+string(s))
	err := cmd.Run()
	if ctx.Err() != nil && cmd.Process != nil {
		// Compilers that are about to end would still write into the folder.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	return err
}

// remove removes the folder. A compiler that was killed can need a moment to end.
func (s scratch) remove() {
	for range 50 {
		if os.RemoveAll(string(s)) == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func goOutput(ctx context.Context, dir string, args ...string) (string, error) {
	var output, messages bytes.Buffer
	cmd := goCommand(ctx, dir, args...)
	cmd.Stdout, cmd.Stderr = &output, &messages
	if err := cmd.Run(); err != nil {
		return "", goError(ctx, args, err, messages.String())
	}
	return strings.TrimSpace(output.String()), nil
}

// goError says what the go command has said. A command that was ended with ctx has failed for that reason alone.
func goError(ctx context.Context, args []string, err error, messages string) error {
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		return errNoGo
	case messages != "":
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(messages))
	}
	return fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
}

func moduleDir(ctx context.Context, module string) (string, error) {
	dir, err := goOutput(ctx, "", "list", "-m", "-f", "{{.Dir}}", module)
	if errors.Is(err, errNoGo) {
		return "", err
	}
	if err != nil {
		return "", fmt.Errorf("finding the sources of module %s: run from a folder inside %s, or name the folder: %w", module, modulePath, err)
	}
	return dir, nil
}

// versionFlags have the programs report the version of the module that they are built from, as the build scripts of
// Kubernetes do. Without them the API server reports a version that neither kubectl nor Helm can read.
func (s Set) versionFlags(ctx context.Context, source string) ([]string, error) {
	if s.versioned == "" {
		return nil, nil
	}
	version, err := goOutput(ctx, source, "list", "-m", "-f", "{{.Version}}", s.versioned)
	if err != nil {
		return nil, fmt.Errorf("finding the version of %s: %w", s.versioned, err)
	}
	numbers := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(numbers) != 3 {
		return nil, fmt.Errorf("module %s has version %q; wanted one such as v1.37.2", s.versioned, version)
	}
	var flags []string
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for _, value := range []string{"gitVersion=" + version, "gitMajor=" + numbers[0], "gitMinor=" + numbers[1], "gitCommit=", "gitTreeState="} {
			flags = append(flags, "-X", pkg+"."+value)
		}
	}
	return flags, nil
}
