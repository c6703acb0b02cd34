package differential

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"autoscale.io/e2e/cluster/clustertest"
)

const (
	// looks is how often each side must have looked without a change before a step has ended.
	looks = 4
	// patience bounds a step; the longest have some periods to wait for, each as late as pods are slow to start.
	patience = 5 * time.Minute
	// slack is how far the same change may come apart on both sides, beside the pauses between their looks.
	slack = 3 * time.Second
)

// trial is one scenario that is being run.
type trial struct {
	*lab
	t         *testing.T
	scenario  *Scenario
	namespace string
	feed      *feed
	// use is what pods use; nil when no metric asks for it.
	use *use

	// loaded is when the loads of the present step were set.
	loaded time.Time
	sides  [2]side
}

// side is one of the two workloads.
type side struct {
	name string
	// changes is how many counts were seen when beats was last noted.
	changes, beats int
	// from is the index of the first count that is compared.
	from int
}

// run runs a scenario. After each step, compare is called with the number of the step.
func (l *lab) run(t *testing.T, s *Scenario, compare func(x *trial, step int)) {
	t.Helper()
	x := &trial{lab: l, t: t, scenario: s, namespace: clustertest.Namespace(t, l.cluster, "differential")}
	x.sides = [2]side{{name: theirs}, {name: ours}}
	settled := func() (int32, bool) { return l.watcher.settled(x.namespace, theirs, s.warmth()) }
	if s.Unready {
		settled = func() (int32, bool) { return l.watcher.created(x.namespace) }
	}
	x.feed = l.external.feed(x.namespace, settled)
	if s.resource() >= 0 {
		x.use = l.external.use(x.namespace, s, x.feed, l.watcher)
	}
	for i, step := range s.Steps {
		x.load(step)
		if i == 0 {
			x.create()
		}
		x.settle(i)
		compare(x, i)
		if t.Failed() {
			return
		}
	}
}

// load sets the loads of a step for both sides. A stream is changed in one transaction, so that no read sees a part of it.
func (x *trial) load(step Step) {
	x.t.Helper()
	ctx := x.t.Context()
	_, err := x.redis.Client().TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, load := range step {
			if x.scenario.Metrics[i].Resource != "" {
				continue
			}
			key := x.stream(i)
			pipe.Del(ctx, key)
			if load == Broken {
				pipe.Set(ctx, key, "no stream", 0)
			}
			for range load {
				pipe.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: []string{"job", "x"}})
			}
		}
		return nil
	})
	if err != nil {
		x.t.Fatalf("set the streams: %v", err)
	}
	x.feed.set(step)
	if x.use != nil {
		x.use.ours.set(step)
	}
	x.readings.forget(x.namespace)
	x.loaded = time.Now()
	x.mark(true)
}

func (x *trial) stream(i int) string { return x.namespace + ":" + metricName(i) }

// create creates both workloads, and the HPA once its own is settled: what it is shown before, it would not use.
func (x *trial) create() {
	x.t.Helper()
	notes, err := x.scenario.annotations(x.redis.Addr(), x.stream)
	if err != nil {
		x.t.Fatal(err)
	}
	for name, notes := range map[string]map[string]string{theirs: nil, ours: notes} {
		d := x.scenario.deployment(name, notes)
		if _, err := x.kube.AppsV1().Deployments(x.namespace).Create(x.t.Context(), d, metav1.CreateOptions{}); err != nil {
			x.t.Fatalf("create %s: %v", name, err)
		}
	}
	x.await("the pods of the HPA's workload", func() string {
		if n, ok := x.feed.settled(); !ok {
			return fmt.Sprintf("not all of %d are Ready", n)
		}
		return ""
	})
	hpas := x.kube.AutoscalingV2().HorizontalPodAutoscalers(x.namespace)
	if _, err := hpas.Create(x.t.Context(), x.scenario.hpa(), metav1.CreateOptions{}); err != nil {
		x.t.Fatalf("create the HPA: %v", err)
	}
	x.await("the HPA's first look", func() string {
		if x.feed.seen().last.IsZero() {
			return "it has been shown no load"
		}
		return ""
	})
	// Its windows begin now, later than ours.
	x.loaded = time.Now()
	x.mark(true)
}

// settle waits until both sides have looked often enough, and all that ends has ended, since the last change of either.
func (x *trial) settle(step int) {
	x.t.Helper()
	x.await(fmt.Sprintf("step %d, loads %v", step, x.scenario.Steps[step]), func() string {
		x.mark(false)
		seen, current := x.seen(x.scenario.Steps[step])
		dwell := x.scenario.dwell()
		if dwell > 0 { // on a machine that is busy, looks are late
			dwell += x.feed.seen().longest + seen.longest
		}
		if quiet := time.Since(x.lastChange()); quiet < dwell {
			return fmt.Sprintf("the last change was %s ago, want %s", quiet.Round(time.Second), dwell)
		}
		if n := x.feed.seen().n - x.sides[0].beats; n < looks {
			return fmt.Sprintf("the HPA has looked %d times since the last change, want %d", n, looks)
		}
		if n := seen.n - x.sides[1].beats; n < looks || !current {
			return fmt.Sprintf("the autoscaler has decided %d times since the last change, want %d; it sees these loads: %t", n, looks, current)
		}
		return ""
	})
}

// seen says how often ours has looked, and whether it sees these loads.
func (x *trial) seen(loads Step) (looks beats, current bool) {
	looks, current = x.readings.seen(x.namespace, x.scenario.Metrics, loads)
	if x.use != nil { // a look at a workload that has not settled does not count
		looks = x.use.ours.seen()
	}
	return looks, current
}

// lastChange is when a count or the loads last changed.
func (x *trial) lastChange() time.Time {
	last := x.loaded
	for _, s := range x.sides {
		if h := x.watcher.changes(x.namespace, s.name); len(h) > 0 && h[len(h)-1].at.After(last) {
			last = h[len(h)-1].at
		}
	}
	return last
}

// mark notes how often each side has looked: of both, or of those whose count has changed since it was last noted.
func (x *trial) mark(both bool) {
	decided, _ := x.seen(nil)
	for i, n := range []int{x.feed.seen().n, decided.n} {
		s := &x.sides[i]
		if changes := len(x.watcher.changes(x.namespace, s.name)); both || changes != s.changes {
			s.changes, s.beats = changes, n
		}
	}
}

// await polls until what is missing is nothing.
func (x *trial) await(what string, missing func() string) {
	x.t.Helper()
	last := ""
	err := wait.PollUntilContextTimeout(x.t.Context(), scrapeInterval/2, patience, true, func(context.Context) (bool, error) {
		last = missing()
		return last == "", nil
	})
	if err != nil {
		x.t.Fatalf("%s: not within %s: %s\n%s", what, patience, last, x.story())
	}
}

// histories are the counts of both sides: the HPA's first.
func (x *trial) histories() (hpa, mine history) {
	return x.watcher.changes(x.namespace, theirs), x.watcher.changes(x.namespace, ours)
}

func (x *trial) story() string {
	hpa, mine := x.histories()
	return fmt.Sprintf("the HPA:        %s\nthe autoscaler: %s\n%s", hpa, mine, x.scenario)
}

// same fails the test unless both sides have had the same counts, and in this step after about the same pauses.
func (x *trial) same(step int) {
	x.t.Helper()
	hpa, mine := x.histories()
	if step == 0 {
		x.skipTheStart(hpa, mine)
	}
	if !slices.Equal(hpa[x.sides[0].from:].counts(), mine[x.sides[1].from:].counts()) {
		x.t.Errorf("the counts differ in step %d, loads %v, after %s\n%s", step, x.scenario.Steps[step], mine.since(x.loaded), x.story())
		return
	}
	if fault := x.apart(hpa.since(x.loaded), mine.since(x.loaded)); step > 0 && fault != "" {
		x.t.Errorf("step %d, loads %v: %s\n%s", step, x.scenario.Steps[step], fault, x.story())
	}
}

// skipTheStart begins the comparison with the last count of the first step where the counts on the way to it depend on
// who sees what first. Several metrics appear together then, and a side may read either first. And the pods of all
// scenarios start at once, so that a side may learn late that one of its pods is Ready; its use does not count until then.
func (x *trial) skipTheStart(hpa, mine history) {
	if len(x.scenario.Metrics) < 2 && x.scenario.resource() < 0 {
		return
	}
	for i, h := range []history{hpa, mine} {
		x.sides[i].from = max(len(h)-1, 0)
	}
}

// apart compares how long each side waited before each change. It only says something where windows or periods are waited for: there a side that
// does not wait is found although its counts are right.
func (x *trial) apart(hpa, mine history) string {
	if x.scenario.dwell() < 2*slack || len(hpa) != len(mine) {
		return ""
	}
	decided, _ := x.seen(nil)
	allowed := slack + x.feed.seen().longest + decided.longest
	var faults []string
	for i := range hpa {
		a, b := hpa[i].at.Sub(x.loaded), mine[i].at.Sub(x.loaded)
		if i > 0 {
			a, b = hpa[i].at.Sub(hpa[i-1].at), mine[i].at.Sub(mine[i-1].at)
		}
		if d := (a - b).Abs(); d > allowed {
			faults = append(faults, fmt.Sprintf("the change to %d came after %.1fs under the HPA and after %.1fs under the autoscaler; at most %.1fs apart is right",
				hpa[i].replicas, a.Seconds(), b.Seconds(), allowed.Seconds()))
		}
	}
	return strings.Join(faults, "\n")
}
