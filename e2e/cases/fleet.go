package cases

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/annotations"
	"autoscale.io/scalers/scalertest/ports"
	"autoscale.io/scalers/scalertest/servers"
)

func fleetCases() []Case {
	return []Case{
		{ID: "SP-01", Symptom: "a client's own limit on requests makes a thousand workloads wait for hours until they are scaled", Holds: "1,000 at once are scaled within 60 s, also after a restart, and no poll is late by another", Alone: true, Run: thousandAtOnce},
		{ID: "RC-08", Symptom: "a Redis that accepts and says nothing is waited for beyond the deadline, and holds up the reads of all others", Holds: "its reads end in time and the others are less than 1 s late", Alone: true, Run: halfDeadRedis},
		{ID: "SP-03", Symptom: "all polls start together after a restart and stay together", Holds: "from the second poll on they are spread over the interval", Run: spreadPolls},
		{ID: "SP-04", Symptom: "caches of all Secrets, pods and Deployments run a controller out of memory in a big cluster", Holds: "memory hardly depends on what is not managed", Alone: true, Run: noisyCluster},
		{ID: "SP-05", Symptom: "each workload has a client of its own, which keeps all that the server has", Holds: "hundreds of workloads share 4 connections, and other keys cost nothing", Run: sharedClient},
		{ID: "SP-06", Symptom: "sources that are replaced are not closed, until the server or the host has no socket left", Holds: "after hundreds of edits, failures and deletions everything is as before", Alone: true, Run: nothingLeaks},
		{ID: "SP-08", Symptom: "an edit swaps the sources, and a decision without any in between lowers a busy workload", Holds: "many edits a second change no count", Run: editsWhileBusy},
		{ID: "SP-11", Symptom: "the API server is asked at each poll, or for nothing at all", Holds: "idle workloads cost watches, leases and one look for KEDA", Run: idleRequests},
		{ID: "SP-12", Symptom: "a server that comes back is kept down by all who come back to it, and the log is flooded", Holds: "few connections are tried, each workload is in the log once, and all notice the return within a poll", Alone: true, Run: reconnects},
	}
}

// numbered are n names.
func numbered(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%04d", prefix, i)
	}
	return names
}

// each does something for many names, many at a time.
func (w *World) each(names []string, do func(ctx context.Context, i int) error) {
	w.t.Helper()
	const atOnce = 16
	group, ctx := errgroup.WithContext(w.t.Context())
	group.SetLimit(atOnce)
	for i, name := range names {
		group.Go(func() error {
			if err := do(ctx, i); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		w.t.Fatal(err)
	}
}

// deployAll creates many Deployments. They are paused, which keeps their controller from making pods: it is the counts that matter. Those of a class have the label
// that the webhook of its install would give them, so that none of them waits for a sweep.
func (w *World) deployAll(names []string, replicas int32, settings func(i int) Settings) {
	w.t.Helper()
	w.each(names, func(ctx context.Context, i int) error {
		s := settings(i)
		d := w.deployment(names[i], replicas, s)
		d.Spec.Paused = true
		if class := s["class"]; class != "" {
			d.Labels = map[string]string{annotations.Bucket: annotations.BucketLabel(class, annotations.BucketOf("apps", "Deployment", w.Namespace, names[i]))}
		}
		_, err := w.kube.AppsV1().Deployments(w.Namespace).Create(ctx, d, metav1.CreateOptions{})
		return err
	})
}

// streams gives each name a stream with the group workers.
func (w *World) streams(names []string) {
	w.t.Helper()
	_, err := w.redis.Client().Pipelined(w.t.Context(), func(pipe redis.Pipeliner) error {
		for _, name := range names {
			pipe.XGroupCreateMkStream(w.t.Context(), w.Stream(name), "workers", "0")
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// addEach adds n entries to each of many streams.
func (w *World) addEach(names []string, n int) {
	w.t.Helper()
	_, err := w.redis.Client().Pipelined(w.t.Context(), func(pipe redis.Pipeliner) error {
		for range n {
			for _, name := range names {
				pipe.XAdd(w.t.Context(), &redis.XAddArgs{Stream: w.Stream(name), Values: []string{"job", "x"}})
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// apart is the case with an autoscaler of its own, so that it runs beside others. It manages the Deployments of that class, at the shipped tempo: with the short
// leases of other cases a busy machine would take workloads away for a moment, which looks like new ones.
func (w *World) apart(class, name string) *World {
	w.t.Helper()
	return w.with(w.start(class, name, "--kinds=deployments.apps"))
}

// ownRedis is the case with a Redis of its own in the place of the shared one.
func (w *World) ownRedis() *World {
	w.t.Helper()
	own := w.with(w.scaler)
	own.common.redis = servers.MustRedis(w.t, servers.RedisOptions{})
	return own
}

// look is the time between two looks at the metrics of many workloads, which the autoscaler takes a while to write.
const look = 500 * time.Millisecond

// awaitDecided waits until n workloads of the case have been decided on since then.
func (w *World) awaitDecided(n int, since time.Time, within time.Duration) {
	w.t.Helper()
	w.awaitEvery(look, fmt.Sprintf("decisions about %d workloads", n), within, func(ctx context.Context) error {
		decided, err := w.scaler.Decided(ctx, w.Namespace)
		if err != nil {
			return err
		}
		have := 0
		for _, at := range decided {
			if at.After(since) {
				have++
			}
		}
		if have != n {
			return fmt.Errorf("there are %d", have)
		}
		return nil
	})
}

// awaitFleet waits until each of many Deployments has that count.
func (w *World) awaitFleet(names []string, want int32, within time.Duration) {
	w.t.Helper()
	w.await(fmt.Sprintf("%d Deployments at %d replicas", len(names), want), within, func(context.Context) error {
		missing := 0
		for _, name := range names {
			if got, ok := w.changes.last(name); !ok || got.replicas != want {
				missing++
			}
		}
		if missing > 0 {
			return fmt.Errorf("%d of them have another count", missing)
		}
		return nil
	})
}

// gaps follows the decisions about many workloads until each has had n more, and returns the longest time between two about the same one.
func (w *World) gaps(names []string, n int, within time.Duration) map[string]time.Duration {
	w.t.Helper()
	last, longest, seen := map[string]time.Time{}, map[string]time.Duration{}, map[string]int{}
	w.awaitEvery(look, fmt.Sprintf("%d more decisions about each of %d workloads", n, len(names)), within, func(ctx context.Context) error {
		decided, err := w.scaler.Decided(ctx, w.Namespace)
		if err != nil {
			return err
		}
		missing := 0
		for _, name := range names {
			if before, at := last[name], decided[name]; !before.IsZero() && at.After(before) {
				seen[name]++
				longest[name] = max(longest[name], at.Sub(before))
			}
			last[name] = decided[name]
			if seen[name] < n {
				missing++
			}
		}
		if missing > 0 {
			return fmt.Errorf("%d have had less", missing)
		}
		return nil
	})
	return longest
}

// worst is the longest of some times, and of whom.
func worst(of map[string]time.Duration) (name string, d time.Duration) {
	for one, longest := range of {
		if longest >= d {
			name, d = one, longest
		}
	}
	return name, d
}

// logged is what the autoscaler has written to its log from an offset on, and the offset of its end.
func (w *World) logged(from int) (text string, end int) {
	w.t.Helper()
	all, err := os.ReadFile(w.scaler.Log())
	if err != nil {
		w.t.Fatal(err)
	}
	return string(all[from:]), len(all)
}

func thousandAtOnce(t *testing.T, w *World) {
	const n, interval, within = 1000, 10 * time.Second, time.Minute
	names := numbered("w", n)
	_, from := w.logged(0)
	w.streams(names)
	w.addEach(names, 10)
	began := time.Now()
	w.deployAll(names, 0, func(i int) Settings {
		return quick(Settings{"polling-interval": interval.String(), "trigger.orders": w.trigger(w.Stream(names[i]), group)})
	})
	created := time.Since(began)
	w.awaitFleet(names, 2, within-time.Since(began))
	t.Logf("created within %s, scaled within %s", created, time.Since(began))
	if err := w.scaler.Kill(); err != nil {
		t.Fatal(err)
	}
	w.addEach(names, 5)
	began = time.Now()
	w.restart()
	w.awaitDecided(n, began, within-time.Since(began))
	decided := time.Since(began)
	w.awaitFleet(names, 3, within-time.Since(began))
	t.Logf("after the restart decided on within %s, scaled within %s", decided, time.Since(began))
	name, longest := worst(w.gaps(names, 2, within))
	t.Logf("the longest time between two decisions: %s", longest)
	if late := longest - interval; late > interval {
		t.Errorf("a poll of %s was %s late, want less than the interval of %s", name, late, interval)
	}
	// It is what the client says when its own limit holds back a request.
	if text, _ := w.logged(from); strings.Contains(text, "client-side throttling") {
		t.Error("the log says that requests waited for the client's own limit")
	}
}

// halfDeadRedis has workloads on a Redis that accepts and says nothing beside others on a healthy one.
func halfDeadRedis(t *testing.T, w *World) {
	const n, interval, slots = 50, 2 * time.Second, 4
	proxy := servers.MustProxy(t, w.redis.Addr())
	if err := proxy.Set(servers.Silent); err != nil {
		t.Fatal(err)
	}
	silent, healthy := numbered("silent", n), numbered("healthy", n)
	both := append(append([]string{}, silent...), healthy...)
	w.streams(both)
	w.deployAll(both, 1, func(i int) Settings {
		address := w.redis.Addr()
		if i < n {
			address = proxy.Addr()
		}
		return quick(Settings{"min-replicas": "1", "polling-interval": interval.String(), "trigger.orders": triggerAt(address, w.Stream(both[i]), group)})
	})
	w.awaitDecided(2*n, time.Time{}, soon)
	longest := w.gaps(both, slots, time.Minute)
	for i, name := range both {
		late := longest[name] - interval
		switch {
		case i >= n && late > time.Second:
			t.Errorf("a poll of %s was %s late, want less than 1s", name, late)
		case i < n && late > interval+time.Second/2: // after an error it keeps a distance to the poll before, which may cost it one slot
			t.Errorf("a poll of %s was %s late, want it never to take longer than its slot", name, late)
		}
	}
	// Who sees the deadline first, the scaler or what bounds it, is a matter of luck.
	const text = `^trigger orders \(redis-streams\) cannot be read since \d\d:\d\d:\d\dZ, so the count does not fall: (XINFO GROUPS on stream "%s": )?no answer in time: context deadline exceeded$`
	for _, name := range []string{silent[0], silent[n-1]} {
		w.AwaitEvent(name, "TriggerUnknown", fmt.Sprintf(text, regexp.QuoteMeta(w.Stream(name))))
	}
	if err := proxy.Set(servers.Pass); err != nil {
		t.Fatal(err)
	}
	w.awaitNoneUnknown(both, 2*interval+time.Second)
}

// awaitNoneUnknown waits until the triggers of all these workloads can be read.
func (w *World) awaitNoneUnknown(names []string, within time.Duration) {
	w.t.Helper()
	known := regexp.MustCompile(`(?m)^autoscale_trigger_known\{.*namespace="` + w.Namespace + `".*\} 1$`)
	w.awaitEvery(look/2, fmt.Sprintf("%d workloads can be read", len(names)), within, func(ctx context.Context) error {
		text, err := w.scaler.Metrics(ctx)
		if err != nil {
			return err
		}
		if n := len(known.FindAllString(text, -1)); n < len(names) {
			return fmt.Errorf("%d can be read", n)
		}
		return nil
	})
}

// closedAddress is a port of this host that nobody listens on.
func (w *World) closedAddress() string {
	w.t.Helper()
	address, err := ports.Reserve()
	if err != nil {
		w.t.Fatal(err)
	}
	return address.String()
}
