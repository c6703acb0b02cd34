package jobs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"autoscale.io/annotations"
)

// Limits are how many finished Jobs are kept.
type Limits struct{ Succeeded, Failed int }

// mostRemovals bounds what one call deletes.
const mostRemovals = 50

// Prune deletes the oldest finished Jobs of a template beyond the limits, with their pods. more says that there are more than one call deletes.
func (c *Children) Prune(ctx context.Context, template types.UID, limits Limits) (removed int, more bool, err error) {
	jobs, err := c.of(template)
	if err != nil {
		return 0, false, err
	}
	var succeeded, failed []*batchv1.Job
	for _, job := range jobs {
		switch done, well, _ := finished(job); {
		case !done:
		case well:
			succeeded = append(succeeded, job)
		default:
			failed = append(failed, job)
		}
	}
	surplus := slices.Concat(oldest(succeeded, limits.Succeeded), oldest(failed, limits.Failed))
	surplus = slices.DeleteFunc(surplus, func(job *batchv1.Job) bool { return job.DeletionTimestamp != nil || c.isRemoved(job.UID) })
	for _, job := range surplus[:min(len(surplus), mostRemovals)] {
		if err := c.remove(ctx, job, metav1.Preconditions{UID: &job.UID}); err != nil {
			return removed, false, err
		}
		removed++
	}
	return removed, len(surplus) > mostRemovals, nil
}

// oldest are the Jobs that finished before the latest keep.
func oldest(jobs []*batchv1.Job, keep int) []*batchv1.Job {
	slices.SortFunc(jobs, func(a, b *batchv1.Job) int {
		_, _, first := finished(a)
		_, _, second := finished(b)
		if order := second.Compare(first.Time); order != 0 {
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
		if done, _, _ := finished(job); done || job.Labels[annotations.TemplateHash] == t.Hash || job.DeletionTimestamp != nil || c.isRemoved(job.UID) || c.started(job) {
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
func (c *Children) started(job *batchv1.Job) bool {
	if job.Status.Succeeded > 0 || job.Status.Failed > 0 || job.Status.Ready != nil && *job.Status.Ready > 0 {
		return true
	}
	return slices.ContainsFunc(c.podsOf(job), begun)
}

// nothingRuns asks the API server for what the watch may not show yet.
func (c *Children) nothingRuns(ctx context.Context, job *batchv1.Job) (bool, error) {
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

func (c *Children) remove(ctx context.Context, job *batchv1.Job, unless metav1.Preconditions) error {
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
