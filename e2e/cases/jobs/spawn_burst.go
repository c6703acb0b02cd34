package jobs

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	corev1 "k8s.io/api/core/v1"

	"autoscale.io/e2e/world"
)

const (
	burst, atOnce = 200, 50
	// burstTime is far more than 200 messages of 10.5 seconds on average take 50 consumers.
	burstTime = 4 * time.Minute
)

func burstOfRedis(t *testing.T, w *world.World) {
	s := newSpawns(w)
	client := w.Redis.Client()
	stream := s.queue("s", 0)
	c := s.consume(func(pod string) (string, func() error, bool) {
		got, err := client.XReadGroup(t.Context(), &redis.XReadGroupArgs{Group: "workers", Consumer: pod, Streams: []string{stream, ">"}, Count: 1, Block: -1}).Result()
		if err != nil || len(got) == 0 || len(got[0].Messages) == 0 {
			return "", nil, false
		}
		id := got[0].Messages[0].ID
		return id, func() error { return client.XAck(context.Background(), stream, "workers", id).Err() }, true
	})
	s.CreateJob(s.template("consumer", w.Spawning(stream, nil)))
	w.Add(client, stream, burst)
	c.wantAllDone("consumer", burst, atOnce, burstTime)
}

func burstOfPostgres(t *testing.T, w *world.World) {
	s := newSpawns(w)
	server := w.Postgres(burst)
	w.Secret("db", world.Reads)
	c := s.consume(func(string) (string, func() error, bool) { return takeRow(t.Context(), server.DB()) })
	s.CreateJob(s.template("consumer", w.Spawning("", world.Settings{"trigger.orders": w.SQLTrigger(server.Addr(), world.CountJobs)})))
	c.wantAllDone("consumer", burst, atOnce, burstTime)
	if left := w.Count(server.DB()); left != 0 {
		t.Errorf("%d rows are left", left)
	}
}

// takeRow deletes a row that nobody else works on, in a transaction that is as long as the work: until its end everybody else still sees the row.
func takeRow(ctx context.Context, db *sql.DB) (string, func() error, bool) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return "", nil, false
	}
	var id int
	const take = "delete from jobs where id = (select id from jobs order by id for update skip locked limit 1) returning id"
	if err := tx.QueryRowContext(ctx, take).Scan(&id); err != nil {
		_ = tx.Rollback() // there was no row
		return "", nil, false
	}
	return fmt.Sprint(id), tx.Commit, true
}

// consumers let each pod take a message when it starts, work for 1 to 20 seconds, finish the message and end.
type consumers struct {
	*spawns
	wg sync.WaitGroup
	// take takes one message; ok is false when there is none, and finish says that it is done.
	take func(pod string) (message string, finish func() error, ok bool)

	mu sync.Mutex
	// done counts how often each message was finished; empty are pods that found none.
	done  map[string]int
	empty []string
	errs  []error
}

func (s *spawns) consume(take func(pod string) (string, func() error, bool)) *consumers {
	c := &consumers{spawns: s, take: take, done: map[string]int{}}
	s.mu.Lock()
	s.started = func(pod *corev1.Pod) { c.wg.Go(func() { c.work(pod) }) }
	s.mu.Unlock()
	s.T.Cleanup(c.wg.Wait)
	return c
}

func (c *consumers) work(pod *corev1.Pod) {
	message, finish, ok := c.take(pod.Name)
	if !ok {
		c.mu.Lock()
		c.empty = append(c.empty, pod.Name)
		c.mu.Unlock()
	} else {
		const least, most = time.Second, 20 * time.Second
		timer := time.NewTimer(least + rand.N(most-least)) // the work of a consumer
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.T.Context().Done():
			return
		}
		if err := finish(); err != nil {
			c.note(fmt.Errorf("finish %s: %w", message, err))
			return
		}
		c.mu.Lock()
		c.done[message]++
		c.mu.Unlock()
	}
	if err := endPod(context.Background(), c.Kube, pod); err != nil {
		c.note(err)
	}
}

func (c *consumers) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errs = append(c.errs, err)
}

// wantAllDone waits until n messages were finished, and checks that each was finished once by a Job of its own.
func (c *consumers) wantAllDone(template string, n, most int, within time.Duration) {
	c.T.Helper()
	c.Await(fmt.Sprintf("%d messages are done and no Job is left", n), within, func(context.Context) error {
		_, unfinished, _ := c.seen(template)
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.done) != n || unfinished > 0 {
			return fmt.Errorf("%d are done, %d Jobs are unfinished, errors %v", len(c.done), unfinished, c.errs)
		}
		return nil
	})
	c.mu.Lock()
	for message, times := range c.done {
		if times != 1 {
			c.T.Errorf("message %s was finished %d times", message, times)
		}
	}
	if len(c.empty) > 0 || len(c.errs) > 0 {
		c.T.Errorf("%d pods found no message; errors %v", len(c.empty), c.errs)
	}
	c.mu.Unlock()
	c.wantMade(template, n)
	if _, _, highest := c.seen(template); highest > most {
		c.T.Errorf("%d Jobs were unfinished at a time, want at most %d", highest, most)
	}
	c.wantNothingCut(template)
}
