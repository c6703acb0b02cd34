package world

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"autoscale.io/e2e/product"
)

// Memory reads a field of /proc/PID/status, in bytes.
func Memory(t *testing.T, a *product.Autoscaler, field string) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.PID()))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^` + field + `:\s+(\d+) kB$`).FindSubmatch(status)
	if found == nil {
		t.Fatalf("there is no %s in %s", field, status)
	}
	kib, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// Restart starts the autoscaler of the case again, after it was killed or stopped.
func (w *World) Restart() {
	w.T.Helper()
	if err := w.Scaler.Restart(w.T.Context()); err != nil {
		w.T.Fatal(err)
	}
}

// Sample is the sum of a metric without regard to labels.
func Sample(text, metric string) float64 {
	total := 0.0
	for _, line := range regexp.MustCompile(`(?m)^`+metric+`(?:\{[^}]*\})? (\S+)$`).FindAllStringSubmatch(text, -1) {
		value, err := strconv.ParseFloat(line[1], 64)
		if err == nil {
			total += value
		}
	}
	return total
}

// AwaitQuiet waits until the number of calls has stayed the same for a second.
func (w *World) AwaitQuiet(calls func() float64) {
	w.T.Helper()
	last, since := calls(), time.Now()
	w.Await("the webhook is quiet", Soon, func(context.Context) error {
		if now := calls(); now != last {
			last, since = now, time.Now()
		}
		if time.Since(since) < time.Second {
			return fmt.Errorf("calls are still coming")
		}
		return nil
	})
}
