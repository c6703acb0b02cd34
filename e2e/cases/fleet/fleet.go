package fleet

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"autoscale.io/e2e/world"
	"autoscale.io/scalers/scalertest/servers"
)

func fleetCases() []world.Case {
	return []world.Case{
		{ID: "SP-01", Symptom: "a client's own limit on requests makes a thousand workloads wait for hours until they are scaled", Holds: "1,000 at once are scaled within 60 s, also after a restart, and no poll is late by another", In: world.Soak, Alone: true, Run: thousandAtOnce},
		{ID: "RC-08", Symptom: "a Redis that accepts and says nothing is waited for beyond the deadline, and holds up the reads of all others", Holds: "its reads end in time and the others are less than 1 s late", In: world.Soak, Alone: true, Run: halfDeadRedis},
		{ID: "SP-03", Symptom: "all polls start together after a restart and stay together", Holds: "from the second poll on they are spread over the interval", In: world.Soak, Run: spreadPolls},
		{ID: "SP-04", Symptom: "caches of all Secrets, pods and Deployments run a controller out of memory in a big cluster", Holds: "memory hardly depends on what is not managed", In: world.Soak, Alone: true, Run: noisyCluster},
		{ID: "SP-05", Symptom: "each workload has a client of its own, which keeps all that the server has", Holds: "hundreds of workloads share 4 connections, and other keys cost nothing", In: world.Soak, Run: sharedClient},
		{ID: "SP-06", Symptom: "sources that are replaced are not closed, until the server or the host has no socket left", Holds: "after hundreds of edits, failures and deletions everything is as before", In: world.Soak, Alone: true, Run: nothingLeaks},
		{ID: "SP-08", Symptom: "an edit swaps the sources, and a decision without any in between lowers a busy workload", Holds: "many edits a second change no count", In: world.Soak, Run: editsWhileBusy},
		{ID: "SP-11", Symptom: "the API server is asked at each poll, or for nothing at all", Holds: "idle workloads cost watches, leases and one look for KEDA", In: world.Test, Run: idleRequests},
		{ID: "SP-12", Symptom: "a server that comes back is kept down by all who come back to it, and the log is flooded", Holds: "few connections are tried, each workload is in the log once, and all notice the return within a poll", In: world.Soak, Alone: true, Run: reconnects},
	}
}

// streams gives each name a stream with the group workers.
func streams(w *world.World, names []string) {
	w.T.Helper()
	_, err := w.Redis.Client().Pipelined(w.T.Context(), func(pipe redis.Pipeliner) error {
		for _, name := range names {
			pipe.XGroupCreateMkStream(w.T.Context(), w.Stream(name), "workers", "0")
		}
		return nil
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// addEach adds n entries to each of many streams.
func addEach(w *world.World, names []string, n int) {
	w.T.Helper()
	_, err := w.Redis.Client().Pipelined(w.T.Context(), func(pipe redis.Pipeliner) error {
		for range n {
			for _, name := range names {
				pipe.XAdd(w.T.Context(), &redis.XAddArgs{Stream: w.Stream(name), Values: []string{"job", "x"}})
			}
		}
		return nil
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// apart is the case with an autoscaler of its own, so that it runs beside others. It manages the Deployments of that class, at the shipped tempo: with the short
// leases of other cases a busy machine would take workloads away for a moment, which looks like new ones.
func apart(w *world.World, class, name string) *world.World {
	w.T.Helper()
	return w.With(w.StartAutoscaler(class, name, "--kinds=deployments.apps"))
}

// ownRedis is the case with a Redis of its own in the place of the shared one.
func ownRedis(w *world.World) *world.World {
	w.T.Helper()
	own := w.With(w.Scaler)
	own.Redis = servers.MustRedis(w.T, servers.RedisOptions{})
	return own
}

// awaitFleet waits until each of many Deployments has that count.
func awaitFleet(w *world.World, names []string, want int32, within time.Duration) {
	w.T.Helper()
	w.Await(fmt.Sprintf("%d Deployments at %d replicas", len(names), want), within, func(context.Context) error {
		missing := 0
		for _, name := range names {
			if got, ok := w.Changes.Last(name); !ok || got.Replicas != want {
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
func gaps(w *world.World, names []string, n int, within time.Duration) map[string]time.Duration {
	w.T.Helper()
	last, longest, seen := map[string]time.Time{}, map[string]time.Duration{}, map[string]int{}
	w.AwaitEvery(world.Look, fmt.Sprintf("%d more decisions about each of %d workloads", n, len(names)), within, func(ctx context.Context) error {
		decided, err := w.Scaler.Decided(ctx, w.Namespace)
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
func logged(w *world.World, from int) (text string, end int) {
	w.T.Helper()
	all, err := os.ReadFile(w.Scaler.Log())
	if err != nil {
		w.T.Fatal(err)
	}
	return string(all[from:]), len(all)
}

func thousandAtOnce(t *testing.T, w *world.World) {
	const n, interval, within = 1000, 10 * time.Second, time.Minute
	names := world.Numbered("w", n)
	_, from := logged(w, 0)
	streams(w, names)
	addEach(w, names, 10)
	began := time.Now()
	w.DeployAll(names, 0, func(i int) world.Settings {
		return world.Quick(world.Settings{"polling-interval": interval.String(), "trigger.orders": w.Trigger(w.Stream(names[i]), world.Group)})
	})
	created := time.Since(began)
	awaitFleet(w, names, 2, within-time.Since(began))
	t.Logf("created within %s, scaled within %s", created, time.Since(began))
	w.Kill()
	addEach(w, names, 5)
	began = time.Now()
	w.Restart()
	w.AwaitDecided(n, began, within-time.Since(began))
	decided := time.Since(began)
	awaitFleet(w, names, 3, within-time.Since(began))
	t.Logf("after the restart decided on within %s, scaled within %s", decided, time.Since(began))
	name, longest := worst(gaps(w, names, 2, within))
	t.Logf("the longest time between two decisions: %s", longest)
	if late := longest - interval; late > interval {
		t.Errorf("a poll of %s was %s late, want less than the interval of %s", name, late, interval)
	}
	// It is what the client says when its own limit holds back a request.
	if text, _ := logged(w, from); strings.Contains(text, "client-side throttling") {
		t.Error("the log says that requests waited for the client's own limit")
	}
}

// halfDeadRedis has workloads on a Redis that accepts and says nothing beside others on a healthy one.
func halfDeadRedis(t *testing.T, w *world.World) {
	const n, interval, slots = 50, 2 * time.Second, 4
	proxy := servers.MustProxy(t, w.Redis.Addr())
	if err := proxy.Set(servers.Silent); err != nil {
		t.Fatal(err)
	}
	silent, healthy := world.Numbered("silent", n), world.Numbered("healthy", n)
	both := append(append([]string{}, silent...), healthy...)
	streams(w, both)
	w.DeployAll(both, 1, func(i int) world.Settings {
		address := w.Redis.Addr()
		if i < n {
			address = proxy.Addr()
		}
		return world.Quick(world.Settings{"min-replicas": "1", "polling-interval": interval.String(), "trigger.orders": world.TriggerAt(address, w.Stream(both[i]), world.Group)})
	})
	w.AwaitDecided(2*n, time.Time{}, world.Soon)
	longest := gaps(w, both, slots, time.Minute)
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
	awaitNoneUnknown(w, both, 2*interval+time.Second)
}

// awaitNoneUnknown waits until the triggers of all these workloads can be read.
func awaitNoneUnknown(w *world.World, names []string, within time.Duration) {
	w.T.Helper()
	known := regexp.MustCompile(`(?m)^autoscale_trigger_known\{.*namespace="` + w.Namespace + `".*\} 1$`)
	w.AwaitEvery(world.Look/2, fmt.Sprintf("%d workloads can be read", len(names)), within, func(ctx context.Context) error {
		text, err := w.Scaler.Metrics(ctx)
		if err != nil {
			return err
		}
		if n := len(known.FindAllString(text, -1)); n < len(names) {
			return fmt.Errorf("%d can be read", n)
		}
		return nil
	})
}
