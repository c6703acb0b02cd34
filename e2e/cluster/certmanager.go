package cluster

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/e2e/programs"
)

// CertManager is a cert-manager for a cluster: the real controller, which issues certificates, and the real cainjector, which fills bundles. They are started and
// stopped apart from each other, and end with the cluster. There is no webhook of its own and no leader election; it has an administrator's rights.
type CertManager struct {
	Controller, Injector *Process

	cluster     *Cluster
	definitions string
}

// NewCertManager prepares cert-manager, building it if need be, and starts nothing. A cluster has one of them.
func (c *Cluster) NewCertManager(ctx context.Context) (*CertManager, error) {
	binaries, err := programs.CertManager().Build(ctx, programs.Options{Progress: c.options.Progress})
	if err != nil {
		return nil, err
	}
	part := func(name string) *Process {
		p := NewProcess(Command{
			Name: "cert-manager's " + name, Path: binaries.Path("certmanager"), Args: []string{name, "--kubeconfig=" + c.kubeconfig},
			Env: []string{"HOME=" + c.dir}, Dir: c.dir, Log: c.path("logs/cert-manager-" + name + ".log"),
		})
		c.addPart(p)
		return p
	}
	return &CertManager{Controller: part("controller"), Injector: part("cainjector"), cluster: c, definitions: binaries.Path("crds")}, nil
}

// Define installs the definitions of cert-manager's kinds and returns when they are served. It starts neither program.
func (m *CertManager) Define(ctx context.Context) error {
	if err := m.cluster.ApplyDir(ctx, m.definitions); err != nil {
		return fmt.Errorf("install cert-manager's definitions: %w", err)
	}
	return m.awaitServed(ctx, true)
}

// Remove stops both programs, deletes the definitions, and with them all issuers and certificates, and returns when they are not served any more. As with a real
// removal, the Secrets that were issued stay. It is no error if there is nothing to remove.
func (m *CertManager) Remove(ctx context.Context) error {
	if err := errors.Join(m.Controller.Stop(), m.Injector.Stop()); err != nil {
		return err
	}
	manifests, err := Render(m.definitions)
	if err != nil {
		return err
	}
	objects, err := Decode(manifests)
	if err != nil {
		return err
	}
	applier, err := m.cluster.newApplier()
	if err != nil {
		return err
	}
	for _, object := range objects {
		resource, err := applier.resource(object)
		if err != nil {
			return err
		}
		if err := resource.Delete(ctx, object.GetName(), metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete the definition %s: %w", object.GetName(), err)
		}
	}
	return m.awaitServed(ctx, false)
}

func (m *CertManager) awaitServed(ctx context.Context, want bool) error {
	err := poll(ctx, func(context.Context) (bool, error) {
		_, err := m.cluster.client.Discovery().ServerResourcesForGroupVersion("cert-manager.io/v1")
		if err != nil && !apierrors.IsNotFound(err) {
			return false, err
		}
		return (err == nil) == want, nil
	})
	if err != nil {
		return fmt.Errorf("waiting until cert-manager's API is served (%t): %w", want, err)
	}
	return nil
}
