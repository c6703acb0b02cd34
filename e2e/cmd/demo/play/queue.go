package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/scalers/scalertest/servers"
)

const (
	worker = "worker"
	stream = "orders"
	group  = "workers"
)

// queue is a stream of messages and the pods that work on them.
type queue struct {
	*stage
	redis *servers.Redis
	// sent and acknowledged count the messages that the story has sent and the pods have finished.
	sent, acknowledged atomic.Int64
}

// queueStory scales a Deployment on the backlog of a Redis stream, from zero and back, with times short enough for a
// minute.
func (s *stage) queueStory() story {
	q := &queue{stage: s, redis: s.redis}
	return story{
		workload: worker,
		settings: [][2]string{
			{"min-replicas", "0"},
			{"max-replicas", fmt.Sprint(maxReplicas)},
			{"polling-interval", "1s"},
			{"cooldown", "6s"},
			{"behavior", "{scaleDown: {stabilizationWindowSeconds: 4, policies: [{type: Percent, value: 50, periodSeconds: 4}]}}"},
			{"trigger.orders", fmt.Sprintf("{type: redis-streams, address: %q, stream: %s, consumerGroup: %s, target: 10}", s.redis.Addr(), stream, group)},
		},
		prepare: q.prepare, pods: q.consume, level: level{"backlog", 10, q.backlog}, scenes: q.scenes(),
		finish: func() (string, error) {
			sent, acknowledged := q.sent.Load(), q.acknowledged.Load()
			if sent != acknowledged {
				return "", fmt.Errorf("%d messages were sent and %d were acknowledged", sent, acknowledged)
			}
			return fmt.Sprintf("Done: 0 → %d → 0 replicas, %d messages, each worked on once.", maxReplicas, sent), nil
		},
		try: [][2]string{{
			"Send a burst; the workload goes up to 10 replicas, does the work and goes back to zero:",
			fmt.Sprintf("redis-cli -p %s -r 100 XADD %s '*' job x", portOf(s.redis.Addr()), stream),
		}},
	}
}

func (q *queue) scenes() []scene {
	send := func(n int) func(context.Context) error {
		return func(ctx context.Context) error { return q.send(ctx, n) }
	}
	return []scene{
		{"A burst of 45 messages, 10 for each replica", send(45), "5 replicas ready", 20 * time.Second,
			func(n snapshot) bool { return n.replicas >= 5 && n.ready >= 5 }},
		{"A burst of 250 messages needs more than max-replicas", send(250), "max-replicas ready", 20 * time.Second,
			func(n snapshot) bool { return n.replicas == maxReplicas && n.ready == maxReplicas }},
		{"The consumers drain the stream", send(0), "the backlog gone", 60 * time.Second,
			func(n snapshot) bool { return n.level == 0 }},
		{"No work is left: down by the policies, then the cooldown, then zero", send(0), "0 replicas and no pods", 60 * time.Second,
			func(n snapshot) bool { return n.replicas == 0 && n.ready == 0 }},
	}
}

func (q *queue) prepare(ctx context.Context) error {
	if err := q.redis.Client().XGroupCreateMkStream(ctx, stream, group, "0").Err(); err != nil {
		return fmt.Errorf("create the consumer group: %w", err)
	}
	return q.createDeployment(ctx, worker, 0, corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: worker, Image: worker}}}})
}

func (q *queue) send(ctx context.Context, n int) error {
	if n == 0 {
		return nil
	}
	pipeline := q.redis.Client().Pipeline()
	for range n {
		pipeline.XAdd(ctx, &redis.XAddArgs{Stream: stream, Values: []string{"job", "x"}})
	}
	_, err := pipeline.Exec(ctx)
	q.sent.Add(int64(n))
	return err
}

// consume does the work of the pods.
func (q *queue) consume(ctx context.Context) {
	repeat(ctx, 250*time.Millisecond, "the consumers", q.consumeOnce)
}

// consumeOnce reads and acknowledges one message for each pod that is ready.
func (q *queue) consumeOnce(ctx context.Context) error {
	d, err := q.kube.AppsV1().Deployments(namespace).Get(ctx, worker, metav1.GetOptions{})
	if err != nil || d.Status.ReadyReplicas == 0 {
		return err
	}
	got, err := q.redis.Client().XReadGroup(ctx, &redis.XReadGroupArgs{
		Group: group, Consumer: "pods", Streams: []string{stream, ">"}, Count: int64(d.Status.ReadyReplicas), Block: -1,
	}).Result()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, message := range got[0].Messages {
		acknowledged, err := q.redis.Client().XAck(ctx, stream, group, message.ID).Result()
		if err != nil {
			return err
		}
		q.acknowledged.Add(acknowledged)
	}
	return nil
}

// backlog is what the group has not acknowledged yet, counted by the demo itself.
func (q *queue) backlog(ctx context.Context) (int64, error) {
	groups, err := q.redis.Client().XInfoGroups(ctx, stream).Result()
	if err != nil || len(groups) != 1 {
		return 0, fmt.Errorf("read the consumer group: %w", err)
	}
	return groups[0].Lag + groups[0].Pending, nil
}

func portOf(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return port
}
