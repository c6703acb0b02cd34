package cluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Namespace creates a namespace with a name of its own, prefix and a random ending, and returns once pods can be
// created in it.
func (c *Cluster) Namespace(ctx context.Context, prefix string) (string, error) {
	namespace, err := c.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: prefix + "-"},
	}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("creating a namespace %s-…: %w", prefix, err)
	}
	return namespace.Name, c.awaitServiceAccount(ctx, namespace.Name)
}

// DeleteNamespace asks for the end of a namespace and all that is in it, and does not wait for it. It is no error if it
// is gone already.
func (c *Cluster) DeleteNamespace(ctx context.Context, name string) error {
	err := c.client.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting namespace %s: %w", name, err)
	}
	return nil
}

// awaitServiceAccount waits for the account that pods run as unless they name another: without it they are refused,
// and a Deployment then waits longer and longer before it tries again.
func (c *Cluster) awaitServiceAccount(ctx context.Context, namespace string) error {
	err := poll(ctx, func(ctx context.Context) (bool, error) {
		_, err := c.client.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return fmt.Errorf("waiting for service account %s/default (see %s): %w", namespace, c.ControllerManager.Log(), err)
	}
	return nil
}
