package certs_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	cmfake "github.com/cert-manager/cert-manager/pkg/client/clientset/versioned/fake"
	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/util/cert"

	"autoscale.io/webhook/certs"
)

// withCertManager is a replica of an install with cert-manager's API; it returns what the replica logs, too.
func (i install) withCertManager(selfSigned bool) (*certs.Keeper, *cmfake.Clientset, *strings.Builder) {
	var log strings.Builder
	api := cmfake.NewClientset()
	// The fake does not apply; what is applied is seen on a real API server.
	api.PrependReactor("patch", "*", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, nil })
	return certs.NewKeeper(certs.Setup{
		Kube: i.kube, SelfSigned: selfSigned, CertManager: api.CertmanagerV1(), Namespace: namespace, Now: i.clock.Now,
		Log: funcr.New(func(_, text string) { log.WriteString(text + "\n") }, funcr.Options{}),
	}), api, &log
}

func (i install) serveCertManager() {
	i.kube.Resources = []*metav1.APIResourceList{{GroupVersion: "cert-manager.io/v1", APIResources: []metav1.APIResource{{Name: "certificates"}, {Name: "issuers"}}}}
}

// deliver does what cert-manager does.
func (i install) deliver() {
	i.Helper()
	certPEM, keyPEM, err := cert.GenerateSelfSignedCertKey("autoscaler.autoscale-system.svc", nil, nil)
	if err != nil {
		i.Fatal(err)
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: certs.DefaultNames().Secret + "-tls"},
		Data:       map[string][]byte{"tls.crt": certPEM, "tls.key": keyPEM, "ca.crt": certPEM[strings.LastIndex(string(certPEM), "-----BEGIN"):]},
	}
	if _, err := i.kube.CoreV1().Secrets(namespace).Create(i.Context(), secret, metav1.CreateOptions{}); err != nil {
		i.Fatal(err)
	}
}

func TestCertManagerIsFollowedWithoutALostCall(t *testing.T) {
	i := newInstall(t, configuration())
	a, _, log := i.withCertManager(true)
	i.ensure(a)
	i.wantCalls(a)
	own := expiry(a)
	i.serveCertManager()
	i.ensure(a)
	i.wantCalls(a)
	for _, text := range []string{"cert-manager is not installed: the API server does not serve cert-manager.io/v1", "cert-manager has not delivered: see the status of Certificate autoscale-system/autoscaler-webhook"} {
		if !strings.Contains(log.String(), text) {
			t.Errorf("the log does not say %q:\n%s", text, log)
		}
	}
	i.clock.add(time.Second)
	i.deliver()
	i.ensure(a)
	i.wantCalls(a)
	if !expiry(a).Equal(own) {
		t.Error("cert-manager's certificate is served before its authority has settled")
	}
	i.clock.add(time.Minute)
	i.ensure(a)
	i.wantCalls(a)
	i.kube.Resources = nil
	i.ensure(a)
	i.wantCalls(a)
	i.clock.add(time.Minute)
	i.ensure(a)
	i.wantCalls(a)
	if !expiry(a).Equal(own) {
		t.Error("without cert-manager the self-signed certificate is not served")
	}
}

// TestWayBackWaitsForEveryReplica has a bundle as cainjector leaves it, which adds to what was there, and a replica that looks later than the other.
func TestWayBackWaitsForEveryReplica(t *testing.T) {
	i := newInstall(t, configuration())
	a, _, log := i.withCertManager(true)
	b, _, _ := i.withCertManager(true)
	i.ensure(a, b)
	own := expiry(a)
	i.serveCertManager()
	i.clock.add(time.Second)
	i.deliver()
	i.ensure(a, b)
	for range 2 {
		i.clock.add(10 * time.Minute)
		i.ensure(a, b)
	}
	if want := "cainjector keeps the bundle"; !strings.Contains(log.String(), want) || expiry(a).Equal(own) || expiry(b).Equal(own) {
		t.Fatalf("the log does not say %q:\n%s", want, log)
	}
	i.clock.add(10 * time.Minute)
	i.ensure(a, b)
	i.kube.Resources = nil
	for range 2 {
		i.ensure(a)
		i.wantCalls(a, b)
		i.clock.add(time.Second)
	}
	for range 2 {
		i.clock.add(10 * time.Minute)
		i.ensure(a, b)
		i.wantCalls(a, b)
	}
	if got := strings.Count(string(i.bundle()), "BEGIN CERTIFICATE"); got != 1 || !expiry(b).Equal(own) {
		t.Errorf("in the end the bundle has %d authorities, want the self-signed one alone", got)
	}
}

func TestWithoutRightsTheCertificateIsSelfSigned(t *testing.T) {
	i := newInstall(t, configuration())
	i.serveCertManager()
	a, api, log := i.withCertManager(true)
	tries := 0
	api.PrependReactor("patch", "issuers", func(clienttesting.Action) (bool, runtime.Object, error) {
		tries++
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "issuers"}, "autoscaler-webhook", errors.New("no"))
	})
	i.ensure(a, a)
	i.wantCalls(a)
	if want := "cert-manager is not used, since this account may not; apply manifests/role-cert-manager.yaml"; strings.Count(log.String(), want) != 1 || tries != 1 {
		t.Errorf("%d tries, and the log says\n%s\nwant one of each, %q", tries, log, want)
	}
}

func TestCertManagerAloneSaysWhatIsMissing(t *testing.T) {
	i := newInstall(t, configuration())
	a, _, _ := i.withCertManager(false)
	wantText(t, a.Ensure(t.Context()), "cert-manager is not installed: the API server does not serve cert-manager.io/v1")
	i.serveCertManager()
	wantText(t, a.Ensure(t.Context()), "cert-manager has not delivered: see the status of Certificate autoscale-system/autoscaler-webhook")
	wantText(t, a.Ready(nil), "the webhook has no certificate yet")
}
