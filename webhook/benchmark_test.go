package webhook_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// BenchmarkAdmission answers an UPDATE of a Deployment of 10 KiB with three triggers, the most frequent request. It reports the 99th percentile beside
// the mean; the budget is 1 ms on a machine that does nothing else.
func BenchmarkAdmission(b *testing.B) {
	// The autoscaler holds a heap like this; on an empty one the garbage collector would run every few dozen requests.
	heap := make([]byte, 32<<20)
	defer runtime.KeepAlive(heap)
	old, new := tenKiB(b, 6), tenKiB(b, 2)
	h := handler(b, reviewer(), prometheus.NewRegistry())
	request := ask(b, person, old, new)
	took := make([]time.Duration, 0, 1<<16)
	b.ReportAllocs()
	b.SetBytes(int64(len(old) + len(new)))
	for b.Loop() {
		began := time.Now()
		response := h.Handle(b.Context(), request)
		took = append(took, time.Since(began))
		if len(response.Patches) != 1 {
			b.Fatalf("got %d operations, want the one that keeps the count", len(response.Patches))
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns/op")
}

// tenKiB is a Deployment as a cluster has them, with the environment of its container filling it up.
func tenKiB(t testing.TB, replicas int) []byte {
	t.Helper()
	o := live(replicas)
	for _, name := range []string{"orders", "mails", "images"} {
		o.annotations["autoscale.io/trigger."+name] = "{type: queue, stream: " + name + ", target: 10, password: secret}"
	}
	whole := parsed(t, o.raw(t))
	var env []any
	for i := range 90 {
		env = append(env, map[string]any{"name": fmt.Sprintf("VARIABLE_%02d", i), "value": strings.Repeat("x", 70)})
	}
	container := map[string]any{"name": "worker", "image": "example.com/worker:1", "env": env}
	whole["spec"].(map[string]any)["template"] = map[string]any{"spec": map[string]any{"containers": []any{container}}}
	data, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) < 9<<10 || len(data) > 11<<10 {
		t.Fatalf("the Deployment has %d bytes, want about 10 KiB", len(data))
	}
	return data
}
