package programs_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestPackagesAreCompiledOnce compares the versions of the modules that the control plane, the demo, the tests and the
// autoscaler share. A package of another version is compiled once more, and so is whatever imports it: half of Kubernetes
// for one module at the bottom.
func TestPackagesAreCompiledOnce(t *testing.T) {
	type requirement struct{ version, file string }
	seen := map[string]requirement{}
	for _, program := range []struct{ dir, file, pkg string }{
		{"../controlplane", "e2e/controlplane/go.mod", "."},
		{"../controlplane", "e2e/controlplane/go.mod", "sigs.k8s.io/kwok/cmd/kwok"},
		{"../controlplane", "e2e/controlplane/go.mod", "k8s.io/kubernetes/cmd/kubectl"},
		{"..", "e2e/go.mod", "./..."},
		{"../..", "go.mod", "./cmd/autoscaler"},
	} {
		const format = `{{with .Module}}{{if not .Main}}{{.Path}} {{with .Replace}}{{.Version}}{{else}}{{.Version}}{{end}}{{end}}{{end}}`
		cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-test", "-f", format, program.pkg)
		cmd.Dir = program.dir
		output, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", program.file, err)
		}
		for line := range strings.Lines(string(output)) {
			module, version, _ := strings.Cut(strings.TrimSpace(line), " ")
			first, known := seen[module]
			if !known {
				seen[module] = requirement{version, program.file}
			} else if version != "" && first.version != version {
				t.Errorf("%s is %s in %s and %s in %s; make them the same", module, first.version, first.file, version, program.file)
				seen[module] = requirement{version, program.file}
			}
		}
	}
	if len(seen) < 100 {
		t.Errorf("%d modules were compared, wanted more than 100", len(seen))
	}
}
