package main

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"autoscale.io/e2e/cluster"
	"autoscale.io/e2e/product"
)

// TestBurstAfterTheStory plays the story and then does what the demo says to try: the consumers still work, so the
// workload goes up and back to zero. It ends as the demo does when it is interrupted.
func TestBurstAfterTheStory(t *testing.T) {
	binaries, err := cluster.Build(t.Context(), cluster.BuildOptions{Progress: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	o := options{story: "queue", keep: true, began: time.Now(), programs: binaries.Dir}
	if o.autoscaler, err = product.Build(t.Context(), t.TempDir(), os.Stderr); err != nil {
		t.Fatal(err)
	}
	s, err := setUp(t.Context(), t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.tearDown)
	ctx, interrupt := context.WithCancel(t.Context())
	var background sync.WaitGroup
	t.Cleanup(background.Wait)
	t.Cleanup(interrupt)
	told := s.story()
	if err := s.play(ctx, told, &background); err != nil {
		t.Fatal(err)
	}
	s.explain(told)

	q := &queue{stage: s, redis: s.redis}
	if err := q.send(ctx, 100); err != nil {
		t.Fatal(err)
	}
	view := newView(s, told)
	for _, want := range []struct {
		what string
		done func(snapshot) bool
	}{
		{"10 replicas", func(n snapshot) bool { return n.replicas == maxReplicas && n.ready == maxReplicas }},
		{"no backlog", func(n snapshot) bool { return n.level == 0 }},
		{"0 replicas", func(n snapshot) bool { return n.replicas == 0 && n.ready == 0 }},
	} {
		if err := view.await(ctx, time.Minute, want.done); err != nil {
			t.Fatalf("after a burst of 100 messages, want %s: %v", want.what, err)
		}
	}
}
