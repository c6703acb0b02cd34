package poll

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"

	"autoscale.io/annotations"
	"autoscale.io/scalers"
	"autoscale.io/scalers/workers"
	"autoscale.io/scaling/decisions"
)

// Deps are what a Poller works with. Every field must be set.
type Deps struct {
	Registry  *scalers.Registry
	Decisions *decisions.Store
	// References reads what the annotations of a workload refer to; container is the one whose environment is meant, empty for the first.
	References func(key decisions.Key, container string) scalers.References
	Log        logr.Logger
	Now        func() time.Time
}

// Spec is what is to be polled.
type Spec struct {
	UID      types.UID
	Workload annotations.Workload
	// Adopted is when management began; the zero time means long ago.
	Adopted time.Time
}

// Poller polls workloads until they are removed. It is safe for concurrent use.
type Poller struct {
	deps Deps

	mu        sync.Mutex
	ctx       context.Context
	workloads map[decisions.Key]*workload
	running   sync.WaitGroup
	// dispatcher begins the polls.
	dispatcher dispatcher
	deadlines  deadlines
	// workers run what waits: reads, and the opening and closing of sources.
	workers *workers.Group
	// batches numbers the orders of all workloads, so that no number comes twice.
	batches atomic.Int64
}

// New returns a Poller whose reads end with ctx.
func New(ctx context.Context, deps Deps) *Poller {
	p := &Poller{deps: deps, ctx: ctx, workloads: map[decisions.Key]*workload{}, workers: workers.New()}
	p.dispatcher.now, p.dispatcher.start = deps.Now, p.workers.Go
	return p
}

// Upsert starts to poll a workload, or changes how it is polled. Triggers that did not change keep their source and reading. The decision's memory is
// kept; a change of the triggers makes it begin as though the present count had just been recommended, which never lowers a count.
func (p *Poller) Upsert(key decisions.Key, spec Spec) {
	p.mu.Lock()
	w, ok := p.workloads[key]
	if ok && w.uid != spec.UID {
		delete(p.workloads, key)
		p.mu.Unlock()
		p.end(w)
		p.mu.Lock()
		ok = false
	}
	if !ok {
		w = newWorkload(p, key, spec.UID)
		p.workloads[key] = w
	}
	crowd := len(p.workloads)
	p.mu.Unlock()
	w.configure(spec, crowd)
}

// Observation is what the cluster says of a workload.
type Observation struct {
	// Replicas is the count that its spec asks for.
	Replicas int32
	// ZeroIsOurs says that a zero is one that the autoscaler may end.
	ZeroIsOurs bool
	// RollingOut says that a rollout is replacing pods.
	RollingOut bool
	// Rival names another controller that sets the count; empty for none.
	Rival string
	// LeftAlone says why the count is not to be touched; empty when it may be.
	LeftAlone string

	// The rest is for a template of Jobs, where Replicas is how many of its Jobs are unfinished.

	// Unknown says in a sentence why that number is not known; empty when it is.
	Unknown string
	// Pending is how many of them have not started.
	Pending int32
	// Batch is that of the latest order that was carried out; what it started is counted in Replicas.
	Batch int64
}

// Observe tells what the cluster says of a workload. When that is something new, a decision is made at once, from the latest readings.
func (p *Poller) Observe(key decisions.Key, o Observation) {
	p.mu.Lock()
	w := p.workloads[key]
	p.mu.Unlock()
	if w != nil {
		w.observe(o)
	}
}

// Polling says whether a workload is polled.
func (p *Poller) Polling(key decisions.Key) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.workloads[key] != nil
}

// Remove ends the polling of a workload, closes what was opened for it and removes its decision.
func (p *Poller) Remove(key decisions.Key) {
	p.mu.Lock()
	w := p.workloads[key]
	delete(p.workloads, key)
	p.mu.Unlock()
	if w != nil {
		p.end(w)
	}
}

func (p *Poller) end(w *workload) {
	w.end()
	p.deps.Decisions.Delete(w.key)
}

// Close ends all polling and waits for reads that are under way; they end by their deadlines.
func (p *Poller) Close() {
	p.mu.Lock()
	keys := slices.Collect(maps.Keys(p.workloads))
	p.mu.Unlock()
	for _, key := range keys {
		p.Remove(key)
	}
	p.running.Wait()
	p.dispatcher.close()
	p.workers.Close()
}
