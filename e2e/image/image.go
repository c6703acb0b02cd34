// Package image makes the container image of the autoscaler without a container engine: one program on an empty base, for every platform, as an archive in
// the OCI layout. The same sources and the same Go make the same bytes.
//
// It owns what is in the image and how it starts; the Dockerfile says the same for those who have an engine. It publishes nothing.
package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	// Name is the image of the shipped Deployment.
	Name = "autoscale.io/autoscaler:latest"
	// Program is the one file in the image, and what it starts.
	Program = "/autoscaler"
	// User and group are numbers, since the image holds no list of users, and since Kubernetes can tell from a number alone that it is not root's.
	User = "65532:65532"
)

// Platforms are those that the image is made for.
func Platforms() []v1.Platform {
	return []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}
}

// Labels describe the image to people and to registries.
func Labels() map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":       "autoscaler",
		"org.opencontainers.image.description": "Scales Kubernetes workloads on events, configured by annotations on the workloads",
		"org.opencontainers.image.licenses":    "Apache-2.0",
	}
}

// Flags are those of go build. None of them lets the folder, the time or the state of the repository into the program.
func Flags() []string { return []string{"-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="} }

// Environment is that of go build for a platform. Without cgo the program needs no library of the base.
func Environment(platform v1.Platform) []string {
	return []string{"CGO_ENABLED=0", "GOOS=" + platform.OS, "GOARCH=" + platform.Architecture}
}

// Compile builds the program for a platform from the sources in the folder root into the file path. What the compiler says goes to w.
func Compile(ctx context.Context, root, path string, platform v1.Platform, w io.Writer) error {
	build := exec.CommandContext(ctx, "go", append(append([]string{"build"}, Flags()...), "-o", path, "./cmd/autoscaler")...)
	build.Dir, build.Stdout, build.Stderr = root, w, w
	// GOFLAGS are a person's own and would be in the program.
	build.Env = append(append(os.Environ(), "GOFLAGS="), Environment(platform)...)
	if err := build.Run(); err != nil {
		return fmt.Errorf("build the autoscaler for %s: %w", platform, err)
	}
	return nil
}

// Of is the image of one platform, with the program in the file path.
func Of(path string, platform v1.Platform) (v1.Image, error) {
	content, err := layer(path)
	if err != nil {
		return nil, err
	}
	packed, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestCompression))
	if err != nil {
		return nil, err
	}
	bare := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.Append(bare, mutate.Addendum{Layer: packed, History: v1.History{Created: v1.Time{Time: epoch()}, CreatedBy: "autoscale.io/e2e/image"}})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = platform.OS, platform.Architecture, v1.Time{Time: epoch()}
	config.Config = v1.Config{Entrypoint: []string{Program}, User: User, Labels: Labels(), WorkingDir: "/"}
	return mutate.ConfigFile(image, config)
}

// epoch is the time of everything in the image, so that none of it depends on the day.
func epoch() time.Time { return time.Unix(0, 0).UTC() }

// layer is a tar with the program in the file path.
func layer(path string) ([]byte, error) {
	program, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	archive := tar.NewWriter(&packed)
	header := &tar.Header{Typeflag: tar.TypeReg, Name: Program[1:], Mode: 0o755, Size: int64(len(program)), ModTime: epoch()}
	if err := archive.WriteHeader(header); err != nil {
		return nil, err
	}
	if _, err := archive.Write(program); err != nil {
		return nil, err
	}
	return packed.Bytes(), archive.Close()
}

// Build makes the image of several platforms from the sources in the folder root, each under its own name in dir. What is done is told to w.
func Build(ctx context.Context, root, dir string, platforms []v1.Platform, w io.Writer) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, platform := range platforms {
		fmt.Fprintf(w, "image: compiling for %s (a first time takes minutes)\n", platform)
		path := filepath.Join(dir, "autoscaler-"+platform.Architecture)
		if err := Compile(ctx, root, path, platform, w); err != nil {
			return nil, err
		}
		image, err := Of(path, platform)
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	return index, nil
}
