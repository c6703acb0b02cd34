package target

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/scaling/decisions"
)

// RollingOut says whether a rollout is replacing the pods of a workload, so that taking some away would break what the rollout promises of those that
// are available. Only Deployments promise that; of other kinds it is always false, without a call.
func (c *Client) RollingOut(ctx context.Context, key decisions.Key) (bool, error) {
	if key.Resource.GroupResource() != (appsv1.SchemeGroupVersion.WithResource("deployments").GroupResource()) {
		return false, nil
	}
	deployment, err := c.Deployments.Deployments(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	if err != nil {
		return false, fmt.Errorf("read the rollout of %s: %w", key, err)
	}
	return rollingOut(deployment), nil
}

// rollingOut is true while pods of an older template exist, or may exist as the newest template has not been seen by the deployment controller. A rollout
// that is paused, or stuck beyond its deadline, is not progressing and holds back nothing.
func rollingOut(d *appsv1.Deployment) bool {
	if d.Spec.Paused {
		return false
	}
	for _, condition := range d.Status.Conditions {
		if condition.Type == appsv1.DeploymentProgressing && condition.Status == corev1.ConditionFalse {
			return false
		}
	}
	return d.Status.ObservedGeneration < d.Generation || d.Status.Replicas > d.Status.UpdatedReplicas
}
