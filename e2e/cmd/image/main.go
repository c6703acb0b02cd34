// Command image writes the container image of the autoscaler as an archive, and prints its digest. It owns the flags; package image does the rest.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/google/go-containerregistry/pkg/name"

	"autoscale.io/e2e/image"
	"autoscale.io/e2e/tree"
)

func main() {
	out := flag.String("o", "autoscaler.oci.tar", "the archive to write")
	tag := flag.String("name", image.Name, "the name of the image, with its tag")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *out, *tag)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out, tag string) error {
	reference, err := name.NewTag(tag, name.StrictValidation)
	if err != nil {
		return fmt.Errorf("the name of the image: %w", err)
	}
	root, err := tree.Root(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil { //nolint:gosec // G301: an image is for everybody
		return err
	}
	dir, err := os.MkdirTemp("", "autoscaler-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	index, err := image.Build(ctx, root, dir, image.Platforms(), os.Stderr)
	if err != nil {
		return err
	}
	if err := image.Archive(out, reference.Name(), index); err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	path, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	fmt.Printf("%s@%s\n", reference.Context().Name(), digest)
	fmt.Fprintln(os.Stderr, "image: it is in", path)
	return nil
}
