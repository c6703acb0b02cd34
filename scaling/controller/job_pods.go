package controller

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"

	"autoscale.io/scaling/decisions"
	"autoscale.io/scaling/target"
)

const (
	// podSettle is how long a pod that has ended counts as running still. The Job controller learns of pods and of Jobs by two watches of its own; if it saw a
	// lower parallelism before it saw the pod end, it would end another one. It replaces a pod one second after its end, so there is time for that.
	podSettle = 400 * time.Millisecond
	// jobSync is the time after which the Job controller looks at a Job: it counts from the first event about the Job or a pod of it since it looked last. It then
	// replaces pods that have ended.
	jobSync = time.Second
	// syncGuard is the time around such a look, and half of it the slack, in which the parallelism is not lowered: a pod that is created meanwhile would be one too many.
	syncGuard = 200 * time.Millisecond
	// riseSettle is how long no pod must have come after a rise of the parallelism before it is lowered again: what is lowered while the Job controller still
	// creates pods ends those of them that have started.
	riseSettle = 2 * time.Second
)

// podWatch follows the pods of one Job that have not ended. It lasts while the parallelism of the Job waits to be lowered.
type podWatch struct {
	job target.Scale
	// wake queues the workload after a while.
	wake func(time.Duration)
	now  func() time.Time
	// stop ends the watch.
	stop context.CancelFunc

	informer cache.SharedIndexInformer

	mu sync.Mutex
	// began is when the watch was complete; zero before.
	began time.Time
	// present are the pods that count, by name, and peak the most that there were at a time.
	present map[string]bool
	peak    int
	// came is when the latest pod came, and left when those went that count still, oldest first.
	came time.Time
	left []time.Time
	// due is when the Job controller looks at the Job next, or did so last, and before when it did so before that.
	due, before time.Time
	// failure is why the watch is not complete yet. Later ones do no harm: a pod whose end is not seen is waited for.
	failure error
}

// newPodWatch prepares the watch of the pods of the Job at that key.
func (c *Controller) newPodWatch(key decisions.Key, job target.Scale) (*podWatch, error) {
	options, err := target.PodsOf(job)
	if err != nil {
		return nil, err
	}
	p := &podWatch{
		job: job, now: c.Now, present: map[string]bool{},
		wake: func(after time.Duration) { c.queueAfter(key, after) },
		informer: metadatainformer.NewFilteredMetadataInformer(c.Target.Metadata, target.Pods(), key.Namespace, 0, cache.Indexers{},
			func(o *metav1.ListOptions) {
				o.LabelSelector, o.FieldSelector = options.LabelSelector, options.FieldSelector
			}).Informer(),
	}
	_, err = p.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    p.see,
		UpdateFunc: func(_, object any) { p.see(object) },
		DeleteFunc: p.unsee,
	})
	err = errors.Join(err, p.informer.SetTransform(slimPod), p.informer.SetWatchErrorHandlerWithContext(p.failed))
	if err != nil {
		return nil, fmt.Errorf("watch the pods of %s: %w", key, err)
	}
	return p, nil
}

// slimPod keeps what tells whether a pod counts.
func slimPod(object any) (any, error) {
	m, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil
	}
	m.ManagedFields, m.Labels, m.Annotations, m.Finalizers = nil, nil, nil, nil
	return m, nil
}

// run watches until ctx ends.
func (p *podWatch) run(ctx context.Context) {
	var work sync.WaitGroup
	work.Go(func() { p.informer.RunWithContext(ctx) })
	if cache.WaitForCacheSync(ctx.Done(), p.informer.HasSynced) {
		p.complete()
		p.wake(jobSync + syncGuard)
	}
	work.Wait()
}

// complete begins to trust the watch after the next look of the Job controller: what happened before is not known.
func (p *podWatch) complete() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.began = p.now()
	p.before, p.due = p.began.Add(jobSync), p.began.Add(jobSync)
}

func (p *podWatch) failed(ctx context.Context, r *cache.Reflector, err error) {
	p.mu.Lock()
	unknown := p.began.IsZero()
	p.failure = err
	p.mu.Unlock()
	if unknown {
		p.wake(0)
	}
	cache.DefaultWatchErrorHandler(ctx, r, err)
}

func (p *podWatch) see(object any) {
	m, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return
	}
	if !target.Counts(m, p.job.UID) {
		p.gone(m.Name)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hear()
	if !p.present[m.Name] {
		p.present[m.Name], p.came = true, p.now()
		p.peak = max(p.peak, len(p.present))
	}
}

// heard takes in an event about the Job itself.
func (p *podWatch) heard() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hear()
}

// hear takes in an event that the Job controller gets as well.
func (p *podWatch) hear() {
	now := p.now()
	switch {
	case !p.began.IsZero() && now.Sub(p.began) < jobSync: // it may have looked in between
		p.before, p.due = now.Add(jobSync), now.Add(jobSync)
	case !p.due.After(now):
		p.before, p.due = p.due, now.Add(jobSync)
	}
}

func (p *podWatch) unsee(object any) {
	if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	if m, ok := object.(*metav1.PartialObjectMetadata); ok {
		p.gone(m.Name)
	}
}

func (p *podWatch) gone(name string) {
	p.mu.Lock()
	was := p.present[name]
	if was {
		delete(p.present, name)
		p.left = append(p.left, p.now())
	}
	p.hear()
	p.mu.Unlock()
	if was {
		p.wake(podSettle)
	}
}

// pods is what a podWatch knows at a time.
type pods struct {
	// ready is false while it is too early to lower the parallelism; wait is then how long to wait, or 0 until something happens.
	ready bool
	wait  time.Duration
	// running counts the pods that have not ended, and leaving those that did so a moment ago.
	running, leaving int32
	// until is when it is too late; zero for never.
	until time.Time
}

// look tells the pods of a Job that has the given parallelism, which rose last at a time.
func (p *podWatch) look(parallelism int32, rose time.Time) (pods, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.began.IsZero():
	case p.failure != nil:
		return pods{}, fmt.Errorf("watch the pods that still run: %w", p.failure)
	default:
		return pods{}, nil
	}
	now := p.now()
	for len(p.left) > 0 && now.Sub(p.left[0]) >= podSettle {
		p.left = p.left[1:]
	}
	until := p.calm(now)
	if int(parallelism) > p.peak && !rose.IsZero() {
		until = later(until, later(rose, p.came).Add(riseSettle))
	}
	if wait := until.Sub(now); wait > 0 {
		return pods{wait: wait}, nil
	}
	ready := pods{ready: true, running: int32(len(p.present)), leaving: int32(len(p.left))} //nolint:gosec // a Job has fewer pods than 2³¹
	if p.due.After(now) {
		ready.until = p.due
	}
	return ready, nil
}

// calm is the earliest time at which the parallelism can be lowered without a look of the Job controller in between: once the pods that have ended have settled, or at the
// last moment before the look for those that have by then. Around the look it is too late; what has ended is replaced.
func (p *podWatch) calm(now time.Time) time.Time {
	if now.After(p.due.Add(-syncGuard)) && now.Before(p.due.Add(syncGuard)) {
		return p.due.Add(syncGuard)
	}
	until := p.before.Add(syncGuard)
	if n := len(p.left); n > 0 {
		settled := p.left[n-1].Add(podSettle)
		if p.due.After(now) {
			settled = earlier(settled, p.due.Add(-syncGuard-syncGuard/2))
		}
		until = later(until, settled)
	}
	return until
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
