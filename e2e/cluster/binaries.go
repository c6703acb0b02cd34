package cluster

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
)

const (
	modulePath       = "autoscale.io/e2e"
	kwokPackage      = "sigs.k8s.io/kwok/cmd/kwok"
	kwokName         = "kwok"
	kubectlPackage   = "k8s.io/kubernetes/cmd/kubectl"
	controlPlaneName = "controlplane"
	cacheLifetime    = 14 * 24 * time.Hour
)

// partNames are the links to the control plane's binary.
func partNames() []string {
	return []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "metrics-server"}
}

// recipe is what a folder of programs is built from.
type recipe struct {
	// module is the folder of the sources in the module autoscale.io/e2e, a module of its own.
	module   string
	programs []program
	// links are further names of the first program.
	links []string
	// copies are folders to copy out of modules, by the name in the build.
	copies map[string]moduleFolder
	// key is what else names a build, beside the sources.
	key []any
}

type program struct{ name, pkg, what string }

type moduleFolder struct{ module, folder string }

func controlPlaneRecipe() recipe {
	return recipe{
		module: controlPlaneName,
		programs: []program{
			{controlPlaneName, ".", "the Kubernetes control plane (a first time takes about 6 minutes on 2 cores)"},
			{kwokName, kwokPackage, "KWOK"},
			{Kubectl, kubectlPackage, "kubectl"},
		},
		links: partNames(),
		key:   []any{kwokPackage, kubectlPackage, partNames()},
	}
}

// Binaries is a folder that holds the programs of a cluster: etcd, kube-apiserver, kube-controller-manager,
// kube-scheduler, metrics-server, kwok and kubectl. It can serve as KUBEBUILDER_ASSETS for controller-runtime's envtest.
type Binaries struct {
	Dir string
}

// Path returns the path of a program by its name.
func (b Binaries) Path(name string) string { return filepath.Join(b.Dir, name) }

// BuildOptions says where programs are built.
type BuildOptions struct {
	// Source is the folder of the module autoscale.io/e2e/controlplane. Defaults to what the go command finds from the
	// working directory, which then has to lie inside the module autoscale.io/e2e.
	Source string
	// Cache is the folder for the built programs, 300 MB for each build, and 70 MB for one of cert-manager. Defaults to autoscale.io in the user's cache
	// folder. Builds that nobody used for 14 days are removed from it.
	Cache string
	// Progress is told what is built and, every 10 s, that the build goes on. Defaults to standard error.
	Progress io.Writer
}

// Build returns the programs, building them if the cache does not hold them yet. A first build takes about 6 minutes on
// 2 cores and downloads the modules; builders that run at once wait for each other. A build that fails or is cancelled
// leaves nothing behind.
func Build(ctx context.Context, options BuildOptions) (Binaries, error) {
	return controlPlaneRecipe().provide(ctx, options)
}

func (r recipe) provide(ctx context.Context, options BuildOptions) (Binaries, error) {
	if options.Progress == nil {
		options.Progress = os.Stderr
	}
	source, err := r.findSource(ctx, options.Source)
	if err != nil {
		return Binaries{}, err
	}
	if options.Cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return Binaries{}, fmt.Errorf("finding a cache folder for the programs: %w", err)
		}
		options.Cache = filepath.Join(user, "autoscale.io")
	}
	version, err := goCommand(ctx, source, "env", "GOVERSION")
	if err != nil {
		return Binaries{}, err
	}
	hash, err := r.hashSources(source, version)
	if err != nil {
		return Binaries{}, err
	}
	b := builder{recipe: r, source: source, cache: options.Cache, target: filepath.Join(options.Cache, hash), progress: options.Progress}
	if err := b.ensure(ctx); err != nil {
		return Binaries{}, err
	}
	return Binaries{Dir: b.target}, nil
}

// findSource returns the folder of the sources. The go command is asked for the module around it, so that the answer is
// right from any folder of that module, whether or not paths were trimmed from the running binary.
func (r recipe) findSource(ctx context.Context, given string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	dir, err := goCommand(ctx, "", "list", "-m", "-f", "{{.Dir}}", modulePath)
	if err != nil {
		return "", fmt.Errorf("finding the sources of module %s: run from a folder inside it, or name the folder: %w", modulePath, err)
	}
	return filepath.Join(dir, r.module), nil
}

func goCommand(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	output, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
		}
		return "", fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(output)), nil
}

// hashSources names a build after all that goes into it. Its sources are a module of their own, so that go.sum holds
// its dependencies alone: those of the product and the tests come and go without a build.
func (r recipe) hashSources(source, goVersion string) (string, error) {
	sources, err := filepath.Glob(filepath.Join(source, "*.go"))
	if err != nil {
		return "", err
	}
	if len(sources) == 0 {
		return "", fmt.Errorf("no Go files in %s; wanted the folder of module %s/%s", source, modulePath, r.module)
	}
	hash := sha256.New()
	fmt.Fprintln(hash, append([]any{goVersion, runtime.GOOS, runtime.GOARCH}, r.key...)...)
	for _, path := range append([]string{filepath.Join(source, "go.sum")}, sources...) {
		content, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(hash, filepath.Base(path), len(content))
		hash.Write(content)
	}
	return fmt.Sprintf("%x", hash.Sum(nil)[:8]), nil
}

// builder makes one folder of programs in the cache.
type builder struct {
	recipe
	source, cache, target string
	progress              io.Writer
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

func (b builder) lock(ctx context.Context) (*fileutil.LockedFile, error) {
	path := filepath.Join(b.cache, "lock")
	told := false
	for {
		lock, err := fileutil.TryLockFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
		if !errors.Is(err, fileutil.ErrLocked) {
			return lock, err
		}
		if !told {
			fmt.Fprintf(b.progress, "cluster: waiting for another process that builds into %s\n", b.cache)
			told = true
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the lock %s: %w", path, ctx.Err())
		case <-time.After(200 * time.Millisecond):
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
