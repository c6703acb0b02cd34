package product

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"autoscale.io/e2e/tree"
)

// TestInterval is the smallest polling interval of a program that BuildForTests has compiled.
const TestInterval = "500ms"

// Build compiles the autoscaler into dir and returns the path; without cgo, as the image has it. Progress goes to w.
func Build(ctx context.Context, dir string, w io.Writer) (string, error) {
	return build(ctx, dir, w)
}

// BuildForTests is Build for a program that differs from the shipped one in one number: it accepts polling intervals
// from TestInterval on, so that a test need not wait for seconds to see that nothing happens. No flag and no
// annotation can do that: the compiler reads other sources.
func BuildForTests(ctx context.Context, dir string, w io.Writer) (string, error) {
	overlay, err := shortIntervals(ctx, dir)
	if err != nil {
		return "", fmt.Errorf("prepare the sources of the autoscaler for tests: %w", err)
	}
	return build(ctx, dir, w, "-overlay="+overlay)
}

func build(ctx context.Context, dir string, w io.Writer, flags ...string) (string, error) {
	root, err := tree.Root(ctx)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "autoscaler")
	command := exec.CommandContext(ctx, "go", append(append([]string{"build"}, flags...), "-o", path, "./cmd/autoscaler")...)
	command.Dir, command.Stdout, command.Stderr = root, w, w
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("build the autoscaler: %w", err)
	}
	return path, nil
}

// shortIntervals writes copies of the sources that hold the smallest polling interval, with another one, and the file
// that tells the compiler to read them instead. It returns that file's path.
func shortIntervals(ctx context.Context, dir string) (string, error) {
	root, err := tree.Root(ctx)
	if err != nil {
		return "", err
	}
	const shipped, short = `min:"1s"`, `min:"` + TestInterval + `"`
	replace := map[string]string{}
	for _, name := range []string{"workload.go", "resource.go"} {
		path := filepath.Join(root, "annotations", name)
		text, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		if !strings.Contains(string(text), shipped) {
			return "", fmt.Errorf("%s has no %s; the smallest polling interval is expected there", path, shipped)
		}
		replace[path] = filepath.Join(dir, name)
		if err := os.WriteFile(replace[path], []byte(strings.ReplaceAll(string(text), shipped, short)), 0o600); err != nil {
			return "", err
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o600)
}
