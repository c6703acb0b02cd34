package product

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// decided finds the namespace, the name and the time in the lines about the latest decisions; the labels come in the order of the alphabet.
var decided = regexp.MustCompile(`(?m)^autoscale_workload_decision_timestamp_seconds\{.*name="([^"]*)",namespace="([^"]*)"\} (\S+)$`)

// Decided is when the latest decision about each workload of a namespace was made, by the workload's name.
func (a *Autoscaler) Decided(ctx context.Context, namespace string) (map[string]time.Time, error) {
	text, err := a.Metrics(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the metrics: %w", err)
	}
	at := map[string]time.Time{}
	for _, line := range decided.FindAllStringSubmatch(text, -1) {
		if line[2] != namespace {
			continue
		}
		seconds, err := strconv.ParseFloat(line[3], 64)
		if err != nil {
			return nil, fmt.Errorf("read the metrics: %q: %w", line[0], err)
		}
		at[line[1]] = time.UnixMilli(int64(seconds*1e3 + 0.5))
	}
	return at, nil
}
