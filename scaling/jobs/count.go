package jobs

import (
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// Count is how many Jobs of a template there are.
type Count struct {
	// Unfinished have neither succeeded nor failed.
	Unfinished int32
	// Pending are those of them that have not started.
	Pending int32
}

// Count counts the Jobs of a template. A Job has started when one of its pods runs, or has all of the conditions when there are any. The error is ErrIncomplete
// while the first list is under way; any other says why there is none.
func (c *Children) Count(template types.UID, conditions []string) (Count, error) {
	if err := c.state(); err != nil {
		return Count{}, err
	}
	// First what is expected, then what is seen: a Job that is seen in between counts twice for a moment, and never not at all.
	expected := c.unseen(template)
	jobs, err := c.of(template)
	if err != nil {
		return Count{}, err
	}
	count := Count{expected, expected}
	for _, job := range jobs {
		if job.finished {
			continue
		}
		count.Unfinished++
		if c.pending(job, conditions) {
			count.Pending++
		}
	}
	return count, nil
}

func (c *Children) state() error {
	if err := c.jobs.state(); err != nil {
		return err
	}
	return c.pods.state()
}

// of are the Jobs of a template that the watch shows.
func (c *Children) of(template types.UID) ([]*child, error) {
	objects, err := c.jobs.GetIndexer().ByIndex(byTemplate, string(template))
	if err != nil {
		return nil, fmt.Errorf("find Jobs: %w", err)
	}
	jobs := make([]*child, 0, len(objects))
	for _, object := range objects {
		if job, ok := object.(*child); ok {
			jobs = append(jobs, job)
		}
	}
	return jobs, nil
}

// podsOf are the unfinished pods of a Job that the watch shows.
func (c *Children) podsOf(job *child) []*corev1.Pod {
	objects, err := c.pods.GetIndexer().ByIndex(byJob, string(job.UID))
	if err != nil {
		return nil // the index is there
	}
	pods := make([]*corev1.Pod, 0, len(objects))
	for _, object := range objects {
		if pod, ok := object.(*corev1.Pod); ok {
			pods = append(pods, pod)
		}
	}
	return pods
}

func (c *Children) pending(job *child, conditions []string) bool {
	if job.advanced {
		return false
	}
	return !slices.ContainsFunc(c.podsOf(job), func(pod *corev1.Pod) bool {
		if len(conditions) == 0 {
			return pod.Status.Phase == corev1.PodRunning
		}
		for _, wanted := range conditions {
			if !slices.ContainsFunc(pod.Status.Conditions, func(have corev1.PodCondition) bool { return string(have.Type) == wanted }) {
				return false
			}
		}
		return true
	})
}

// unseen is the number of Jobs that were or may have been created and that the watch has not shown. One that it does not show although it is at a later
// version has come and gone.
func (c *Children) unseen(template types.UID) int32 {
	store := c.jobs.GetIndexer()
	c.mu.Lock()
	defer c.mu.Unlock()
	for uid, e := range c.expected[template] {
		if order, err := resourceversion.CompareResourceVersion(store.LastStoreSyncResourceVersion(), e.version); err == nil && order >= 0 {
			delete(c.expected[template], uid)
		}
	}
	n := int32(len(c.expected[template]) + len(c.doubtful[template]))
	if n == 0 {
		delete(c.expected, template)
		delete(c.doubtful, template)
	}
	return n
}

// expect notes a Job that was created.
func (c *Children) expect(template types.UID, job *batchv1.Job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.doubtful[template], job.Name)
	if c.expected[template] == nil {
		c.expected[template] = map[types.UID]expectation{}
	}
	c.expected[template][job.UID] = expectation{job.ResourceVersion}
}

// doubt notes a Job that may have been created.
func (c *Children) doubt(template types.UID, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.doubtful[template] == nil {
		c.doubtful[template] = map[string]struct{}{}
	}
	c.doubtful[template][name] = struct{}{}
}
