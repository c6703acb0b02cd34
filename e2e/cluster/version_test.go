package cluster_test

import (
	"os/exec"
	"strings"
	"testing"

	"autoscale.io/e2e/cluster"
)

// moduleVersion is the version of a module that the module in a folder requires.
func moduleVersion(t *testing.T, dir, module string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Version}}", module)
	cmd.Dir = dir
	output, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(output))
}

// TestServerReportsItsVersion: kubectl and Helm compare the version with their own needs, and fail if it is none.
func TestServerReportsItsVersion(t *testing.T) {
	want := moduleVersion(t, "../controlplane", "k8s.io/kubernetes")
	got, err := clientFor(t, shared.Config()).Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if short := strings.Join(strings.Split(want, ".")[:2], "."); got.GitVersion != want || "v"+got.Major+"."+got.Minor != short {
		t.Errorf("the API server reports %+v, wanted version %s", got, want)
	}

	programs, err := cluster.Build(t.Context(), cluster.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	output, err := exec.CommandContext(t.Context(), programs.Path(cluster.Kubectl), "--kubeconfig", shared.Kubeconfig(), "version").CombinedOutput()
	for _, line := range []string{"Client Version: " + want + "\n", "Server Version: " + want + "\n"} {
		if err != nil || !strings.Contains(string(output), line) {
			t.Errorf("kubectl version: %v, %q, wanted a line %q", err, output, line)
		}
	}
}

// TestStagesAreOfTheKWOKThatRuns guards against a change of version in one of two go.mod files.
func TestStagesAreOfTheKWOKThatRuns(t *testing.T) {
	stages, runs := moduleVersion(t, "..", "sigs.k8s.io/kwok"), moduleVersion(t, "../controlplane", "sigs.k8s.io/kwok")
	if stages != runs {
		t.Errorf("e2e/go.mod has %s, e2e/controlplane/go.mod has %s; make them the same", stages, runs)
	}
}
