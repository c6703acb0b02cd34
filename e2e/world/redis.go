package world

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Soon is how long a reaction may take: some polls of a second on a busy machine.
const Soon = 30 * time.Second

// Group is the parameter of a trigger that counts for the consumer group workers.
const Group = ", consumerGroup: workers"

// Add appends n entries in one transaction, so that no poll sees a part of them.
func (w *World) Add(client redis.UniversalClient, stream string, n int) {
	w.T.Helper()
	_, err := client.TxPipelined(w.T.Context(), func(pipe redis.Pipeliner) error {
		for range n {
			pipe.XAdd(w.T.Context(), &redis.XAddArgs{Stream: stream, Values: []string{"job", "x"}})
		}
		return nil
	})
	if err != nil {
		w.T.Fatalf("XADD %s: %v", stream, err)
	}
}

// Read delivers n entries to a consumer of the group workers and acknowledges them when ack is set; it returns their IDs.
func (w *World) Read(client redis.UniversalClient, stream string, n int, ack bool) []string {
	w.T.Helper()
	got, err := client.XReadGroup(w.T.Context(), &redis.XReadGroupArgs{Group: "workers", Consumer: "c1", Streams: []string{stream, ">"}, Count: int64(n), Block: -1}).Result()
	if err != nil || len(got) != 1 || len(got[0].Messages) != n {
		w.T.Fatalf("XREADGROUP of %d from %s: %v, %v", n, stream, got, err)
	}
	var ids []string
	for _, m := range got[0].Messages {
		ids = append(ids, m.ID)
	}
	if ack {
		w.Ack(client, stream, ids)
	}
	return ids
}

// Ack acknowledges entries for the consumer group workers.
func (w *World) Ack(client redis.UniversalClient, stream string, ids []string) {
	w.T.Helper()
	if err := client.XAck(w.T.Context(), stream, "workers", ids...).Err(); err != nil {
		w.T.Fatalf("XACK %s: %v", stream, err)
	}
}

// Group makes the consumer group workers, which has read up to an entry ID.
func (w *World) Group(client redis.UniversalClient, stream, from string) {
	w.T.Helper()
	if err := client.XGroupCreateMkStream(w.T.Context(), stream, "workers", from).Err(); err != nil {
		w.T.Fatalf("XGROUP CREATE %s: %v", stream, err)
	}
}

// AwaitValue waits until a trigger of a workload reads that value.
func (w *World) AwaitValue(name, trigger, want string) {
	w.T.Helper()
	w.Await(fmt.Sprintf("trigger %s of %s at %s", trigger, name, want), Soon, func(ctx context.Context) error {
		got, err := w.Metric(ctx, "autoscale_trigger_value", name, `trigger="`+trigger+`"`)
		if err == nil && got != want {
			err = fmt.Errorf("it is %s", got)
		}
		return err
	})
}
