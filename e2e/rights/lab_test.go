package rights

import (
	"context"
	"fmt"
	"os"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"autoscale.io/e2e/cluster/clustertest"
	"autoscale.io/e2e/product"
	"autoscale.io/scalers/scalertest/ports"
	"autoscale.io/scalers/scalertest/servers"
)

const (
	account  = "system:serviceaccount:" + product.Namespace + ":" + product.ServiceAccount
	password = "correct-horse-42"
)

// lab is a cluster that writes down what the autoscaler asks of it.
type lab struct {
	kube      kubernetes.Interface
	objects   metadata.Interface
	product   *product.Product
	log       *Log
	redis     *servers.Redis
	roles     []Role
	namespace string
	webhook   string
	scaler    *product.Autoscaler
	// strokes counts the calls of stir.
	strokes int
}

func newLab(t *testing.T) *lab {
	dir := t.TempDir()
	log, flags, err := NewLog(dir, account)
	if err != nil {
		t.Fatal(err)
	}
	c := clustertest.Start(t, Options(flags))
	binary, err := product.Build(t.Context(), dir, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{log: log, redis: servers.MustRedis(t, servers.RedisOptions{Password: password}), namespace: clustertest.Namespace(t, c, "tour")}
	if l.product, err = product.Install(t.Context(), c, binary, dir); err != nil {
		t.Fatal(err)
	}
	// So that the right to see ScaledObjects is used.
	if err := c.Apply(t.Context(), []byte(product.ScaledObjectCRD)); err != nil {
		t.Fatal(err)
	}
	// So that the rights to cert-manager's kinds are used. It need not run for that.
	m, err := c.NewCertManager(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Define(t.Context()); err != nil {
		t.Fatal(err)
	}
	config := c.Config()
	config.WarningHandler = rest.NoWarnings{}
	if l.kube, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	if l.objects, err = metadata.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	if l.roles, err = RolesOf(t.Context(), l.kube, product.Namespace, product.ServiceAccount); err != nil {
		t.Fatal(err)
	}
	address, err := ports.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	l.webhook = address.Digits()
	t.Cleanup(func() {
		if l.scaler == nil {
			return
		}
		if t.Failed() {
			t.Log("the autoscaler's log ends:\n" + l.scaler.LogTail())
		}
		_ = l.scaler.Kill()
	})
	return l
}

// launch runs an autoscaler as the shipped manifests do, whether its rights let it become ready or not.
func (l *lab) launch(t *testing.T) {
	t.Helper()
	var err error
	l.scaler, err = l.product.Launch(t.Context(), "autoscaler", "--certs=auto", "--webhook-port="+l.webhook, "--sweep-interval=2s", "--log-level=debug",
		"--lease-duration=4s", "--lease-renew-deadline=3s", "--lease-retry-period=500ms")
	if err != nil {
		t.Fatal(err)
	}
}

func (l *lab) kill(t *testing.T) {
	t.Helper()
	if err := l.scaler.Kill(); err != nil {
		t.Fatal(err)
	}
}

// fresh takes away what an autoscaler makes for itself and keeps on workloads, so that it has to be made again.
func (l *lab) fresh(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	bare := []byte(`{"metadata":{"labels":{"autoscale.io/bucket":null},"annotations":{"autoscale.io/state":null,"autoscale.io/status":null}}}`)
	for kind, name := range map[string]string{"deployments.apps": "web", "statefulsets.apps": "db", "jobs.batch": "resized", "cronjobs.batch": "template"} {
		resource := l.objects.Resource(schema.ParseGroupResource(kind).WithVersion("v1")).Namespace(l.namespace)
		if _, err := resource.Patch(ctx, name, types.MergePatchType, bare, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.kube.CoordinationV1().Leases(product.Namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, resource := range []string{"issuers", "certificates"} {
		all := l.objects.Resource(schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: resource}).Namespace(product.Namespace)
		if err := all.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	_ = l.kube.CoreV1().Secrets(product.Namespace).Delete(ctx, product.CertificateSecret, metav1.DeleteOptions{}) // it may not be there
}

// grants are those of all roles.
func (l *lab) grants() []Grant {
	var all []Grant
	for _, role := range l.roles {
		all = append(all, role.Grants...)
	}
	return all
}

// grant makes all roles grant what keep says, and nothing else.
func (l *lab) grant(ctx context.Context, keep func(role Role, g Grant) bool) error {
	for i := range l.roles {
		role := &l.roles[i]
		var kept []Grant
		for _, g := range role.Grants {
			if keep(*role, g) {
				kept = append(kept, g)
			}
		}
		if err := role.Write(ctx, l.kube, kept); err != nil {
			return fmt.Errorf("change what %s grants: %w", role.Name, err)
		}
	}
	return nil
}
