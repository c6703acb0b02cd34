package fleet

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/e2e/world"
)

// polls are the moments at which the streams of a case were asked for, as Redis itself tells them.
type polls struct {
	mu sync.Mutex
	at []time.Time
}

var asked = regexp.MustCompile(`^\+(\d+)\.(\d{6}) .* "(?i:XINFO)" "(?i:GROUPS)" `)

// monitor records all polls of the case's Redis from now on.
func monitor(w *world.World) *polls {
	w.T.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(w.T.Context(), "tcp", w.Redis.Addr())
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() { _ = conn.Close() }) // which ends the reading
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		w.T.Fatal(err)
	}
	p := &polls{}
	go func() {
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			p.note(lines.Text())
		}
	}()
	return p
}

func (p *polls) note(line string) {
	found := asked.FindStringSubmatch(line)
	if found == nil {
		return
	}
	// The pattern takes nothing but numbers.
	seconds, _ := strconv.ParseInt(found[1], 10, 64)
	micros, _ := strconv.ParseInt(found[2], 10, 64)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = append(p.at, time.Unix(seconds, micros*1000))
}

// bins are how many polls came in each of n parts of a time, and whether it is over.
func (p *polls) bins(from time.Time, long time.Duration, n int) (bins []int, over bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	bins = make([]int, n)
	for _, at := range p.at {
		switch since := at.Sub(from); {
		case since >= long:
			over = true
		case since >= 0:
			bins[int(since*time.Duration(n)/long)]++
		}
	}
	return bins, over
}

// spreadPolls has 300 workloads where the field had 500. It counts by whole seconds, each of which has as many of the moments to which polls are rounded: 60 polls come in each,
// and by chance never twice as many.
func spreadPolls(t *testing.T, w *world.World) {
	const n, parts, interval, intervals, class = 300, 5, 5 * time.Second, 6, "spread"
	w = ownRedis(w)
	names := world.Numbered("w", n)
	streams(w, names)
	w.DeployAll(names, 0, func(i int) world.Settings {
		return world.Quick(world.Settings{"class": class, "polling-interval": interval.String(), "trigger.orders": w.Trigger(w.Stream(names[i]), world.Group)})
	})
	own := apart(w, class, class)
	own.AwaitDecided(n, time.Time{}, time.Minute)
	own.Kill()
	p, restarted := monitor(w), time.Now()
	own.Restart()
	own.AwaitDecided(n, restarted, time.Minute)
	gaps(own, names, 1, world.Soon) // the first polls are for having a decision soon, the next ones keep the beat
	began := time.Now()
	// Polls that stay together do so in every interval; that a busy machine is late now and then is no fault.
	for i := range intervals {
		from := began.Add(time.Duration(i) * interval)
		var bins []int
		own.Await("the interval is over", time.Minute, func(context.Context) error {
			var over bool
			if bins, over = p.bins(from, interval, parts); !over {
				return fmt.Errorf("it began at %s", from)
			}
			return nil
		})
		all := 0
		for _, polls := range bins {
			all += polls
		}
		t.Logf("polls by seconds: %v", bins)
		if all >= n*9/10 && all <= n*11/10 && slices.Max(bins) <= 2*n/parts {
			return
		}
	}
	t.Errorf("in none of %d intervals did each of %d workloads poll once, and at most twice the mean of %d in a second", intervals, n, n/parts)
}

// connections are those of the autoscalers to the case's Redis.
func connections(ctx context.Context, w *world.World) (int, error) {
	text, err := w.Redis.Client().ClientList(ctx).Result()
	return strings.Count(text, " name=autoscale.io "), err
}

// sharedClient has 300 workloads, and a Redis that holds more and more of what is not theirs. The field had 500; a client for each would be many times the connections
// that there may be with either.
func sharedClient(t *testing.T, w *world.World) {
	const n, keys, class, most, growth = 300, 100_000, "shared", 4, 1.2
	w = ownRedis(w)
	names := world.Numbered("w", n)
	streams(w, names)
	w.DeployAll(names, 0, func(i int) world.Settings {
		return world.Quick(world.Settings{"class": class, "polling-interval": "2s", "trigger.orders": w.Trigger(w.Stream(names[i]), world.Group)})
	})
	own := apart(w, class, class)
	own.AwaitDecided(n, time.Time{}, time.Minute)
	gaps(own, names, 3, time.Minute)
	before := world.Memory(t, own.Scaler, "VmHWM")
	for _, command := range [][]any{{"debug", "populate", keys, "topic"}, {"debug", "populate", keys, "job", 100}} {
		if err := w.Redis.Client().Do(t.Context(), command...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	// They are counted while the polls go on.
	since := time.Now()
	have := 0
	own.Await("three more rounds of polls", time.Minute, func(ctx context.Context) error {
		now, err := connections(ctx, own)
		if err != nil {
			return err
		}
		have = max(have, now)
		at, err := own.Scaler.Decided(ctx, w.Namespace)
		if err != nil {
			return err
		}
		if last := at[names[0]]; last.Before(since.Add(6 * time.Second)) {
			return fmt.Errorf("the last was at %s", last)
		}
		return nil
	})
	after := world.Memory(t, own.Scaler, "VmHWM")
	t.Logf("%d connections; at most %d MiB before, %d MiB with %d more keys", have, before>>20, after>>20, 2*keys)
	if have == 0 || have > most {
		t.Errorf("the autoscaler had %d connections, want 1 to %d", have, most)
	}
	if float64(after) > growth*float64(before) {
		t.Errorf("memory rose from %d MiB to %d MiB with the keys of others", before>>20, after>>20)
	}
}

// stock is what an autoscaler has open.
type stock struct{ goroutines, files, connections int }

func newStock(ctx context.Context, w *world.World) (h stock, err error) {
	text, err := w.Scaler.Metrics(ctx)
	if err != nil {
		return h, err
	}
	h.goroutines, h.files = int(world.Sample(text, "go_goroutines")), int(world.Sample(text, "process_open_fds"))
	h.connections, err = connections(ctx, w)
	return h, err
}

// nothingLeaks makes, edits and removes workloads whose sources are each a server of their own to the autoscaler: another database of a Redis that answers, or of one
// that does not. Some hundreds of edits, failures and deletions are enough, since one thing left by each of them would be found.
func nothingLeaks(t *testing.T, w *world.World) {
	const n, rounds, edits, databases, class = 40, 3, 3, 15, "leaks"
	w = ownRedis(w)
	own := apart(w, class, class)
	address, away := w.Redis.Addr(), w.ClosedAddress()
	trigger := func(i, edit int) string {
		at := address
		if i%2 == 1 {
			at = away
		}
		return world.TriggerAt(at, "jobs", fmt.Sprintf(", database: %d", 1+(i/2+edit)%databases))
	}
	base := []string{"base"}
	w.Add(w.Redis.Client(), "jobs", 5) // so that it is scaled: with the first event of all, a process starts what records events
	w.DeployAll(base, 0, func(int) world.Settings {
		return world.Quick(world.Settings{"class": class, "polling-interval": "5s", "trigger.jobs": world.TriggerAt(address, "jobs", "")})
	})
	own.AwaitReplicas(base[0], 1, world.Soon)
	own.AwaitEvent(base[0], "ScaledUp", "^0 → 1 replicas: ")
	own.AwaitDecisions(base[0], 2)
	before, err := newStock(t.Context(), own)
	if err != nil {
		t.Fatal(err)
	}
	var most stock
	for round := range rounds {
		names := world.Numbered(fmt.Sprintf("w%d", round), n)
		w.DeployAll(names, 0, func(i int) world.Settings {
			return world.Quick(world.Settings{"class": class, "trigger.jobs": trigger(i, 0)})
		})
		own.AwaitDecided(1+n, time.Time{}, world.Soon)
		for edit := range edits {
			w.Each(names, func(_ context.Context, i int) error {
				return w.Annotate(names[i], world.Settings{"trigger.jobs": trigger(i, 1+edit)})
			})
			own.AwaitDecided(1+n, time.Now(), world.Soon)
		}
		gaps(own, names, 2, world.Soon)
		if most, err = newStock(t.Context(), own); err != nil {
			t.Fatal(err)
		}
		w.Each(names, func(ctx context.Context, i int) error {
			return w.Kube.AppsV1().Deployments(w.Namespace).Delete(ctx, names[i], metav1.DeleteOptions{})
		})
		own.AwaitDecided(1, time.Time{}, world.Soon)
	}
	var after stock
	own.AwaitEvery(world.Look, "everything is as before", 30*time.Second, func(ctx context.Context) error {
		if after, err = newStock(ctx, own); err != nil {
			return err
		}
		// Idle goroutines that will be used again, and the connections of this look itself, come and go.
		if after.goroutines > before.goroutines+10 || after.files > before.files+4 || after.connections > before.connections {
			return fmt.Errorf("it holds %+v, and held %+v before and %+v meanwhile", after, before, most)
		}
		return nil
	})
	t.Logf("held before: %+v, meanwhile: %+v, after: %+v", before, most, after)
	if most.connections < 8 {
		t.Errorf("the autoscaler had %d connections meanwhile; the case needs one to each of many databases", most.connections)
	}
}

// wantTold checks that no line about a workload is in a piece of the log more than once.
func wantTold(w *world.World, when, log string) {
	w.T.Helper()
	lines := map[string]int{}
	for _, found := range regexp.MustCompile(`"workload":"[^"]+".*`).FindAllString(log, -1) {
		lines[found]++
	}
	w.T.Logf("%s the log had %d bytes and %d different lines about workloads", when, len(log), len(lines))
	for line, times := range lines {
		if times > 1 {
			w.T.Errorf("%s the log said %d times, want at most once: %s", when, times, line)
			return
		}
	}
}

// wantEventsOnce checks that no workload has an event of that reason twice with the same words.
func wantEventsOnce(w *world.World, reason string) {
	w.T.Helper()
	events, err := w.Kube.EventsV1().Events(w.Namespace).List(w.T.Context(), metav1.ListOptions{})
	if err != nil {
		w.T.Fatal(err)
	}
	times, all := map[string]int32{}, 0
	for _, e := range events.Items {
		if e.ReportingController != "autoscale.io" || e.Reason != reason {
			continue
		}
		all++
		said := e.Regarding.Name + ": " + e.Note
		if times[said]++; e.Series != nil {
			times[said] += e.Series.Count - 1
		}
		if times[said] > 1 {
			w.T.Errorf("there are %d events %s: %s; want one", times[said], reason, said)
			return
		}
	}
	if all == 0 {
		w.T.Errorf("there is no event %s", reason)
	}
}

// reconnects has 200 workloads on a Redis that is away for 40 s: a client that tries again without a pause would try hundreds of times a second with any number.
func reconnects(t *testing.T, w *world.World) {
	const n, interval, polls, class = 200, 5 * time.Second, 8, "reconnects"
	w = ownRedis(w)
	gate := newGate(t, w.Redis.Addr())
	names := world.Numbered("w", n)
	streams(w, names)
	w.DeployAll(names, 1, func(i int) world.Settings {
		return world.Quick(world.Settings{"class": class, "min-replicas": "1", "polling-interval": interval.String(), "trigger.orders": world.TriggerAt(gate.address, w.Stream(names[i]), world.Group)})
	})
	own := apart(w, class, class)
	own.AwaitDecided(n, time.Time{}, time.Minute)
	awaitNoneUnknown(own, names, world.Soon)
	gaps(own, names, 1, world.Soon)
	_, from := logged(own, 0)
	gate.close()
	own.AwaitDecisions(names[0], polls)
	log, from := logged(own, from)
	wantTold(own, "while the server was away", log)
	wantEventsOnce(own, "TriggerUnknown")
	seconds := gate.open()
	began := time.Now()
	// After an error a workload keeps a distance to the poll before, which is a fifth of the interval.
	awaitNoneUnknown(own, names, interval*6/5+2*time.Second)
	t.Logf("all have noticed the return within %s; connections by seconds of the outage: %v", time.Since(began), seconds)
	gaps(own, names, 1, world.Soon)
	log, _ = logged(own, from)
	wantTold(own, "after its return", log)
	all := 0
	for _, tries := range seconds {
		all += tries
	}
	// Each poll may try; those that come together do so once.
	const each = n * int(time.Second) / int(interval)
	if mean := all / len(seconds); all == 0 || mean > each || slices.Max(seconds) > 2*each {
		t.Errorf("connections were tried %v times in the seconds of the outage, want %d in the mean at most, and never twice as many", seconds, each)
	}
}
