package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// snapshot is one look at everything.
type snapshot struct {
	backlog  int64
	desired  string
	replicas int32
	ready    int32
	why      string
}

// view looks at the stage twice a second and prints a row when something changed.
type view struct {
	stage *stage
	start sinceStart

	mu   sync.Mutex
	last snapshot
}

func newView(s *stage) *view {
	return &view{stage: s, start: sinceStart(time.Now())}
}

func (v *view) watch(ctx context.Context) {
	fmt.Printf("\n  %6s  %-32s %7s %8s %5s  %s\n", "time", "backlog", "desired", "replicas", "ready", "why")
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
	v.last = now
	bar := strings.Repeat("█", int(min(now.backlog/10, 25)))
	fmt.Printf("  %6s  %4d %-27s %7s %8d %5d  %s\n", v.start, now.backlog, bar, now.desired, now.replicas, now.ready, now.why)
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
	d, err := v.stage.kube.AppsV1().Deployments(namespace).Get(ctx, worker, metav1.GetOptions{})
	if err != nil {
		return snapshot{}, err
	}
	backlog, err := backlog(ctx, v.stage.redis.Client())
	if err != nil {
		return snapshot{}, err
	}
	metrics, err := v.stage.scaler.Metrics(ctx)
	if err != nil {
		return snapshot{}, err
	}
	return snapshot{backlog: backlog, desired: desired(metrics), replicas: *d.Spec.Replicas, ready: d.Status.ReadyReplicas, why: v.news(ctx)}, nil
}

// backlog is what the group has not acknowledged yet, counted by the demo itself.
func backlog(ctx context.Context, client *redis.Client) (int64, error) {
	groups, err := client.XInfoGroups(ctx, stream).Result()
	if err != nil || len(groups) != 1 {
		return 0, fmt.Errorf("read the consumer group: %w", err)
	}
	return groups[0].Lag + groups[0].Pending, nil
}

func desired(metrics string) string {
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "autoscale_workload_desired_replicas{") && strings.Contains(line, `name="`+worker+`"`) {
			return strings.TrimSpace(line[strings.LastIndexByte(line, ' '):])
		}
	}
	return "–"
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
