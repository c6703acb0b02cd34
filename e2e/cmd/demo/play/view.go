package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// unknown stands for a number that is not there.
const unknown = "–"

// snapshot is one look at everything.
type snapshot struct {
	level int64
	// value is what the autoscaler has read from its trigger, desired what it wants.
	value    string
	desired  string
	replicas int32
	ready    int32
	why      string
}

// view looks at the stage twice a second and prints a row when something changed.
type view struct {
	stage *stage
	told  story
	start sinceStart

	mu   sync.Mutex
	last snapshot
}

func newView(s *stage, told story) *view {
	return &view{stage: s, told: told, start: sinceStart(time.Now())}
}

func (v *view) watch(ctx context.Context) {
	fmt.Printf("\n  %6s  %-32s %5s %7s %8s %5s  %s\n", "time", v.told.level.title, "read", "desired", "replicas", "ready", "why")
	ticker := time.NewTicker(400 * time.Millisecond)
	defer ticker.Stop()
	for {
		now, err := v.look(ctx)
		if err == nil {
			v.show(now)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (v *view) show(now snapshot) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if now == v.last {
		return
	}
	why := now.why
	if why == v.last.why {
		why = "" // not once more in each row
	}
	v.last = now
	bar := strings.Repeat("█", int(min(now.level/v.told.level.block, 25)))
	fmt.Printf("  %6s  %4d %-27s %5s %7s %8d %5d  %s\n", v.start, now.level, bar, now.value, now.desired, now.replicas, now.ready, why)
}

func (v *view) await(ctx context.Context, within time.Duration, done func(snapshot) bool) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	// A burst takes until the next look to show; the row before it must not count.
	first := true
	for {
		select {
		case <-ctx.Done():
			v.mu.Lock()
			defer v.mu.Unlock()
			return fmt.Errorf("not within %s; last seen: %+v", within, v.last)
		case <-ticker.C:
		}
		now, err := v.look(ctx)
		if err == nil && !first && done(now) {
			v.show(now)
			return nil
		}
		first = false
	}
}

func (v *view) look(ctx context.Context) (snapshot, error) {
	d, err := v.stage.kube.AppsV1().Deployments(namespace).Get(ctx, v.told.workload, metav1.GetOptions{})
	if err != nil {
		return snapshot{}, err
	}
	level, err := v.told.level.read(ctx)
	if err != nil {
		return snapshot{}, err
	}
	metrics, err := v.stage.scaler.Metrics(ctx)
	if err != nil {
		return snapshot{}, err
	}
	return snapshot{
		level: level, value: v.metric(metrics, "autoscale_trigger_value"), desired: v.metric(metrics, "autoscale_workload_desired_replicas"),
		replicas: *d.Spec.Replicas, ready: d.Status.ReadyReplicas, why: v.news(ctx),
	}, nil
}

// metric is the value of a metric of the workload, or a dash.
func (v *view) metric(text, name string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, name+"{") && strings.Contains(line, `name="`+v.told.workload+`"`) {
			return strings.TrimSpace(line[strings.LastIndexByte(line, ' '):])
		}
	}
	return unknown
}

// news is the newest event of the autoscaler, in its own words.
func (v *view) news(ctx context.Context) string {
	events, err := v.stage.kube.EventsV1().Events(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return ""
	}
	newest, note := time.Time{}, ""
	for _, e := range events.Items {
		if e.ReportingController == "autoscale.io" && e.EventTime.After(newest) {
			newest, note = e.EventTime.Time, e.Note
		}
	}
	return note
}
