package main

import (
	"bytes"
	"testing"
	"time"

	"autoscale.io/scalers/scalertest/bubble"

	"autoscale.io/e2e/cmd/demo/step"
)

func TestDemoFailsBeforeItBuilds(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, c := range []struct{ story, want string }{
		{"queue", "the program redis-server is not in PATH; install it with: sudo apt-get install -y redis-server"},
		{"memory", `there is no story "memory"; wanted queue or cpu, as in: make demo DEMO=cpu`},
	} {
		_, err := prepare(t.Context(), options{story: c.story}, &bytes.Buffer{})
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: got %v, want %s", c.story, err, c.want)
		}
	}
	_, err := prepare(t.Context(), options{story: "cpu"}, &bytes.Buffer{})
	if want := "the program go is not in PATH; install Go from https://go.dev/doc/install"; err == nil || err.Error() != want {
		t.Errorf("without Go: got %v, want %s", err, want)
	}
}

func TestStepsSayHowFarTheDemoIs(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var shown bytes.Buffer
		began := time.Now()
		for s := step.ControlPlane; s <= step.Last; s++ {
			s.Begin(&shown, began)
			time.Sleep(100 * time.Second)
		}
		want := `
▶ Step 1 of 5, after 0s: build the Kubernetes control plane

▶ Step 2 of 5, after 1m40s: build the autoscaler

▶ Step 3 of 5, after 3m20s: start the control plane

▶ Step 4 of 5, after 5m0s: install manifests/ and start the autoscaler with the rights that they grant

▶ Step 5 of 5, after 6m40s: watch the autoscaler
`
		if shown.String() != want {
			t.Errorf("got %s\nwant %s", &shown, want)
		}
	})
}
