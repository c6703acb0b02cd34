package image_test

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"autoscale.io/e2e/image"
	"autoscale.io/e2e/tree"
)

func root(t *testing.T) string {
	t.Helper()
	dir, err := tree.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// build makes the image of those platforms from the sources in a folder.
func build(t *testing.T, sources string, platforms ...v1.Platform) v1.ImageIndex {
	t.Helper()
	index, err := image.Build(t.Context(), sources, t.TempDir(), platforms, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	return index
}

func digest(t *testing.T, index v1.ImageIndex) v1.Hash {
	t.Helper()
	hash, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// unpack writes the files of a tar into a folder.
func unpack(t *testing.T, from io.Reader, dir string) {
	t.Helper()
	archive := tar.NewReader(from)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(dir, filepath.FromSlash(header.Name))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		file, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, header.FileInfo().Mode())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(file, archive); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// archived writes an index as make image does, and reads it back as an engine does: the one image under its name.
func archived(t *testing.T, index v1.ImageIndex) v1.ImageIndex {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "autoscaler.oci.tar")
	if err := image.Archive(file, image.Name, index); err != nil {
		t.Fatal(err)
	}
	packed, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unpacked := filepath.Join(dir, "unpacked")
	unpack(t, packed, unpacked)
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("beside the archive there is more: %v, %v", left, err)
	}
	files, err := layout.ImageIndexFromPath(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := files.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{"org.opencontainers.image.ref.name": image.Name, "io.containerd.image.name": image.Name}
	if len(manifest.Manifests) != 1 || !maps.Equal(manifest.Manifests[0].Annotations, names) {
		t.Fatalf("the archive holds %+v, want one image with the names %v", manifest.Manifests, names)
	}
	read, err := files.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(read); err != nil {
		t.Error(err)
	}
	return read
}

// onlyImage is the image of a platform.
func onlyImage(t *testing.T, index v1.ImageIndex, platform v1.Platform) v1.Image {
	t.Helper()
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range manifest.Manifests {
		if m.Platform.Equals(platform) {
			found, err := index.Image(m.Digest)
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
	}
	t.Fatalf("there is no image for %s, only %+v", platform, manifest.Manifests)
	return nil
}

// rootFS unpacks an image into a folder, which is then what its container sees as /.
func rootFS(t *testing.T, from v1.Image) string {
	t.Helper()
	dir := t.TempDir()
	// The testing package makes folders that only their owner may enter, and the program has another user.
	for _, folder := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(folder, 0o755); err != nil { //nolint:gosec // G302: a root folder is for every user
			t.Fatal(err)
		}
	}
	files := mutate.Extract(from)
	defer files.Close()
	unpack(t, files, dir)
	return dir
}

// contained runs a program where it sees nothing but the folder dir, as the image's user and without environment.
func contained(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	const id = 65532
	attributes := &syscall.SysProcAttr{Chroot: dir}
	if os.Getuid() == 0 {
		attributes.Credential = &syscall.Credential{Uid: id, Gid: id}
	} else {
		attributes.Cloneflags = syscall.CLONE_NEWUSER
		attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: id, HostID: os.Getuid(), Size: 1}}
		attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: id, HostID: os.Getgid(), Size: 1}}
	}
	command := exec.CommandContext(t.Context(), program, args...)
	command.Dir, command.Env, command.SysProcAttr = "/", []string{}, attributes
	out, err := command.CombinedOutput()
	if err != nil {
		t.Errorf("%s %v in a root folder of its own, which takes root or user namespaces: %v\n%s", program, args, err, out)
	}
	return string(out)
}

// shipped copies what .dockerignore lets through, into a folder elsewhere.
func shipped(t *testing.T) string {
	t.Helper()
	sources, dir := root(t), t.TempDir()
	rules, err := os.ReadFile(filepath.Join(sources, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(rules)) {
		name, kept := strings.CutPrefix(strings.TrimSpace(line), "!")
		if !kept {
			continue
		}
		err := fs.WalkDir(os.DirFS(sources), name, func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && entry.Name() == "testdata":
				return fs.SkipDir
			case entry.IsDir():
				return os.MkdirAll(filepath.Join(dir, name), 0o755)
			case strings.HasSuffix(name, "_test.go"):
				return nil
			}
			content, err := os.ReadFile(filepath.Join(sources, name))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, name), content, 0o600)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestSoakTheDigestIsTheSameAgainAndElsewhere(t *testing.T) {
	amd64 := image.Platforms()[0]
	here, there := digest(t, build(t, root(t), amd64)), digest(t, build(t, shipped(t), amd64))
	if here != there {
		t.Errorf("from the repository the digest is %s, from a copy of what .dockerignore lets through it is %s", here, there)
	}
}

func TestSoakArchiveHoldsEveryPlatform(t *testing.T) {
	built := build(t, root(t), image.Platforms()...)
	read := archived(t, built)
	if got, want := digest(t, read), digest(t, built); got != want {
		t.Errorf("the archive holds %s, want %s", got, want)
	}
	for platform, machine := range map[string]string{"amd64": "\x3e\x00", "arm64": "\xb7\x00"} {
		one := onlyImage(t, read, v1.Platform{OS: "linux", Architecture: platform})
		program, err := os.ReadFile(filepath.Join(rootFS(t, one), image.Program))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(program), "\x7fELF") || string(program[18:20]) != machine {
			t.Errorf("the program for %s begins with %q", platform, program[:20])
		}
		config, err := one.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.OS != "linux" || config.Architecture != platform {
			t.Errorf("the image for %s says that it is for %s/%s", platform, config.OS, config.Architecture)
		}
	}
}

func TestSoakProgramRunsInItsImage(t *testing.T) {
	amd64 := image.Platforms()[0]
	dir := rootFS(t, onlyImage(t, archived(t, build(t, root(t), amd64)), amd64))
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 || "/"+entries[0].Name() != image.Program {
		t.Errorf("the image holds %v, %v; want nothing but %s", entries, err, image.Program)
	}
	if out := contained(t, dir, image.Program, "--help"); !strings.HasPrefix(out, "autoscaler scales Kubernetes workloads on events") {
		t.Errorf("--help says %q", out)
	}
	// The tests of the command look for time zones and authorities. Here only those in the program can be found.
	tests := exec.CommandContext(t.Context(), "go", slices.Concat([]string{"test", "-c"}, image.Flags(), []string{"-o", filepath.Join(dir, "tests"), "./cmd/autoscaler"})...)
	tests.Dir, tests.Env = root(t), append(append(os.Environ(), "GOFLAGS="), image.Environment(amd64)...)
	if out, err := tests.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out := contained(t, dir, "/tests", "-test.v", "-test.run=^(TestKnowsTimeZones|TestTrustsPublicAuthorities)$")
	for _, want := range []string{"--- PASS: TestKnowsTimeZones", "--- PASS: TestTrustsPublicAuthorities"} {
		if !strings.Contains(out, want) {
			t.Errorf("in the image there is no %q:\n%s", want, out)
		}
	}
}

// instructions are those of the last stage of a Dockerfile, and before it the command that builds.
func instructions(t *testing.T) (lines map[string]string, compile, base string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", " ")) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "", "#":
		case "FROM":
			lines = map[string]string{}
			if base == "" {
				base = rest
			}
			lines[word] = rest
		case "RUN":
			compile = rest
		default:
			lines[word] = strings.TrimSpace(rest)
		}
	}
	return lines, compile, base
}

func TestSoakDockerfileMakesTheSame(t *testing.T) {
	lines, compile, base := instructions(t)
	config := imageConfig(t)
	entrypoint, err := json.Marshal(config.Entrypoint)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"FROM": "scratch", "COPY": "--from=build " + image.Program + " " + image.Program,
		"USER": config.User, "WORKDIR": config.WorkingDir, "ENTRYPOINT": string(entrypoint), "LABEL": lines["LABEL"],
	}
	if !maps.Equal(lines, want) {
		t.Errorf("the last stage of the Dockerfile is\n%q\nwant\n%q", lines, want)
	}
	var labels []string
	for _, key := range slices.Sorted(maps.Keys(config.Labels)) {
		labels = append(labels, key+`="`+config.Labels[key]+`"`)
	}
	got := strings.Split(strings.ReplaceAll(lines["LABEL"], `" `, "\"\n"), "\n")
	for i := range got {
		got[i] = strings.TrimSpace(got[i])
	}
	slices.Sort(got)
	if !slices.Equal(got, labels) {
		t.Errorf("the labels are\n%q\nwant\n%q", got, labels)
	}
	wantCompile := `CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false "-ldflags=-s -w -buildid=" -o ` + image.Program + " ./cmd/autoscaler"
	flags := strings.Join(image.Flags(), " ")
	if compile != wantCompile || flags != strings.NewReplacer(`"`, "").Replace(strings.Join(strings.Fields(wantCompile)[5:10], " ")) {
		t.Errorf("the Dockerfile builds with %s, and make image with the flags %s", compile, flags)
	}
	module, err := os.ReadFile(filepath.Join(root(t), "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	_, version, _ := strings.Cut(strings.Fields(base)[1], ":")
	if !strings.Contains(string(module), "\ngo "+version+".") {
		t.Errorf("the Dockerfile builds with Go %s, another one than that of go.mod", version)
	}
}

// imageConfig is how the image starts.
func imageConfig(t *testing.T) v1.Config {
	t.Helper()
	program := filepath.Join(t.TempDir(), path.Base(image.Program))
	if err := os.WriteFile(program, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	made, err := image.Of(program, image.Platforms()[0])
	if err != nil {
		t.Fatal(err)
	}
	config, err := made.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return config.Config
}

func TestDeploymentExpectsTheImage(t *testing.T) {
	config := imageConfig(t)
	text, err := os.ReadFile(filepath.Join(root(t), "manifests", "deployment.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	user, group, _ := strings.Cut(config.User, ":")
	for _, want := range []string{"image: " + image.Name + "\n", "runAsUser: " + user + "\n", "runAsGroup: " + group + "\n", "runAsNonRoot: true\n", "args: [--"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the Deployment lacks %q", want)
		}
	}
	if strings.Contains(string(text), "command:") || !slices.Equal(config.Entrypoint, []string{image.Program}) || len(config.Cmd) > 0 {
		t.Errorf("the Deployment gives flags alone; the image starts %v %v", config.Entrypoint, config.Cmd)
	}
}
