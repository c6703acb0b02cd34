package controller

import (
	"context"
	"errors"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"autoscale.io/annotations"
	"autoscale.io/scaling/decisions"
	"autoscale.io/scaling/jobs"
	"autoscale.io/scaling/poll"
	"autoscale.io/scaling/shards"
)

const (
	// createTimeout bounds the creation of one batch of Jobs, which may be a thousand. What it does not reach is for the next reading to ask for.
	createTimeout = 30 * time.Second
	// firstList is how soon to look again while the first list of Jobs is under way, and nextList while lists fail.
	firstList, nextList = 100 * time.Millisecond, 5 * time.Second
)

// spawning is what the loop remembers of a template of Jobs. It belongs to the one reconcile that may run for its key.
type spawning struct {
	// template is what Jobs are made of, as last read at a generation of the object.
	template   *jobs.Template
	generation int64
	// batch is that of the latest order that was taken up.
	batch int64
	// problem says why the latest order could not be carried out as a whole, until one can or none comes any more; unknown why it is not known how many Jobs run.
	problem, unknown string
	problemAt        time.Time
}

// isTemplate says whether an object is a template of Jobs. A CronJob is nothing else.
func (w *workload) isTemplate(object *metav1.PartialObjectMetadata) bool {
	if w.kind.Group != batchv1.GroupName {
		return false
	}
	return w.kind.Kind == "CronJob" || w.kind.Kind == "Job" && object.Annotations[annotations.Prefix+"job-mode"] == annotations.JobSpawn
}

// spawn brings the Jobs of a template in step: what to poll, how many there are, how many there should be, which are not needed any more, and
// only then what people are told.
func (c *Controller) spawn(ctx context.Context, key decisions.Key, w *workload, object *metav1.PartialObjectMetadata) (reconcile.Result, error) {
	object, err := c.ensureTemplateState(ctx, key, w, object)
	if err != nil {
		return reconcile.Result{}, err
	}
	c.configure(key, w, object)
	if len(w.decoded.Faults) > 0 {
		return c.reportFaults(ctx, key, w, object)
	}
	if ok, err := c.readTemplate(ctx, w, object); !ok {
		return reconcile.Result{}, err
	}
	children, err := c.childrenOf(w)
	if children == nil {
		return reconcile.Result{}, err
	}
	if err := children.Resolve(ctx, w.spawning.template.Owner, object.UID); err != nil {
		return reconcile.Result{}, err
	}
	count, err := c.countJobs(key, w, object, children)
	if errors.Is(err, jobs.ErrIncomplete) {
		return reconcile.Result{RequeueAfter: firstList}, nil
	}
	entry := c.Decisions.Get(key)
	if entry == nil {
		return reconcile.Result{}, nil // not read yet
	}
	if err := c.carryOut(key, w, object, children, count); err != nil {
		return reconcile.Result{}, err
	}
	after, err := c.tidy(ctx, w, object, children)
	if err != nil {
		return reconcile.Result{}, err
	}
	result, err := c.tellJobs(ctx, key, w, object)
	result.RequeueAfter = sooner(result.RequeueAfter, after)
	return result, err
}

// sooner is the earlier of two waits, of which 0 is none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// ensureTemplateState is ensureState for what has no count of its own.
func (c *Controller) ensureTemplateState(ctx context.Context, key decisions.Key, w *workload, object *metav1.PartialObjectMetadata) (*metav1.PartialObjectMetadata, error) {
	if _, ok := annotations.ReadState(object.Annotations, object.UID); ok {
		return object, nil
	}
	return c.writeState(ctx, key, w, object, annotations.State{UID: object.UID, Adopted: c.Now()})
}

// readTemplate reads the template when it may have changed. Status and metadata do not change the generation. It is false when the object is another one by
// now, whose own event is about to come.
func (c *Controller) readTemplate(ctx context.Context, w *workload, object *metav1.PartialObjectMetadata) (bool, error) {
	if t := w.spawning.template; t != nil && w.spawning.generation == object.Generation {
		return true, nil
	}
	owner := jobs.Owner{Kind: w.kind.Kind, Namespace: object.Namespace, Name: object.Name}
	template, err := jobs.Read(ctx, c.Kube.BatchV1(), owner, object.Labels[annotations.Bucket])
	if err != nil || template.UID != object.UID {
		return false, err
	}
	w.spawning.template, w.spawning.generation = template, object.Generation
	return true, nil
}

// countJobs counts and tells the poller.
func (c *Controller) countJobs(key decisions.Key, w *workload, object *metav1.PartialObjectMetadata, children *jobs.Children) (jobs.Count, error) {
	var conditions []string
	if s := w.decoded.Workload.JobStrategy; s != nil {
		conditions = s.PendingPodConditions
	}
	count, err := children.Count(object.UID, conditions)
	if errors.Is(err, jobs.ErrIncomplete) {
		return count, err
	}
	if w.spawning.unknown = ""; err != nil {
		w.spawning.unknown = err.Error()
		if entry := c.Decisions.Get(key); entry != nil && entry.Order != nil && entry.Order.Jobs == 0 {
			w.spawning.batch = entry.Order.Batch // withdrawn, since nothing is known
		}
	}
	c.Poller.Observe(key, poll.Observation{
		Replicas: count.Unfinished, Pending: count.Pending, Batch: w.spawning.batch, Unknown: w.spawning.unknown, LeftAlone: w.spawning.template.Refusal,
		Rival: c.rivalOf(key, w),
	})
	return count, err
}

// carryOut starts the Jobs that are ordered. An order is taken up once, however it ends: what it did not reach is for the
// next reading to ask for. The poller removes an order from the store when it observes its batch, before this returns.
func (c *Controller) carryOut(key decisions.Key, w *workload, object *metav1.PartialObjectMetadata, children *jobs.Children, count jobs.Count) error {
	entry := c.Decisions.Get(key)
	if entry == nil || entry.Order == nil || w.spawning.unknown != "" {
		return nil
	}
	order := *entry.Order
	w.spawning.batch = order.Batch
	if n := int(order.Allowed(count.Unfinished)); n > 0 {
		if w.decoded.Workload.DryRun {
			c.tellJobsDryRun(w, object, n, order)
		} else {
			c.create(key, w, object, children, work{n, order})
		}
	}
	_, err := c.countJobs(key, w, object, children)
	return err
}

// work is a number of Jobs to start, and the order for it.
type work struct {
	n     int
	order decisions.Order
}

func (c *Controller) create(key decisions.Key, w *workload, object *metav1.PartialObjectMetadata, children *jobs.Children, todo work) {
	_, _, lease := c.lookup(key)
	if lease == nil {
		return
	}
	// Not the time of one reconcile, but the lease: a process that lost it cannot write any more.
	ctx, cancel := context.WithTimeout(lease, createTimeout)
	defer cancel()
	created, err := children.Create(ctx, w.spawning.template, todo.n)
	c.Metrics.Jobs.WithLabelValues("created").Add(float64(created))
	if err != nil && shards.Held(lease) {
		c.Metrics.Jobs.WithLabelValues("failed").Inc()
		problem := c.Events.JobsFailed(object, created, todo.n, err)
		if w.spawning.problem == "" { // once; each try again is told by the event's count
			c.Log.Info("could not start all Jobs", "workload", key.String(), "problem", problem)
		}
		w.spawning.problem, w.spawning.problemAt = problem, c.Now()
		return
	}
	if created == 0 {
		return // the lease ended before the first
	}
	w.spawning.problem = ""
	c.Events.JobsStarted(object, created, todo.order.Message)
	c.Log.Info("started Jobs", "workload", key.String(), "jobs", created, "because", todo.order.Message)
}

// tidy deletes finished Jobs beyond the limits, and with job-rollout replace those of an older template that have not started.
func (c *Controller) tidy(ctx context.Context, w *workload, object *metav1.PartialObjectMetadata, children *jobs.Children) (again time.Duration, err error) {
	settings := w.decoded.Workload.Settings
	if settings.DryRun || w.spawning.unknown != "" || w.spawning.template.Refusal != "" {
		return 0, nil
	}
	if settings.JobRollout == annotations.RolloutReplace {
		replaced, err := children.Replace(ctx, w.spawning.template)
		if replaced > 0 {
			c.Metrics.Jobs.WithLabelValues("replaced").Add(float64(replaced))
			c.Events.JobsReplaced(object, replaced)
		}
		if err != nil {
			return 0, err
		}
	}
	succeeded, failed := settings.HistoryLimits()
	removed, more, err := children.Prune(ctx, object.UID, jobs.Limits{Succeeded: succeeded, Failed: failed})
	c.Metrics.Jobs.WithLabelValues("pruned").Add(float64(removed))
	if more {
		again = firstList
	}
	return again, err
}

// childrenOf are the Jobs of the workload's bucket. They are watched from the first template on, while the bucket is led; nil when it is not any more.
func (c *Controller) childrenOf(w *workload) (*jobs.Children, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	lease := c.owned[w.bucket]
	if lease == nil || !shards.Held(lease) {
		return nil, nil
	}
	if children := c.children[w.bucket]; children != nil {
		return children, nil
	}
	bucket := w.bucket
	children, err := jobs.New(jobs.Options{
		Kube: c.Kube, Log: c.Log, Bucket: bucket, Now: c.Now, Changed: c.jobChanged, Failing: func() { c.queueTemplates(bucket) },
	})
	if err != nil {
		return nil, err
	}
	c.children[bucket] = children
	c.podWatches.Go(func() { children.Run(lease) })
	return children, nil
}

// jobChanged queues the template of a Job.
func (c *Controller) jobChanged(owner jobs.Owner) {
	for _, kind := range c.managed() {
		if kind.Group == batchv1.GroupName && kind.Kind == owner.Kind {
			key := decisions.Key{Resource: kind.Resource, Namespace: owner.Namespace, Name: owner.Name}
			c.mu.Lock()
			tracked := c.tracked[key] != nil
			c.mu.Unlock()
			if tracked {
				c.queue.Add(key)
			}
		}
	}
}

// queueTemplates queues all templates of a bucket.
func (c *Controller) queueTemplates(bucket string) {
	c.mu.Lock()
	var keys []decisions.Key
	for key, w := range c.tracked {
		if w.bucket == bucket && w.object != nil && w.isTemplate(w.object) {
			keys = append(keys, key)
		}
	}
	c.mu.Unlock()
	for _, key := range keys {
		c.queue.Add(key)
	}
}
