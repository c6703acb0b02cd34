package world

import (
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/e2e/product"
)

// Access says whether the autoscaler's account has a right, as an error where that is not what is wanted.
func (w *World) Access(right authorizationv1.ResourceAttributes, want bool) error {
	review, err := w.Kube.AuthorizationV1().SubjectAccessReviews().Create(w.T.Context(), &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:               "system:serviceaccount:" + product.Namespace + ":" + product.ServiceAccount,
		Groups:             []string{"system:serviceaccounts", "system:authenticated"},
		ResourceAttributes: &right,
	}}, metav1.CreateOptions{})
	if err == nil && review.Status.Allowed != want {
		err = fmt.Errorf("%s %s: allowed %v, want %v", right.Verb, right.Resource, review.Status.Allowed, want)
	}
	return err
}

// Account is the user name of the autoscaler.
const Account = "system:serviceaccount:" + product.Namespace + ":" + product.ServiceAccount
