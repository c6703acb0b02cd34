package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const maxReplicas = 10

// settings are what a user would annotate, with tempos short enough for a story of a minute.
func (s *stage) settings() map[string]string {
	return map[string]string{
		"autoscale.io/min-replicas":     "0",
		"autoscale.io/max-replicas":     fmt.Sprint(maxReplicas),
		"autoscale.io/polling-interval": "1s",
		"autoscale.io/cooldown":         "6s",
		"autoscale.io/behavior":         "{scaleDown: {stabilizationWindowSeconds: 4, policies: [{type: Percent, value: 50, periodSeconds: 4}]}}",
		"autoscale.io/trigger.orders": fmt.Sprintf(
			"{type: redis-streams, address: %q, stream: %s, consumerGroup: %s, target: 10}", s.redis.Addr(), stream, group),
	}
}

// play tells the story. Each step must happen within its time.
func (s *stage) play(ctx context.Context) error {
	if err := s.redis.Client().XGroupCreateMkStream(ctx, stream, group, "0").Err(); err != nil {
		return fmt.Errorf("create the consumer group: %w", err)
	}
	if err := s.createWorker(ctx); err != nil {
		return fmt.Errorf("create the Deployment: %w", err)
	}
	say("A plain Deployment at 0 replicas is annotated: kubectl annotate deployment %s \\", worker)
	settings := s.settings()
	for _, key := range []string{"min-replicas", "max-replicas", "polling-interval", "cooldown", "behavior", "trigger.orders"} {
		fmt.Printf("    autoscale.io/%s='%s'\n", key, settings["autoscale.io/"+key])
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": settings}})
	if err != nil {
		return err
	}
	if _, err := s.kube.AppsV1().Deployments(namespace).Patch(ctx, worker, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "kubectl-annotate"}); err != nil {
		return fmt.Errorf("annotate the Deployment: %w", err)
	}
	view := newView(s)
	playing, stop := context.WithCancel(ctx)
	defer stop()
	go s.consume(playing)
	go view.watch(playing)

	steps := []struct {
		title  string
		send   int
		what   string
		within time.Duration
		done   func(snapshot) bool
	}{
		{"A burst of 45 messages, 10 for each replica", 45, "5 replicas ready", 20 * time.Second, func(n snapshot) bool { return n.replicas >= 5 && n.ready >= 5 }},
		{"A burst of 250 messages asks for more than max-replicas", 250, "max-replicas ready", 20 * time.Second, func(n snapshot) bool { return n.replicas == maxReplicas && n.ready == maxReplicas }},
		{"The consumers drain the stream", 0, "the backlog gone", 60 * time.Second, func(n snapshot) bool { return n.backlog == 0 }},
		{"No work is left: down by the policies, then the cooldown, then zero", 0, "0 replicas and no pods", 60 * time.Second, func(n snapshot) bool { return n.replicas == 0 && n.ready == 0 }},
	}
	for _, step := range steps {
		say("%s", step.title)
		if err := s.send(ctx, step.send); err != nil {
			return err
		}
		if err := view.await(ctx, step.within, step.done); err != nil {
			return fmt.Errorf("%s: want %s: %w", step.title, step.what, err)
		}
	}
	sent := int64(0)
	for _, step := range steps {
		sent += int64(step.send)
	}
	if got := s.acknowledged.Load(); got != sent {
		return fmt.Errorf("%d messages were sent and %d were acknowledged", sent, got)
	}
	say("Done: 0 → %d → 0 replicas, %d messages, each worked on once.", maxReplicas, sent)
	return nil
}

func (s *stage) send(ctx context.Context, n int) error {
	pipeline := s.redis.Client().Pipeline()
	for range n {
		pipeline.XAdd(ctx, &redis.XAddArgs{Stream: stream, Values: []string{"job", "x"}})
	}
	if n == 0 {
		return nil
	}
	_, err := pipeline.Exec(ctx)
	return err
}

// consume plays the pods: for each that is ready, one message in a quarter of a second is read and acknowledged.
func (s *stage) consume(ctx context.Context) {
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		d, err := s.kube.AppsV1().Deployments(namespace).Get(ctx, worker, metav1.GetOptions{})
		if err != nil || d.Status.ReadyReplicas == 0 {
			continue
		}
		got, err := s.redis.Client().XReadGroup(ctx, &redis.XReadGroupArgs{
			Group: group, Consumer: "pods", Streams: []string{stream, ">"}, Count: int64(d.Status.ReadyReplicas), Block: -1,
		}).Result()
		if err != nil {
			if !errors.Is(err, redis.Nil) && ctx.Err() == nil {
				fmt.Println("  consumer:", err)
			}
			continue
		}
		for _, message := range got[0].Messages {
			acknowledged, err := s.redis.Client().XAck(ctx, stream, group, message.ID).Result()
			if err != nil && ctx.Err() == nil {
				fmt.Println("  consumer:", err)
			}
			s.acknowledged.Add(acknowledged)
		}
	}
}

func portOf(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return port
}
