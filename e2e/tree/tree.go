// Package tree finds the sources. It is a package of its own so that what needs nothing else need not compile a cluster.
package tree

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// Root is the folder of the module autoscale.io, found through the go command so that it is right from any folder of this module.
func Root(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "autoscale.io").Output()
	if err != nil {
		return "", fmt.Errorf("find the module autoscale.io: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
