package programs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

const (
	cacheLifetime = 14 * 24 * time.Hour
	lockInterval  = 200 * time.Millisecond
)

// builder makes one folder of programs in the cache.
type builder struct {
	Set
	link                  []string // flags of the linker
	source, cache, target string
	progress              io.Writer
}

func (s Set) builder(ctx context.Context, options Options) (builder, error) {
	b := builder{Set: s, cache: options.Cache, progress: options.Progress}
	if b.progress == nil {
		b.progress = os.Stderr
	}
	var err error
	if b.source, err = s.findSource(ctx, options.Source); err != nil {
		return b, err
	}
	if b.cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return b, fmt.Errorf("finding a cache folder for the programs: %w", err)
		}
		b.cache = filepath.Join(user, "autoscale.io")
	}
	files, err := b.files()
	if err != nil {
		return b, err
	}
	if b.link, err = s.versionFlags(ctx, b.source); err != nil {
		return b, err
	}
	hash, err := b.hash(ctx, files)
	b.target = filepath.Join(b.cache, hash)
	return b, err
}

// findSource returns the folder of the sources. The go command is asked for the module around it, so that the answer is
// right from any folder of that module, whether or not paths were trimmed from the running binary.
func (s Set) findSource(ctx context.Context, given string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	dir, err := moduleDir(ctx, modulePath)
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, s.module), nil
}

// files are the sources that a build depends on. They are a module of their own, so that go.sum holds its dependencies
// alone: those of the product and the tests come and go without a build.
func (b builder) files() ([]string, error) {
	sources, err := filepath.Glob(filepath.Join(b.source, "*.go"))
	if err != nil {
		return nil, err
	}
	if len(sources) == 0 {
		return nil, fmt.Errorf("no Go files in %s; wanted the folder of module %s/%s", b.source, modulePath, b.module)
	}
	return append(sources, filepath.Join(b.source, "go.sum")), nil
}

// hash names a build after all that goes into it.
func (b builder) hash(ctx context.Context, files []string) (string, error) {
	version, err := goOutput(ctx, b.source, "env", "GOVERSION")
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	fmt.Fprintln(hash, version, runtime.GOOS, runtime.GOARCH, b.packages, b.links, b.link, environment())
	for _, path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(hash, filepath.Base(path), len(content))
		hash.Write(content)
	}
	return fmt.Sprintf("%x", hash.Sum(nil)[:8]), nil
}

func (b builder) ensure(ctx context.Context) error {
	if b.cached() {
		return nil
	}
	if err := os.MkdirAll(b.cache, 0o755); err != nil {
		return err
	}
	lock, err := b.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.Close()
	if b.cached() {
		return nil
	}
	b.removeUnused()
	return b.build(ctx)
}

// cached tells whether the build is there and marks it as used. The folder appears by one rename, so it is whole.
func (b builder) cached() bool {
	now := time.Now()
	return os.Chtimes(b.target, now, now) == nil
}

// lock waits until no other process builds into the cache. Closing the file unlocks it.
func (b builder) lock(ctx context.Context) (*os.File, error) {
	path := filepath.Join(b.cache, "lock")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	for told := false; ; told = true {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			file.Close()
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		if !told {
			fmt.Fprintf(b.progress, "waiting for another process that builds into %s\n", b.cache)
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, fmt.Errorf("waiting for the lock %s: %w", path, ctx.Err())
		case <-time.After(lockInterval):
		}
	}
}

// removeUnused frees the cache of builds, whole or broken off, that nobody has used for long.
func (b builder) removeUnused() {
	entries, err := os.ReadDir(b.cache)
	if err != nil {
		return
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && entry.IsDir() && time.Since(info.ModTime()) > cacheLifetime {
			_ = os.RemoveAll(filepath.Join(b.cache, entry.Name()))
		}
	}
}

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
	job := Job{What: b.what, Dir: b.source, Packages: b.packages, Into: scratch, Link: b.link}
	if err := job.Compile(ctx, b.progress); err != nil {
		return err
	}
	for _, name := range b.links {
		if err := os.Symlink(b.module, filepath.Join(scratch, name)); err != nil {
			return err
		}
	}
	for name, from := range b.copies {
		dir, err := goOutput(ctx, b.source, "list", "-m", "-f", "{{.Dir}}", from.module)
		if err != nil {
			return err
		}
		if err := os.CopyFS(filepath.Join(scratch, name), os.DirFS(filepath.Join(dir, from.folder))); err != nil {
			return fmt.Errorf("copying %s of %s: %w", from.folder, from.module, err)
		}
	}
	return os.Rename(scratch, b.target)
}
