package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const heartbeat = 10 * time.Second

// build fills a scratch folder beside the target and renames it when it is whole.
func (b builder) build(ctx context.Context) error {
	scratch, err := os.MkdirTemp(b.cache, "building-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	if err := os.Chmod(scratch, 0o755); err != nil {
		return err
	}
	for _, one := range b.programs {
		if err := b.compile(ctx, filepath.Join(scratch, one.name), one.pkg, one.what); err != nil {
			return err
		}
	}
	for _, name := range b.links {
		if err := os.Symlink(b.programs[0].name, filepath.Join(scratch, name)); err != nil {
			return err
		}
	}
	for name, from := range b.copies {
		dir, err := goCommand(ctx, b.source, "list", "-m", "-f", "{{.Dir}}", from.module)
		if err != nil {
			return err
		}
		if err := os.CopyFS(filepath.Join(scratch, name), os.DirFS(filepath.Join(dir, from.folder))); err != nil {
			return fmt.Errorf("copying %s of %s: %w", from.folder, from.module, err)
		}
	}
	return os.Rename(scratch, b.target)
}

func (b builder) compile(ctx context.Context, output, pkg, what string) error {
	start := time.Now()
	fmt.Fprintf(b.progress, "cluster: building %s into %s\n", what, b.cache)
	var messages bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", output, pkg)
	cmd.Dir = b.source
	cmd.Stdout, cmd.Stderr = &messages, &messages
	// An interrupted go command ends its compilers and removes its scratch files; a killed one does not.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = heartbeat

	done := make(chan error, 1)
	go func() { done <- cmd.Run() }()
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			elapsed := time.Since(start).Round(time.Second)
			if err != nil {
				return fmt.Errorf("building %s in %s failed after %s: %w\n%s", filepath.Base(output), b.source, elapsed, err, messages.Bytes())
			}
			fmt.Fprintf(b.progress, "cluster: built %s in %s\n", filepath.Base(output), elapsed)
			return nil
		case <-ticker.C:
			fmt.Fprintf(b.progress, "cluster: still building %s after %s\n", filepath.Base(output), time.Since(start).Round(time.Second))
		}
	}
}
