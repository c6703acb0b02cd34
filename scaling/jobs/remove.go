package jobs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Limits are how many finished Jobs are kept.
type Limits struct{ Succeeded, Failed int }

const (
	// mostRemovals bounds what one call deletes.
	mostRemovals = 50
	// removalsAtOnce bounds the deletions under way. There is no hurry.
	removalsAtOnce = 4
)

// Prune deletes the oldest finished Jobs of a template beyond the limits, with their pods. more says that there are more than one call deletes.
func (c *Children) Prune(ctx context.Context, template types.UID, limits Limits) (removed int, more bool, err error) {
	jobs, err := c.of(template)
	if err != nil {
		return 0, false, err
	}
	var succeeded, failed []*child
	for _, job := range jobs {
		switch {
		case !job.finished:
		case job.succeeded:
			succeeded = append(succeeded, job)
		default:
			failed = append(failed, job)
		}
	}
	surplus := slices.Concat(oldest(succeeded, limits.Succeeded), oldest(failed, limits.Failed))
	surplus = slices.DeleteFunc(surplus, func(job *child) bool { return job.leaves || c.isRemoved(job.UID) })
	var (
		group errgroup.Group
		gone  atomic.Int32
	)
	group.SetLimit(removalsAtOnce)
	for _, job := range surplus[:min(len(surplus), mostRemovals)] {
		group.Go(func() error {
			err := c.remove(ctx, job, metav1.Preconditions{UID: &job.UID})
			if err == nil {
				gone.Add(1)
			}
			return err
		})
	}
	err = group.Wait()
	return int(gone.Load()), err == nil && len(surplus) > mostRemovals, err
}

// oldest are the Jobs that finished before the latest keep.
func oldest(jobs []*child, keep int) []*child {
	slices.SortFunc(jobs, func(a, b *child) int {
		if order := b.ended.Compare(a.ended); order != 0 {
			return order
		}
		return strings.Compare(a.Name, b.Name)
	})
	return jobs[min(keep, len(jobs)):]
}

// Replace deletes the Jobs of a template that were made of an older version of it and of which nothing has run. One that starts meanwhile changes its version
// or that of its pods and is left alone; a kubelet that has started a container and not said so yet cannot be seen by anybody.
func (c *Children) Replace(ctx context.Context, t *Template) (removed int, err error) {
	jobs, err := c.of(t.UID)
	if err != nil {
		return 0, err
	}
	for _, job := range jobs {
		if job.finished || job.made.Value().hash == t.Hash || job.leaves || c.isRemoved(job.UID) || c.started(job) {
			continue
		}
		idle, err := c.nothingRuns(ctx, job)
		if err != nil {
			return removed, err
		}
		if !idle {
			continue
		}
		err = c.remove(ctx, job, metav1.Preconditions{UID: &job.UID, ResourceVersion: &job.ResourceVersion})
		switch {
		case apierrors.IsConflict(err): // it has moved on
		case err != nil:
			return removed, err
		default:
			removed++
		}
	}
	return removed, nil
}

// started says whether anything of an unfinished Job has run, as far as the watch shows.
func (c *Children) started(job *child) bool {
	return job.begun || slices.ContainsFunc(c.podsOf(job), begun)
}

// nothingRuns asks the API server for what the watch may not show yet.
func (c *Children) nothingRuns(ctx context.Context, job *child) (bool, error) {
	pods, err := c.Kube.CoreV1().Pods(job.Namespace).List(ctx, metav1.ListOptions{LabelSelector: batchv1.ControllerUidLabel + "=" + string(job.UID)})
	if err != nil {
		return false, fmt.Errorf("list the pods of the Job %s/%s: %w", job.Namespace, job.Name, err)
	}
	return !slices.ContainsFunc(pods.Items, func(pod corev1.Pod) bool { return begun(&pod) }), nil
}

func (c *Children) isRemoved(uid types.UID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, removed := c.removed[uid]
	return removed
}

func (c *Children) remove(ctx context.Context, job *child, unless metav1.Preconditions) error {
	background := metav1.DeletePropagationBackground
	c.mu.Lock()
	c.removed[job.UID] = struct{}{}
	c.mu.Unlock()
	err := c.Kube.BatchV1().Jobs(job.Namespace).Delete(ctx, job.Name, metav1.DeleteOptions{PropagationPolicy: &background, Preconditions: &unless})
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	c.mu.Lock()
	delete(c.removed, job.UID)
	c.mu.Unlock()
	return fmt.Errorf("delete the Job %s/%s: %w", job.Namespace, job.Name, err)
}
