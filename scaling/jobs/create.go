package jobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"autoscale.io/scaling/shards"
)

const (
	// createTimeout bounds one try of one create.
	createTimeout = 5 * time.Second
	// tries is how often a create is tried whose answer was lost.
	tries = 3
	// pauseBetween is the wait before another try.
	pauseBetween = 200 * time.Millisecond
	// mostAtOnce bounds the creates under way.
	mostAtOnce = 32
)

// Create creates n Jobs and returns how many there are now of them. It begins slowly, one, two, four at a time, and stops at the first error: what
// refuses one (a quota, an admission policy) would refuse all.
func (c *Children) Create(ctx context.Context, t *Template, n int) (created int, err error) {
	for batch := 1; created < n && err == nil; batch = min(2*batch, mostAtOnce) {
		var (
			mu    sync.Mutex
			group sync.WaitGroup
		)
		for range min(batch, n-created) {
			group.Go(func() {
				failure := c.createOne(ctx, t)
				mu.Lock()
				defer mu.Unlock()
				if failure == nil {
					created++
				} else if err == nil {
					err = failure
				}
			})
		}
		group.Wait()
	}
	return created, err
}

// createOne creates one Job. When the answer is lost the same name is tried again, so that one that was created after all is found. When that
// does not help it counts until Resolve knows.
func (c *Children) createOne(ctx context.Context, t *Template) error {
	name := t.newName()
	var err error
	for try := range tries {
		if try > 0 && !pause(ctx, pauseBetween) {
			break
		}
		var job *batchv1.Job
		job, err = c.create(ctx, t, name)
		switch {
		case err == nil:
			c.expect(t.UID, job)
			return nil
		case lacksRight(err):
			return fmt.Errorf("create a Job of %s %s/%s, which needs the ClusterRole autoscaler-spawn: %w", t.Kind, t.Namespace, t.Name, err)
		case refused(err):
			return fmt.Errorf("create a Job of %s %s/%s: %w", t.Kind, t.Namespace, t.Name, err)
		}
	}
	c.doubt(t.UID, name)
	return fmt.Errorf("create the Job %s/%s: no answer: %w", t.Namespace, name, err)
}

func (c *Children) create(ctx context.Context, t *Template, name string) (*batchv1.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	client := c.Kube.BatchV1().Jobs(t.Namespace)
	job, err := client.Create(ctx, t.job(name), metav1.CreateOptions{FieldManager: fieldManager})
	if !apierrors.IsAlreadyExists(err) {
		return job, err
	}
	live, getErr := client.Get(ctx, name, metav1.GetOptions{})
	if getErr != nil {
		return nil, getErr
	}
	if owner := ownerOf(live); owner == nil || owner.UID != t.UID {
		return nil, err
	}
	return live, nil
}

const fieldManager = "autoscale.io"

// lacksRight tells a missing right from the other reasons for which a create is forbidden, such as a quota.
func lacksRight(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), `cannot create resource "jobs"`)
}

// refused says that the API server has answered and created nothing, or was not asked any more. Every other error leaves that open.
func refused(err error) bool {
	return errors.Is(err, shards.ErrEnded) || apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsNotFound(err) || apierrors.IsUnauthorized(err) ||
		apierrors.IsAlreadyExists(err) || apierrors.IsRequestEntityTooLargeError(err) || apierrors.IsMethodNotSupported(err) || apierrors.IsTooManyRequests(err)
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Resolve finds out about the Jobs of a template that may or may not have been created.
func (c *Children) Resolve(ctx context.Context, owner Owner, template types.UID) error {
	c.mu.Lock()
	names := slices.Sorted(maps.Keys(c.doubtful[template]))
	c.mu.Unlock()
	for _, name := range names {
		live, err := c.Kube.BatchV1().Jobs(owner.Namespace).Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			c.mu.Lock()
			delete(c.doubtful[template], name)
			c.mu.Unlock()
		case err != nil:
			return fmt.Errorf("look for the Job %s/%s, whose creation was not answered: %w", owner.Namespace, name, err)
		default:
			c.expect(template, live)
		}
	}
	return nil
}
