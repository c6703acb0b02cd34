package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/cert"

	"autoscale.io/e2e/cluster"
	"autoscale.io/e2e/product"
	"autoscale.io/e2e/world"
)

// host is what the webhook configurations of these cases name, and so what their certificates have to be good for.
const host = "127.0.0.1"

// install is the shipped manifests installed once more for a case alone: in a namespace of their own, with a webhook that is called for the objects of the case,
// and with replicas of a class of their own, so that the shared autoscaler takes no part.
type install struct {
	*world.World
	product *product.Product
	// name is that of the namespace, the webhook configuration and the class.
	name string
	spec product.Another
	// front is what the webhook configuration leads to, as a Service would.
	front *front
	flags []string

	mu       sync.Mutex
	replicas []*product.Autoscaler
}

// newInstall installs the manifests with that failure policy of the webhook; flags are those of every replica.
func newInstall(w *world.World, policy string, flags ...string) *install {
	w.T.Helper()
	i := &install{World: w, name: "own-" + w.Namespace, front: newFront(w.T), flags: flags}
	i.spec = product.Another{Name: i.name, Webhook: i.front.address(), Only: []string{w.Namespace, i.name}, FailurePolicy: policy}
	var err error
	if i.product, err = w.Product.Another(w.T.Context(), i.spec); err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() {
		if err := i.product.Uninstall(context.Background()); err != nil {
			w.T.Error(err)
		}
	})
	return i
}

// launch runs a replica that may not become ready, and has it called.
func (i *install) launch(name string, more ...string) *product.Autoscaler {
	i.T.Helper()
	a, err := i.run(name, more...)
	if err != nil {
		i.T.Fatal(err)
	}
	return a
}

func (i *install) run(name string, more ...string) (*product.Autoscaler, error) {
	all := append(world.Flags(), "--class="+i.name, "--cert-hosts="+host, "--sweep-interval=1s")
	all = append(append(all, i.flags...), more...)
	a, err := i.product.Launch(i.T.Context(), i.name+"-"+name, all...)
	if err != nil {
		return nil, err
	}
	i.T.Cleanup(func() {
		if i.T.Failed() {
			i.T.Logf("the end of the log of %s:\n%s", a.Name(), a.LogTail())
		}
		_ = a.Stop() // the case has its result
	})
	i.mu.Lock()
	defer i.mu.Unlock()
	i.replicas = append(i.replicas, a)
	i.front.lead(i.replicas)
	return a, nil
}

// start is launch for a replica that becomes ready.
func (i *install) start(name string, more ...string) *product.Autoscaler {
	i.T.Helper()
	a := i.launch(name, more...)
	i.awaitReady(a)
	return a
}

func (i *install) awaitReady(all ...*product.Autoscaler) {
	i.T.Helper()
	for _, a := range all {
		i.Await(a.Name()+" is ready", world.Soon, a.Ready)
	}
}

// running are the replicas that have not been ended.
func (i *install) running() []*product.Autoscaler {
	i.mu.Lock()
	defer i.mu.Unlock()
	var running []*product.Autoscaler
	for _, a := range i.replicas {
		if a.Running() {
			running = append(running, a)
		}
	}
	return running
}

// config reads the webhook configuration.
func (i *install) config(ctx context.Context) (*admissionregistrationv1.MutatingWebhookConfiguration, error) {
	return i.Kube.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(ctx, i.name, metav1.GetOptions{})
}

func (i *install) mustConfig() *admissionregistrationv1.MutatingWebhookConfiguration {
	i.T.Helper()
	config, err := i.config(i.T.Context())
	if err != nil {
		i.T.Fatal(err)
	}
	return config
}

// certificateIn reads a Secret with a certificate.
func (i *install) certificateIn(ctx context.Context, name string) (*x509.Certificate, *corev1.Secret, error) {
	secret, err := i.Kube.CoreV1().Secrets(i.name).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, nil, err
	}
	chain, err := cert.ParseCertsPEM(secret.Data[corev1.TLSCertKey])
	if err != nil {
		return nil, nil, fmt.Errorf("the certificate in Secret %s: %w", name, err)
	}
	return chain[0], secret, nil
}

func (i *install) mustCertificateIn(name string) *x509.Certificate {
	i.T.Helper()
	leaf, _, err := i.certificateIn(i.T.Context(), name)
	if err != nil {
		i.T.Fatal(err)
	}
	return leaf
}

// awaitServed waits until every replica serves a certificate that is as it should be, and returns it.
func (i *install) awaitServed(what string, wanted func(ctx context.Context, leaf *x509.Certificate) error) *x509.Certificate {
	i.T.Helper()
	var served *x509.Certificate
	i.Await(what, 2*world.Soon, func(ctx context.Context) error {
		config, err := i.config(ctx)
		if err != nil {
			return err
		}
		served = nil
		for _, a := range i.running() {
			leaf, err := shake(ctx, a.WebhookAddress(), config.Webhooks[0].ClientConfig.CABundle)
			if err != nil {
				return fmt.Errorf("%s: %w", a.Name(), err)
			}
			if err := wanted(ctx, leaf); err != nil {
				return fmt.Errorf("%s: %w", a.Name(), err)
			}
			if served != nil && !served.Equal(leaf) {
				return errors.New("the replicas serve different certificates")
			}
			served = leaf
		}
		return nil
	})
	return served
}

// awaitServedFrom waits until every replica serves what a Secret holds.
func (i *install) awaitServedFrom(secret string) *x509.Certificate {
	i.T.Helper()
	return i.awaitServed("every replica serves the certificate in the Secret "+secret, func(ctx context.Context, leaf *x509.Certificate) error {
		want, _, err := i.certificateIn(ctx, secret)
		if err == nil && !leaf.Equal(want) {
			err = errors.New("it serves another one")
		}
		return err
	})
}

// awaitSuccessor waits until every replica serves another certificate than before.
func (i *install) awaitSuccessor(before *x509.Certificate) *x509.Certificate {
	i.T.Helper()
	return i.awaitServed("every replica serves the successor", func(_ context.Context, leaf *x509.Certificate) error {
		if leaf.Equal(before) {
			return errors.New("it serves the old one")
		}
		return nil
	})
}

// awaitLog waits for a text in the log of a replica.
func (i *install) awaitLog(a *product.Autoscaler, text string) {
	i.T.Helper()
	i.Await(fmt.Sprintf("%q in the log of %s", text, a.Name()), world.Soon, func(context.Context) error {
		log, err := os.ReadFile(a.Log())
		if err == nil && !strings.Contains(string(log), text) {
			err = errors.New("it is not there")
		}
		return err
	})
}

// shake verifies a webhook as the API server does with that bundle, and returns what it serves.
func shake(ctx context.Context, address string, bundle []byte) (*x509.Certificate, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bundle) {
		return nil, errors.New("the bundle holds no certificate")
	}
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12}}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("shake hands with the webhook: %w", err)
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// behindProxy returns the flag for a replica that reaches the API server through a proxy of its own.
func (i *install) behindProxy() (*world.APIProxy, string) {
	i.T.Helper()
	p := i.APIProxyFor(i.name)
	path := filepath.Join(i.T.TempDir(), "kubeconfig")
	if err := cluster.WriteKubeconfig(path, &rest.Config{Host: p.Server.URL}); err != nil {
		i.T.Fatal(err)
	}
	return p, "--kubeconfig=" + path
}

// certManagerInUse lets one case at a time have the cluster's cert-manager.
var certManagerInUse sync.Mutex //nolint:gochecknoglobals // cases have no other way to find each other

// certManager is the cluster's, not installed yet; it is removed when the case ends.
func certManager(w *world.World, t *testing.T) *cluster.CertManager {
	t.Helper()
	certManagerInUse.Lock()
	t.Cleanup(certManagerInUse.Unlock)
	m, err := w.Cluster.NewCertManager(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the ends of the logs of cert-manager:\n%s\n%s", m.Controller.LogTail(), m.Injector.LogTail())
		}
		if err := m.Remove(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return m
}
