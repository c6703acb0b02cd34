package cases

import (
	"os"
	"slices"
	"testing"

	"autoscale.io/e2e/world"
)

func TestMain(m *testing.M) { os.Exit(world.Main(m)) }

// TestCases runs the cases of make test.
func TestCases(t *testing.T) { world.RunCases(t, in(world.Test)) }

// TestSoak runs those of make soak.
func TestSoak(t *testing.T) { world.RunCases(t, in(world.Soak)) }

func in(run world.Run) []world.Case {
	return slices.DeleteFunc(All(), func(c world.Case) bool { return c.In != run })
}
