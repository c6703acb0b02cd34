package poll

import (
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schedule"
	"autoscale.io/scaling/decide"
	"autoscale.io/scaling/decisions"
)

// workload is one polled workload.
type workload struct {
	poller *Poller
	key    decisions.Key
	uid    types.UID

	mu       sync.Mutex
	settings annotations.Settings
	// ceiling is the largest count that the bounds ever allow.
	ceiling int32
	// triggers are followed by the guards.
	triggers []*trigger
	// formula combines the triggers; nil without one.
	formula *combination
	// calendar changes the bounds.
	calendar schedule.Calendar
	in       decide.Input
	jobs     decide.Jobs
	state    decide.State
	// observed is nil until the present count is known; no decision is made before.
	observed *Observation
	// order is the latest one, and snapshot what was observed before the reads of the round that is being decided; nil for none.
	order    *decisions.Order
	snapshot *Observation
	// latest is the latest decision, without its proposals, and told its entry in the store. news says that it was made from something else than the next one
	// will be.
	latest decide.Decision
	told   *decisions.Entry
	news   bool
	// polling is true while the sources of round are read; triggers replaced meanwhile are closed after that.
	polling bool
	round   round
	retired []*trigger
	ended   bool
	// next is when the next poll is due.
	next time.Time
	// diary belongs to the dispatcher.
	diary diary
}

func newWorkload(p *Poller, key decisions.Key, uid types.UID) *workload {
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
	now := w.poller.deps.Now()
	start := now.Add(firstRead + w.spread(min(spec.Workload.PollingInterval, time.Duration(crowd)*time.Millisecond)))
	// A source may have read the ceiling and the container's environment when it was opened.
	sameHost := w.ceiling == spec.Workload.Ceiling() && before.EnvContainer == spec.Workload.EnvContainer
	if w.settings, w.ceiling = spec.Workload.Settings, spec.Workload.Ceiling(); spawns(before) != w.spawns() {
		w.observed, w.order = nil, nil // a count of another thing
	}
	w.news = true
	w.withdraw()
	changed := w.replaceTriggers(spec.Workload, sameHost, start)
	changed = w.replaceFormula(spec.Workload) || changed
	w.calendar = newCalendar(spec.Workload.Schedules)
	w.in, w.jobs = newInput(spec.Workload.Settings, spec.Adopted), newJobs(spec.Workload.Settings)
	if changed && !first {
		w.state = w.state.Edited()
	}
	if !w.polling {
		w.closeRetired()
	}
	w.decide()
}

// replaceTriggers opens what is new, keeps what is the same and retires the rest. It says whether a trigger, not a guard, is another one now.
func (w *workload) replaceTriggers(wanted annotations.Workload, sameHost bool, start time.Time) (changed bool) {
	type name struct {
		guard bool
		name  string
	}
	kept := map[name]*trigger{}
	for _, t := range w.triggers {
		kept[name{t.guard, t.spec.Name}] = t
	}
	triggers := make([]*trigger, 0, len(wanted.Triggers)+len(wanted.Guards))
	for i, spec := range slices.Concat(wanted.Triggers, wanted.Guards) {
		key := name{i >= len(wanted.Triggers), spec.Name}
		if old := kept[key]; old != nil && equality.Semantic.DeepEqual(old.spec, spec) && sameHost {
			w.changeInterval(old, w.interval(wanted, spec), w.poller.deps.Now())
			delete(kept, key)
			triggers = append(triggers, old)
			continue
		}
		changed = changed || !key.guard
		triggers = append(triggers, &trigger{spec: spec, guard: key.guard, interval: w.interval(wanted, spec), due: start})
	}
	for key, t := range kept {
		changed = changed || !key.guard
		w.retired = append(w.retired, t)
	}
	w.triggers = triggers
	return changed
}

func (w *workload) interval(workload annotations.Workload, t annotations.Trigger) time.Duration {
	if spawns(workload.Settings) && workload.Formula != nil {
		return w.slowest(workload)
	}
	return w.intervalOf(workload, t)
}

func (w *workload) intervalOf(workload annotations.Workload, t annotations.Trigger) time.Duration {
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

func (w *workload) observe(o Observation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	same := w.observed != nil && *w.observed == o
	w.observed = &o
	w.news = w.news || !same
	if !same && !w.ended {
		w.decide()
	}
}

func (w *workload) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.poller.dispatcher.cancel(w)
	w.retired = append(w.retired, w.triggers...)
	w.triggers = nil
	if !w.polling {
		w.closeRetired()
	}
}

func (w *workload) closeRetired() {
	w.close(w.retired)
	w.retired = nil
}

func (w *workload) close(triggers []*trigger) {
	if err := closeAll(triggers); err != nil {
		w.poller.deps.Log.Info("closing a source failed", "workload", w.key.String(), "error", err.Error())
	}
}

// replicas is the present count, 0 when it is not known. The caller holds w.mu.
func (w *workload) replicas() int32 {
	if w.observed == nil {
		return 0
	}
	return w.observed.Replicas
}

// changeInterval brings the next read forward when the interval is shortened.
func (w *workload) changeInterval(t *trigger, interval time.Duration, now time.Time) {
	if interval < t.interval {
		t.due = earlier(t.due, w.beat(interval, now))
	}
	t.interval = interval
}

// firstRead is how long the first read waits at least: by then it is known what the cluster says of the workload, which a template of Jobs must know before it reads.
const firstRead = time.Millisecond

// tick is what reads are rounded to, so that those of one server that fall into it go there together: half a second, and a tenth of an interval at most, which are
// moments enough to spread them.
func tick(interval time.Duration) time.Duration { return min(500*time.Millisecond, interval/10) }

// beat is the next moment after now at which the workload reads what it reads every interval: the same one whatever made it read in between, and on every replica.
func (w *workload) beat(interval time.Duration, now time.Time) time.Time {
	phase := w.spread(interval).Truncate(tick(interval))
	return now.Add(-phase).Truncate(interval).Add(phase + interval)
}

// schedule sets the next read. After an error it is shaken a little, so that many who lost one source do not come back to it together.
func (w *workload) schedule(t *trigger, now time.Time) {
	t.due = w.beat(t.interval, now)
	if t.err != nil {
		// What was read a little early is not read once more on the beat.
		t.due = w.beat(t.interval, now.Add(t.interval/5)).Add(-time.Duration(rand.Int64N(int64(t.interval)/10 + 1)))
	}
}
