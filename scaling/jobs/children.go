package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	batchinformers "k8s.io/client-go/informers/batch/v1"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"autoscale.io/annotations"
)

// Options are what Children work with. All must be set.
type Options struct {
	Kube kubernetes.Interface
	Log  logr.Logger
	// Bucket is the value of the label of the Jobs and pods that are watched.
	Bucket string
	// Changed is called when a Job of a template came, went, started or ended. It must not block.
	Changed func(Owner)
	// Failing is called when a list or watch has failed for a while, at each further try. It must not block.
	Failing func()
	Now     func() time.Time
}

// Children are the Jobs of all templates of one bucket. They are safe for concurrent use. A new leader of a bucket needs new Children: their first list is a
// quorum read, so it has everything that the leader before has created.
type Children struct {
	Options
	jobs, pods *watch

	mu sync.Mutex
	// expected are Jobs, by the UIDs of template and Job, that were created and that the watch has not shown yet.
	expected map[types.UID]map[types.UID]expectation
	// doubtful are names, by the UID of the template, of Jobs that may or may not have been created.
	doubtful map[types.UID]map[string]struct{}
	// removed are Jobs whose deletion the watch has not shown yet.
	removed map[types.UID]struct{}
}

// expectation is a Job at the resource version at which it was created.
type expectation struct{ version string }

// Names of the indexes: Jobs by the UID of their template, pods by that of their Job.
const (
	byTemplate = "template"
	byJob      = "job"
)

// unfinishedPods leaves out pods that have ended, which can be many and say nothing that their Job does not.
const unfinishedPods = "status.phase!=" + string(corev1.PodSucceeded) + ",status.phase!=" + string(corev1.PodFailed)

// New returns Children that answer while Run runs.
func New(o Options) (*Children, error) {
	c := &Children{
		Options: o, expected: map[types.UID]map[types.UID]expectation{}, doubtful: map[types.UID]map[string]struct{}{}, removed: map[types.UID]struct{}{},
	}
	ours := func(l *metav1.ListOptions) {
		l.LabelSelector = annotations.TemplateBucket + "=" + o.Bucket
		if l.ResourceVersion == "0" {
			l.ResourceVersion = "" // from etcd, not from whatever the API server remembers
		}
	}
	c.jobs = &watch{what: "jobs", now: o.Now, SharedIndexInformer: batchinformers.NewFilteredJobInformer(o.Kube, metav1.NamespaceAll, 0, cache.Indexers{byTemplate: templateOf}, ours)}
	c.pods = &watch{what: "pods", now: o.Now, SharedIndexInformer: coreinformers.NewFilteredPodInformer(o.Kube, metav1.NamespaceAll, 0, cache.Indexers{byJob: controllerOf},
		func(l *metav1.ListOptions) {
			ours(l)
			l.FieldSelector = unfinishedPods
		})}
	err := errors.Join(
		c.jobs.SetTransform(slimJob), c.pods.SetTransform(slimPod),
		c.jobs.SetWatchErrorHandlerWithContext(c.failed(c.jobs)), c.pods.SetWatchErrorHandlerWithContext(c.failed(c.pods)),
	)
	_, jobsErr := c.jobs.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: c.seeJob, UpdateFunc: func(_, now any) { c.seeJob(now) }, DeleteFunc: c.missJob,
	})
	_, podsErr := c.pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: c.seePod, UpdateFunc: func(_, now any) { c.seePod(now) }, DeleteFunc: c.seePod,
	})
	if err := errors.Join(err, jobsErr, podsErr); err != nil {
		return nil, fmt.Errorf("set up the watch of Jobs: %w", err)
	}
	return c, nil
}

// Run watches until ctx ends.
func (c *Children) Run(ctx context.Context) {
	var informers sync.WaitGroup
	informers.Go(func() { c.jobs.RunWithContext(ctx) })
	informers.Go(func() { c.pods.RunWithContext(ctx) })
	informers.Wait()
}

func (c *Children) failed(w *watch) cache.WatchErrorHandlerWithContext {
	return func(ctx context.Context, r *cache.Reflector, err error) {
		c.Log.Info("a watch failed and is tried again", "kind", w.what, "bucket", c.Bucket, "error", err.Error())
		if w.fail(err) {
			c.Failing()
		}
		cache.DefaultWatchErrorHandler(ctx, r, err)
	}
}

// seeJob takes in a Job that the watch shows.
func (c *Children) seeJob(object any) {
	job, ok := object.(*child)
	if !ok || job.template() == "" {
		return
	}
	c.mu.Lock()
	delete(c.expected[job.template()], job.UID)
	delete(c.doubtful[job.template()], job.Name)
	c.mu.Unlock()
	c.Changed(job.made.Value().Owner)
}

func (c *Children) missJob(object any) {
	if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	if job, ok := object.(*child); ok {
		c.mu.Lock()
		delete(c.removed, job.UID)
		c.mu.Unlock()
		c.seeJob(job)
	}
}

// seePod tells that a Job may have started.
func (c *Children) seePod(object any) {
	if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	controller := metav1.GetControllerOfNoCopy(pod)
	if controller == nil {
		return
	}
	found, exists, err := c.jobs.GetIndexer().GetByKey(pod.Namespace + "/" + controller.Name)
	if err != nil || !exists {
		return // the Job is about to be seen
	}
	if job, ok := found.(*child); ok && job.template() != "" {
		c.Changed(job.made.Value().Owner)
	}
}

func templateOf(object any) ([]string, error) {
	if job, ok := object.(*child); ok && job.template() != "" {
		return []string{string(job.template())}, nil
	}
	return nil, nil
}

func controllerOf(object any) ([]string, error) {
	if m, ok := object.(metav1.Object); ok {
		if controller := metav1.GetControllerOfNoCopy(m); controller != nil {
			return []string{string(controller.UID)}, nil
		}
	}
	return nil, nil
}

// watch is an informer and why it does not work.
type watch struct {
	cache.SharedIndexInformer
	what string
	now  func() time.Time

	mu      sync.Mutex
	failure *failure
}

// failure is a list or watch that failed while the informer was at a version, for the first time since it was there.
type failure struct {
	err     error
	version string
	since   time.Time
}

// patience is how long a watch that worked may fail before what it last showed counts for nothing. What is shown late makes for too few Jobs and never for too
// many: those that were created since are expected.
const patience = 5 * time.Second

// fail notes a failure and says whether patience is over.
func (w *watch) fail(err error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, version := w.now(), w.LastSyncResourceVersion()
	since := now
	if w.failure != nil && w.failure.version == version {
		since = w.failure.since
	}
	w.failure = &failure{err, version, since}
	return now.Sub(since) > patience || !w.HasSynced()
}

// ErrIncomplete says that the first list is still under way.
var ErrIncomplete = errors.New("the list is not complete yet")

// state is nil when the informer can be believed. A failure is over once the informer has moved on from where it was.
func (w *watch) state() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.failure
	if f != nil && f.version != w.LastSyncResourceVersion() {
		f, w.failure = nil, nil
	}
	switch {
	case f == nil && !w.HasSynced():
		return ErrIncomplete
	case f == nil || w.HasSynced() && w.now().Sub(f.since) <= patience:
		return nil
	case apierrors.IsForbidden(f.err):
		return fmt.Errorf("cannot list %s, which needs the ClusterRole autoscaler-jobs: %w", w.what, f.err)
	}
	return fmt.Errorf("cannot list %s: %w", w.what, f.err)
}
