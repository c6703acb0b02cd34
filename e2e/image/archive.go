package image

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// The names of an image in an archive: that of the specification, and the one that containerd and Docker read.
const (
	refName        = "org.opencontainers.image.ref.name"
	containerdName = "io.containerd.image.name"
)

// Archive writes the index as a tar in the OCI layout, under that name, into the file path.
func Archive(path, name string, index v1.ImageIndex) error {
	dir, err := os.MkdirTemp(filepath.Dir(path), "oci-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	files, err := layout.Write(dir, empty.Index)
	if err != nil {
		return fmt.Errorf("write the image: %w", err)
	}
	if err := files.AppendIndex(index, layout.WithAnnotations(map[string]string{refName: name, containerdName: name})); err != nil {
		return fmt.Errorf("write the image: %w", err)
	}
	// Whoever reads the archive meets the old one or the whole new one.
	unfinished := filepath.Join(dir, "archive")
	if err := pack(unfinished, dir); err != nil {
		return fmt.Errorf("write the image's archive: %w", err)
	}
	return os.Rename(unfinished, path)
}

// pack writes a tar of what is in the folder dir, in the order of the names.
func pack(path, dir string) (err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644) //nolint:gosec // G302: an image is for everybody
	if err != nil {
		return err
	}
	defer func() {
		if closed := file.Close(); err == nil {
			err = closed
		}
	}()
	archive := tar.NewWriter(file)
	tree := os.DirFS(dir)
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Join(dir, name) == path {
			return err
		}
		return packFile(archive, tree, name)
	})
	if err != nil {
		return err
	}
	return archive.Close()
}

func packFile(archive *tar.Writer, tree fs.FS, name string) error {
	info, err := fs.Stat(tree, name)
	if err != nil {
		return err
	}
	if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: info.Size(), ModTime: epoch()}); err != nil {
		return err
	}
	content, err := tree.Open(name)
	if err != nil {
		return err
	}
	defer content.Close()
	_, err = io.Copy(archive, content)
	return err
}
