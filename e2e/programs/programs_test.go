package programs_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"autoscale.io/e2e/programs"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// miniature writes a module with the layout of the control plane's but programs that compile in a second.
func miniature(t *testing.T, program string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), `module autoscale.io/e2e/controlplane

go 1.26

require (
	k8s.io/kubernetes v0.0.0
	sigs.k8s.io/kwok v0.0.0
)

replace (
	k8s.io/kubernetes => ./kubernetes
	sigs.k8s.io/kwok => ./kwok
)
`)
	write(t, filepath.Join(dir, "go.sum"), "")
	write(t, filepath.Join(dir, "main.go"), program)
	for folder, module := range map[string]string{"kwok": "sigs.k8s.io/kwok", "kubernetes": "k8s.io/kubernetes"} {
		write(t, filepath.Join(dir, folder, "go.mod"), "module "+module+"\n\ngo 1.26\n")
	}
	write(t, filepath.Join(dir, "kwok/cmd/kwok/main.go"), "package main\n\nfunc main() {}\n")
	write(t, filepath.Join(dir, "kubernetes/cmd/kubectl/main.go"), "package main\n\nfunc main() {}\n")
	return dir
}

func TestBuildOnceForManyBuilders(t *testing.T) {
	options := programs.Options{Source: miniature(t, "package main\n\nfunc main() {}\n"), Cache: t.TempDir()}
	var group errgroup.Group
	logs := make([]bytes.Buffer, 3)
	results := make([]programs.Folder, len(logs))
	for i := range logs {
		group.Go(func() (err error) {
			mine := options
			mine.Progress = &logs[i]
			results[i], err = programs.ControlPlane().Build(t.Context(), mine)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	built := 0
	for i := range logs {
		built += strings.Count(logs[i].String(), "built the Kubernetes control plane in ")
		if results[i] != results[0] {
			t.Errorf("builders have got %s and %s", results[0].Dir, results[i].Dir)
		}
	}
	if built != 1 {
		t.Errorf("built %d times, wanted once:\n%s%s%s", built, &logs[0], &logs[1], &logs[2])
	}
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "metrics-server", "kwok", "kubectl"} {
		info, err := os.Stat(results[0].Path(name))
		if err != nil || info.Mode()&0o111 == 0 {
			t.Errorf("%s: %v, wanted a program", name, err)
		}
	}
}

func TestCertManagerComesWithItsDefinitions(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), `module autoscale.io/e2e/certmanager

go 1.26

require github.com/cert-manager/cert-manager v0.0.0

replace github.com/cert-manager/cert-manager => ./released
`)
	write(t, filepath.Join(dir, "go.sum"), "")
	write(t, filepath.Join(dir, "main.go"), "package main\n\nfunc main() {}\n")
	write(t, filepath.Join(dir, "released/go.mod"), "module github.com/cert-manager/cert-manager\n\ngo 1.26\n")
	write(t, filepath.Join(dir, "released/deploy/crds/issuers.yaml"), "kind: CustomResourceDefinition\n")
	built, err := programs.CertManager().Build(t.Context(), programs.Options{Source: dir, Cache: t.TempDir(), Progress: &bytes.Buffer{}})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(built.Path("certmanager")); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf("%v, wanted a program", err)
	}
	if got, err := os.ReadFile(built.Path("crds/issuers.yaml")); err != nil || string(got) != "kind: CustomResourceDefinition\n" {
		t.Errorf("the definitions are %q, %v", got, err)
	}
}

func TestChangedSourceIsBuiltAnew(t *testing.T) {
	options := programs.Options{Source: miniature(t, "package main\n\nfunc main() {}\n"), Cache: t.TempDir(), Progress: &bytes.Buffer{}}
	first, err := programs.ControlPlane().Build(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(options.Source, "main.go"), "package main\n\nfunc main() { println() }\n")
	second, err := programs.ControlPlane().Build(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	if first == second {
		t.Error("a changed source gave the old build")
	}
}

func TestFailedBuildLeavesNothing(t *testing.T) {
	options := programs.Options{Source: miniature(t, "package main\n\nfunc main() { oops }\n"), Cache: t.TempDir(), Progress: &bytes.Buffer{}}
	_, err := programs.ControlPlane().Build(t.Context(), options)
	want := "exit status 1\n# autoscale.io/e2e/controlplane\n./main.go:3:15: undefined: oops\n"
	if err == nil || !strings.HasPrefix(err.Error(), "building the Kubernetes control plane in "+options.Source+" failed after ") || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("%v, wanted it to name the package and end %q", err, want)
	}
	checkNoBuild(t, options.Cache)
}

func TestCancelledBuildLeavesNothing(t *testing.T) {
	options := programs.Options{Source: miniature(t, "package main\n\nfunc main() {}\n"), Cache: t.TempDir()}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	options.Progress = writerFunc(func([]byte) { cancel() }) // at its first words: it has begun
	if _, err := programs.ControlPlane().Build(ctx, options); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, wanted it cancelled", err)
	}
	checkNoBuild(t, options.Cache)
}

type writerFunc func([]byte)

func (f writerFunc) Write(text []byte) (int, error) {
	f(text)
	return len(text), nil
}

func TestBuildNamesFolderWithoutSources(t *testing.T) {
	dir := t.TempDir()
	_, err := programs.ControlPlane().Build(t.Context(), programs.Options{Source: dir, Cache: t.TempDir()})
	want := "no Go files in " + dir + "; wanted the folder of module autoscale.io/e2e/controlplane"
	if err == nil || err.Error() != want {
		t.Errorf("%v, wanted %s", err, want)
	}
}

func checkNoBuild(t *testing.T, cache string) {
	t.Helper()
	entries, err := os.ReadDir(cache)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name() != "lock" {
			t.Errorf("left in the cache: %s", entry.Name())
		}
	}
}
