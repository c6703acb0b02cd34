package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"autoscale.io/e2e/product"
)

// Options shape a run.
type Options struct {
	// Seed chooses which workloads get work, and when.
	Seed uint64
	// Quick leaves out the largest rows and measures shorter.
	Quick bool
	// Only are the parts to run, by their names; empty for all. The rows of the others are then missing, which fails the run.
	Only []string
	// Profiles is a folder for profiles of the autoscaler at rest; none are taken when it is empty.
	Profiles string
	// Progress is told what goes on.
	Progress io.Writer
}

// part is one stretch of a run. It has a cluster and servers of its own, so that it finds the same whatever was measured before.
type part struct {
	name string
	run  func(context.Context, *lab) error
	// long says that a quick run leaves it out.
	long bool
	// inProcess says that it needs no cluster.
	inProcess bool
}

// pace is how long and how often is measured.
type pace struct {
	// reactions are as many of each kind, of an autoscaler with little to do.
	reactions int
	// calm is how long an autoscaler is left alone before it is measured: connections are open, first reads are done, the API server is not busy with what came before.
	calm time.Duration
	// rest is how long it is then measured at rest.
	rest time.Duration
	// intervals are as many of polling, over which is found how late each poll is.
	intervals int
	// looks at the connections to PostgreSQL, one a second.
	looks int
}

func (o Options) pace() pace {
	if o.Quick {
		return pace{reactions: 30, calm: 10 * time.Second, rest: 30 * time.Second, intervals: 4, looks: 5}
	}
	return pace{reactions: 60, calm: 15 * time.Second, rest: 2 * time.Minute, intervals: 8, looks: 20}
}

func parts() []part {
	return []part{
		{name: "micro", run: func(ctx context.Context, l *lab) error { return l.micro(ctx) }, inProcess: true},
		{name: "alone", run: func(ctx context.Context, l *lab) error { return l.reactionsAlone(ctx) }},
		{name: "hundred", run: func(ctx context.Context, l *lab) error { return l.crowd(ctx, 100, l.pace.rest/2) }, long: true},
		{name: "thousand", run: func(ctx context.Context, l *lab) error { return l.thousand(ctx) }},
		{name: "sql", run: func(ctx context.Context, l *lab) error { return l.sql(ctx, 1000) }},
		{name: "five-thousand", run: func(ctx context.Context, l *lab) error {
			defer l.report.addPerWorkload(100, 5000)
			return l.crowd(ctx, 5000, l.pace.rest)
		}, long: true},
		{name: "cpu", run: func(ctx context.Context, l *lab) error { return l.cpu(ctx, 1000, l.pace.rest/2) }},
	}
}

// Parts are the names that Options.Only knows.
func Parts() []string {
	var all []string
	for _, p := range parts() {
		all = append(all, p.name)
	}
	return all
}

// Run measures everything. The report holds what was found, also after an error.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	report = &Report{Seed: o.Seed, Quick: o.Quick}
	if report.Machine, err = thisMachine(); err != nil {
		return report, err
	}
	dir, err := os.MkdirTemp("", "autoscale-bench-")
	if err != nil {
		return report, err
	}
	defer os.RemoveAll(dir)
	defer report.sort()
	binary, err := product.Build(ctx, dir, o.Progress)
	if err != nil {
		return report, err
	}
	for _, p := range parts() {
		if p.long && o.Quick || !o.chosen(p.name) {
			continue
		}
		l := newLab(filepath.Join(dir, p.name), binary, o, report)
		if err := l.measure(ctx, p); err != nil {
			return report, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return report, nil
}

func (o Options) chosen(name string) bool {
	return len(o.Only) == 0 || slices.Contains(o.Only, name)
}
