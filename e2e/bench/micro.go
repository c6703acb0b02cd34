package bench

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"

	"autoscale.io/e2e/tree"
)

// micro runs the Go benchmarks of the decision and of admission, in processes of their own.
func (l *lab) micro(ctx context.Context) error {
	l.say("the decision and admission in process")
	step, err := goBench(ctx, "./scaling/decide", "BenchmarkStepThreeTriggers")
	if err != nil {
		return err
	}
	for row, unit := range map[string]string{"decide/ns": "ns/op", "decide/allocs": "allocs/op"} {
		value, ok := step[unit]
		if !ok {
			return fmt.Errorf("the benchmark of the decision reports no %s", unit)
		}
		l.report.add(row, value, "")
	}
	admission, err := goBench(ctx, "./webhook", "BenchmarkAdmission")
	if err != nil {
		return err
	}
	p99, ok := admission["p99-ns/op"]
	if !ok {
		return fmt.Errorf("the benchmark of admission reports no p99-ns/op")
	}
	l.report.add("admission/p99-us", p99/1e3, fmt.Sprintf("mean %.0f µs", admission["ns/op"]/1e3))
	return nil
}

var measured = regexp.MustCompile(`([\d.e+]+) (\S+/op)`)

// goBench returns the figures of one benchmark by their units.
func goBench(ctx context.Context, pkg, name string) (map[string]float64, error) {
	root, err := tree.Root(ctx)
	if err != nil {
		return nil, err
	}
	run := exec.CommandContext(ctx, "go", "test", "-run=^$", "-bench=^"+name+"$", "-benchmem", "-benchtime=3s", pkg)
	run.Dir = root
	out, err := run.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w\n%s", name, err, out)
	}
	figures := map[string]float64{}
	for _, found := range measured.FindAllStringSubmatch(string(out), -1) {
		value, err := strconv.ParseFloat(found[1], 64)
		if err != nil {
			return nil, fmt.Errorf("run %s: %q: %w", name, found[0], err)
		}
		figures[found[2]] = value
	}
	return figures, nil
}
