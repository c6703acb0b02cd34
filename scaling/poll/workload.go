package poll

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"autoscale.io/annotations"
	"autoscale.io/scalers"
	"autoscale.io/scaling/board"
	"autoscale.io/scaling/decide"
)

// workload is one polled workload.
type workload struct {
	poller *Poller
	key    board.Key
	uid    types.UID

	mu       sync.Mutex
	settings annotations.Settings
	triggers []*trigger
	in       decide.Input
	state    decide.State
	// observed is false until the present count is known; no decision is made before.
	observed bool
	// polling is true while a goroutine reads; triggers replaced meanwhile are closed by it.
	polling bool
	retired []*trigger
	ended   bool
	timer   *time.Timer
}

func newWorkload(p *Poller, key board.Key, uid types.UID) *workload {
	return &workload{poller: p, key: key, uid: uid}
}

// configure applies a spec. crowd is the number of workloads, which spreads the first reads of many.
func (w *workload) configure(spec Spec, crowd int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	before, first := w.settings, w.triggers == nil
	kept := map[string]*trigger{}
	for _, t := range w.triggers {
		kept[t.spec.Name] = t
	}
	now := w.poller.deps.Now()
	start := now.Add(w.spread(min(spec.Workload.PollingInterval, time.Duration(crowd)*time.Millisecond)))
	changed := !first && !sameDecision(before, spec.Workload.Settings)
	triggers := make([]*trigger, 0, len(spec.Workload.Triggers))
	for _, wanted := range spec.Workload.Triggers {
		old := kept[wanted.Name]
		if old != nil && equality.Semantic.DeepEqual(old.spec, wanted) && sameHost(before, spec.Workload.Settings) {
			old.changeInterval(w.interval(spec.Workload, wanted), now)
			delete(kept, wanted.Name)
			triggers = append(triggers, old)
			continue
		}
		changed = changed || !first
		triggers = append(triggers, &trigger{spec: wanted, interval: w.interval(spec.Workload, wanted), due: start})
	}
	changed = changed || len(kept) > 0
	for _, t := range kept {
		w.retired = append(w.retired, t)
	}
	w.settings, w.triggers = spec.Workload.Settings, triggers
	current, ours := w.in.Current, w.in.ZeroIsOurs
	w.in = newInput(spec.Workload.Settings, spec.Adopted)
	w.in.Current, w.in.ZeroIsOurs = current, ours
	if changed {
		w.state = decide.State{}
	}
	if !w.polling {
		w.closeRetired()
	}
	w.decide()
}

// sameDecision says whether two settings differ in nothing that the decision's memory depends on. A pause is no such thing: the memory
// keeps what was seen before and during it.
func sameDecision(a, b annotations.Settings) bool {
	a.Pause, b.Pause = annotations.Pause{}, annotations.Pause{}
	a.PauseUntil, b.PauseUntil = nil, nil
	a.DryRun, b.DryRun = false, false
	a.PollingInterval, b.PollingInterval = 0, 0
	a.OnRemoval, b.OnRemoval = "", ""
	return equality.Semantic.DeepEqual(a, b)
}

// sameHost says whether a source that was opened under a is right under b: it may have read the ceiling and the container's environment.
func sameHost(a, b annotations.Settings) bool {
	return a.MaxReplicas == b.MaxReplicas && a.EnvContainer == b.EnvContainer
}

func (w *workload) interval(workload annotations.Workload, t annotations.Trigger) time.Duration {
	if t.Interval > 0 {
		return t.Interval
	}
	typ, _ := w.poller.deps.Registry.TriggerType(t.Type)
	return max(workload.PollingInterval, typ.Interval)
}

// spread is a stable share of d for this workload, so that many do not read in the same instant.
func (w *workload) spread(d time.Duration) time.Duration {
	h := fnv.New32a()
	// Writing to a hash cannot fail.
	_, _ = h.Write([]byte(w.uid))
	const parts = 1 << 12
	return d * time.Duration(h.Sum32()%parts) / parts
}

func (w *workload) observe(current int32, zeroIsOurs bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	same := w.observed && w.in.Current == current && w.in.ZeroIsOurs == zeroIsOurs
	w.in.Current, w.in.ZeroIsOurs, w.observed = current, zeroIsOurs, true
	if !same && !w.ended {
		w.decide()
	}
}

func (w *workload) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	if w.timer != nil {
		w.timer.Stop()
	}
	w.retired = append(w.retired, w.triggers...)
	w.triggers = nil
	if !w.polling {
		w.closeRetired()
	}
}

func (w *workload) closeRetired() {
	if err := closeAll(w.retired); err != nil {
		w.poller.deps.Log.Info("closing a source failed", "workload", w.key.String(), "error", err.Error())
	}
	w.retired = nil
}

// poll runs in a goroutine of its own when a trigger or a recheck is due.
func (w *workload) poll() {
	defer w.survive()
	now := w.poller.deps.Now()
	r, ok := w.begin(now)
	if !ok {
		return
	}
	defer w.poller.running.Done()

	w.refresh(r)

	w.mu.Lock()
	defer w.mu.Unlock()
	w.polling = false
	for _, t := range r.due {
		t.schedule(now, w.poller.deps.Now())
	}
	w.closeRetired()
	if !w.ended {
		w.decide()
	}
}

// round is what one poll works on.
type round struct {
	due  []*trigger
	host scalers.Host
	refs scalers.References
}

// begin marks the workload as polling; it is false when there is nothing to do.
func (w *workload) begin(now time.Time) (round, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.polling || w.ended {
		return round{}, false
	}
	r := round{
		host: scalers.Host{Namespace: w.key.Namespace, MaxReplicas: w.settings.MaxReplicas},
		refs: w.poller.deps.References(w.key, w.settings.EnvContainer),
	}
	for _, t := range w.triggers {
		if !t.due.After(now) {
			r.due = append(r.due, t)
		}
	}
	w.polling = true
	w.poller.running.Add(1)
	return r, true
}

// survive keeps a panic to the workload that met it: it is logged, and the workload is polled again after its interval.
func (w *workload) survive() {
	p := recover()
	if p == nil {
		return
	}
	w.poller.deps.Log.Error(fmt.Errorf("panic: %v", p), "a poll panicked; the count is held", "workload", w.key.String(), "stack", string(debug.Stack()))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.polling = false
	if !w.ended {
		w.state = decide.State{}
		w.timer.Reset(w.settings.PollingInterval)
	}
}

func (w *workload) refresh(r round) {
	var wg sync.WaitGroup
	for _, t := range r.due[min(1, len(r.due)):] {
		wg.Go(func() { w.read(t, r) })
	}
	if len(r.due) > 0 {
		w.read(r.due[0], r)
	}
	wg.Wait()
}

// read reads one trigger. The lock is not held meanwhile, so that an edit and a new count need not wait for a source.
func (w *workload) read(t *trigger, r round) {
	w.mu.Lock()
	timeout := t.timeout()
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(w.poller.ctx, timeout)
	defer cancel()
	o := t.refresh(ctx, r.host, r.refs, &w.poller.deps)
	w.mu.Lock()
	defer w.mu.Unlock()
	t.keep(o)
}

// changeInterval brings the next read forward when the interval is shortened.
func (t *trigger) changeInterval(interval time.Duration, now time.Time) {
	if interval < t.interval {
		t.due = earlier(t.due, now.Add(interval))
	}
	t.interval = interval
}

// schedule sets the next read. The beat is kept, not stretched by the time that reads take; after an error it is shaken a little, so that many
// who lost one source do not come back to it together.
func (t *trigger) schedule(began, now time.Time) {
	t.due = t.due.Add(t.interval)
	if t.due.Before(now) {
		t.due = began.Add(t.interval)
	}
	if t.err != nil {
		t.due = t.due.Add(-time.Duration(rand.Int64N(int64(t.interval)/10 + 1)))
	}
}
