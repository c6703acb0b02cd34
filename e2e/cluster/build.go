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
	for _, program := range []struct{ name, pkg, what string }{
		{controlPlaneName, ".", "the Kubernetes control plane (a first time takes about 6 minutes on 2 cores)"},
		{kwokName, kwokPackage, "KWOK"},
		{Kubectl, kubectlPackage, "kubectl"},
	} {
		if err := b.compile(ctx, filepath.Join(scratch, program.name), program.pkg, program.what); err != nil {
			return err
		}
	}
	for _, part := range partNames() {
		if err := os.Symlink(controlPlaneName, filepath.Join(scratch, part)); err != nil {
			return err
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
