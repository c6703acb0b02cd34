package builtin

import (
	"testing"

	"autoscale.io/scalers"
)

func TestRegistryDecodesWithoutAnEnvironment(t *testing.T) {
	registry, err := Registry(scalers.Env{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range registry.TriggerTypeNames() {
		if _, ok := registry.TriggerType(name); !ok {
			t.Errorf("%s is listed and not found", name)
		}
	}
	for _, name := range []string{"redis-streams", "redis-cluster-streams", "redis-sentinel-streams", "postgres", "postgresql", "mysql", "cpu", "memory"} {
		if _, ok := registry.TriggerType(name); !ok {
			t.Errorf("%s is missing", name)
		}
	}
}
