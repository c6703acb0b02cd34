package app

import (
	"context"
	"fmt"
	"slices"

	"github.com/go-logr/logr"
	authorizationv1 "k8s.io/api/authorization/v1"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"autoscale.io/scaling/controller"
)

// jobRights is what an installer may leave out.
const jobRights = "manifests/cluster-role-jobs.yaml"

// leaveJobs takes Jobs and CronJobs out of the kinds when this process may not change Jobs; the rest works without them.
func leaveJobs(ctx context.Context, kube kubernetes.Interface, kinds []controller.Kind, log logr.Logger) (managed, refused []controller.Kind, err error) {
	for _, kind := range kinds {
		if kind.Group == batchv1.GroupName {
			refused = append(refused, kind)
		}
	}
	if len(refused) == 0 {
		return kinds, nil, nil
	}
	may, err := mayChangeJobs(ctx, kube)
	if err != nil {
		return nil, nil, err
	}
	if may {
		return kinds, nil, nil
	}
	log.Info("Jobs and CronJobs are not managed, since this account may not list and patch Jobs; apply " + jobRights + " and restart to have them managed")
	return slices.DeleteFunc(slices.Clone(kinds), func(k controller.Kind) bool { return k.Group == batchv1.GroupName }), refused, nil
}

// mayChangeJobs asks the API server for the rights without which nothing can be done with a Job.
func mayChangeJobs(ctx context.Context, kube kubernetes.Interface) (bool, error) {
	for _, verb := range []string{"list", "patch"} {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Group: batchv1.GroupName, Resource: "jobs", Verb: verb},
		}}
		got, err := kube.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			return false, fmt.Errorf("ask the API server whether this account may %s Jobs: %w", verb, err)
		}
		if !got.Status.Allowed {
			return false, nil
		}
	}
	return true, nil
}
