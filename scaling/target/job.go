package target

import (
	"context"
	"fmt"
	"math"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"autoscale.io/scaling/decisions"
)

// IsJob says whether a resource is that of Jobs. They have no scale subresource; their count is spec.parallelism.
func IsJob(resource schema.GroupVersionResource) bool {
	return resource.Group == batchv1.GroupName && resource.Resource == "jobs"
}

// IsCronJob says whether a resource is that of CronJobs, which have no count at all.
func IsCronJob(resource schema.GroupVersionResource) bool {
	return resource.Group == batchv1.GroupName && resource.Resource == "cronjobs"
}

// getJob reads the parallelism of a Job and what else there is to know before it is changed.
func (c *Client) getJob(ctx context.Context, key decisions.Key) (Scale, error) {
	job, err := c.Jobs.Jobs(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	if err != nil {
		return Scale{}, fmt.Errorf("read the parallelism of %s: %w", key, err)
	}
	return scaleOfJob(job), nil
}

// getUncounted reads the identity of an object without a count.
func (c *Client) getUncounted(ctx context.Context, key decisions.Key) (Scale, error) {
	object, err := c.Metadata.Resource(key.Resource).Namespace(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	if err != nil {
		return Scale{}, fmt.Errorf("read %s: %w", key, err)
	}
	return Scale{UID: object.UID, ResourceVersion: object.ResourceVersion}, nil
}

// defaultParallelism is what Kubernetes makes of an absent one.
const defaultParallelism = 1

func scaleOfJob(job *batchv1.Job) Scale {
	return Scale{
		Replicas: ptr.Deref(job.Spec.Parallelism, defaultParallelism), UID: job.UID, ResourceVersion: job.ResourceVersion,
		LeftAlone: leftAlone(job), Pods: job.Spec.Selector,
	}
}

func (c *Client) patchJob(ctx context.Context, key decisions.Key, resourceVersion string, to int32) (Scale, error) {
	patch := fmt.Appendf(nil, `{"metadata":{"resourceVersion":%q},"spec":{"parallelism":%d}}`, resourceVersion, to)
	job, err := c.Jobs.Jobs(key.Namespace).Patch(ctx, key.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: FieldManager})
	if err != nil {
		return Scale{}, err
	}
	return scaleOfJob(job), nil
}

// Shrink lowers the parallelism of a Job to the given count, or to the number of its pods that have not ended when that is higher: to lower it further
// would end pods that run. leaving is the number of pods to count beside those. When that leaves nothing to lower, nothing is written and the live count is
// returned as it is. The rest is as with Scale.
//
// The pods are listed right before the write. What the Job controller creates between the two costs a pod that has hardly begun at most: of pods in excess
// it deletes first what is not scheduled, then what is pending, then what is not ready, then the youngest.
func (c *Client) Shrink(ctx context.Context, key decisions.Key, version Scale, to, leaving int32) (Scale, error) {
	return c.write(ctx, key, version, to, func(live Scale) (Scale, error) {
		unfinished, err := c.unfinished(ctx, key.Namespace, live)
		if err != nil {
			return Scale{}, err
		}
		if least := max(to, saturate(int64(unfinished)+int64(leaving))); least < live.Replicas {
			return c.patchJob(ctx, key, live.ResourceVersion, least)
		}
		return live, nil
	})
}

func saturate(n int64) int32 { return int32(min(n, math.MaxInt32)) }

// PodsOf selects the pods of a Job that have not ended. The Job's own selector finds them, and Counts tells them from those of another Job with the same.
func PodsOf(job Scale) (metav1.ListOptions, error) {
	selector, err := metav1.LabelSelectorAsSelector(job.Pods)
	if err != nil {
		return metav1.ListOptions{}, fmt.Errorf("read the selector of the Job's pods: %w", err)
	}
	return metav1.ListOptions{LabelSelector: selector.String(), FieldSelector: running}, nil
}

// Pods is the resource of pods.
func Pods() schema.GroupVersionResource { return corev1.SchemeGroupVersion.WithResource("pods") }

// Counts says whether a pod that PodsOf has found counts as one that the Job runs: one that is being deleted does not, and one that nobody controls yet does,
// since the Job controller adopts it.
func Counts(pod metav1.Object, job types.UID) bool {
	owner := metav1.GetControllerOfNoCopy(pod)
	return pod.GetDeletionTimestamp() == nil && (owner == nil || owner.UID == job)
}

// unfinished is the number of pods that a Job runs at this moment.
func (c *Client) unfinished(ctx context.Context, namespace string, job Scale) (int, error) {
	options, err := PodsOf(job)
	if err != nil {
		return 0, err
	}
	pods, err := c.Metadata.Resource(Pods()).Namespace(namespace).List(ctx, options)
	if err != nil {
		return 0, fmt.Errorf("list the pods that still run: %w", err)
	}
	n := 0
	for i := range pods.Items {
		if Counts(&pods.Items[i], job.UID) {
			n++
		}
	}
	return n, nil
}
