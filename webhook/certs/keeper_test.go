package certs_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/util/cert"

	"autoscale.io/webhook/certs"
)

const namespace = "autoscale-system"

func configuration() *admissionregistrationv1.MutatingWebhookConfiguration {
	return &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: certs.DefaultNames().Config},
		Webhooks:   []admissionregistrationv1.MutatingWebhook{{Name: "workloads.autoscale.io"}, {Name: "jobs.autoscale.io"}},
	}
}

// clock is set by the test.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// install is a cluster with one or more replicas of the webhook.
type install struct {
	*testing.T
	kube  *fake.Clientset
	clock *clock
}

func newInstall(t *testing.T, objects ...runtime.Object) install {
	t.Helper()
	return install{t, fake.NewClientset(objects...), &clock{now: time.Now()}}
}

func (i install) replica() *certs.Keeper {
	return certs.NewKeeper(certs.Setup{Kube: i.kube, SelfSigned: true, Namespace: namespace, Log: logr.Discard(), Now: i.clock.Now})
}

func (i install) ensure(replicas ...*certs.Keeper) {
	i.Helper()
	for _, s := range replicas {
		if err := s.Ensure(i.Context()); err != nil {
			i.Fatal(err)
		}
	}
}

func (i install) secret() *corev1.Secret {
	i.Helper()
	secret, err := i.kube.CoreV1().Secrets(namespace).Get(i.Context(), certs.DefaultNames().Secret, metav1.GetOptions{})
	if err != nil {
		i.Fatal(err)
	}
	return secret
}

func (i install) deleteSecret() {
	i.Helper()
	if err := i.kube.CoreV1().Secrets(namespace).Delete(i.Context(), certs.DefaultNames().Secret, metav1.DeleteOptions{}); err != nil {
		i.Fatal(err)
	}
}

func (i install) bundle() []byte {
	i.Helper()
	config, err := i.kube.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(i.Context(), certs.DefaultNames().Config, metav1.GetOptions{})
	if err != nil {
		i.Fatal(err)
	}
	if !bytes.Equal(config.Webhooks[0].ClientConfig.CABundle, config.Webhooks[1].ClientConfig.CABundle) {
		i.Fatal("the webhooks have different bundles")
	}
	return config.Webhooks[0].ClientConfig.CABundle
}

func (i install) setBundle(bundle []byte) {
	i.Helper()
	config := configuration()
	for n := range config.Webhooks {
		config.Webhooks[n].ClientConfig.CABundle = bundle
	}
	if _, err := i.kube.AdmissionregistrationV1().MutatingWebhookConfigurations().Update(i.Context(), config, metav1.UpdateOptions{}); err != nil {
		i.Fatal(err)
	}
}

// wantCalls makes the call of an API server to each replica: a TLS handshake that trusts the published bundle alone.
func (i install) wantCalls(replicas ...*certs.Keeper) {
	i.Helper()
	for n, s := range replicas {
		if err := call(s, i.bundle(), i.clock.Now); err != nil {
			i.Errorf("replica %d: %v", n, err)
		}
		if err := s.Ready(nil); err != nil {
			i.Errorf("replica %d: %v", n, err)
		}
	}
}

func call(s *certs.Keeper, bundle []byte, now func() time.Time) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	server := tls.Server(there, &tls.Config{GetCertificate: s.GetCertificate})
	served := make(chan error, 1)
	go func() { served <- server.Handshake() }()
	client := tls.Client(here, &tls.Config{RootCAs: roots, ServerName: "autoscaler.autoscale-system.svc", Time: now})
	if err := client.Handshake(); err != nil {
		return err
	}
	return <-served
}

func TestReplicasShareOneCertificate(t *testing.T) {
	i := newInstall(t, configuration())
	a, b, c := i.replica(), i.replica(), i.replica()
	i.ensure(a, b, c)
	i.wantCalls(a, b, c)
	i.clock.add(time.Hour)
	i.ensure(a, b, c, i.replica())
	if got, want := writes(i.kube), []string{"create secrets", "patch mutatingwebhookconfigurations"}; !slices.Equal(got, want) {
		t.Errorf("writes %q, want %q", got, want)
	}
	if got, want := expiry(a).Sub(i.clock.Now()).Round(24*time.Hour), 365*24*time.Hour; got != want {
		t.Errorf("the certificate lasts %s, want %s", got, want)
	}
}

// writes lists what was written.
func writes(kube *fake.Clientset) []string {
	var verbs []string
	for _, action := range kube.Actions() {
		if verb := action.GetVerb(); verb != "get" && verb != "list" && verb != "watch" {
			verbs = append(verbs, verb+" "+action.GetResource().Resource)
		}
	}
	return verbs
}

func TestTheSecretOfTheFirstReplicaWins(t *testing.T) {
	i := newInstall(t, configuration())
	winner, loser := i.replica(), i.replica()
	i.ensure(winner)
	reads := 0
	i.kube.PrependReactor("get", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
		reads++
		return reads == 1, nil, apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, certs.DefaultNames().Secret)
	})
	i.ensure(loser)
	i.wantCalls(winner, loser)
}

func TestAConflictIsReadAgain(t *testing.T) {
	i := newInstall(t, configuration(), dueSecret(t))
	a := i.replica()
	conflicts := 2
	i.kube.PrependReactor("update", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
		if conflicts--; conflicts >= 0 {
			return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: "secrets"}, certs.DefaultNames().Secret, nil)
		}
		return false, nil, nil
	})
	i.ensure(a)
	if i.secret().Data["next.crt"] == nil {
		t.Error("no successor was made")
	}
}

// dueSecret holds a certificate that it is time to renew.
func dueSecret(t *testing.T) *corev1.Secret {
	t.Helper()
	certPEM, keyPEM, err := cert.GenerateSelfSignedCertKeyWithOptions(cert.SelfSignedCertKeyOptions{
		Host: "autoscaler.autoscale-system.svc", MaxAge: 60 * 24 * time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: certs.DefaultNames().Secret}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{"tls.crt": certPEM, "tls.key": keyPEM},
	}
}

// Each step of a renewal, seen by a replica that takes it and by one that lags behind: no call fails.
func TestARenewalDropsNoCall(t *testing.T) {
	i := newInstall(t, configuration(), dueSecret(t))
	a, lagging := i.replica(), i.replica()
	i.ensure(lagging)
	old := expiry(lagging)
	for step := range 5 {
		i.ensure(a)
		i.wantCalls(a, lagging)
		if moved := expiry(a) != old || bytes.Count(i.bundle(), []byte("BEGIN")) != 2; step == 0 && moved {
			t.Error("the successor was served before its authority was trusted, or its authority is missing")
		}
		i.clock.add(20 * time.Second)
	}
	if i.secret().Data["next.crt"] != nil {
		t.Error("the successor still waits")
	}
	i.ensure(lagging)
	i.wantCalls(a, lagging)
}

func TestADeletedSecretIsARenewal(t *testing.T) {
	i := newInstall(t, configuration())
	a, lagging := i.replica(), i.replica()
	i.ensure(a, lagging)
	before := i.secret().Data["tls.crt"]
	i.deleteSecret()
	i.ensure(a)
	i.wantCalls(a, lagging)
	if !bytes.Equal(i.secret().Data["tls.crt"], before) || i.secret().Data["next.crt"] == nil {
		t.Error("the certificate in use was not kept until its successor is trusted")
	}
	i.clock.add(time.Minute)
	i.ensure(a, lagging)
	i.wantCalls(a, lagging)
	if bytes.Equal(i.secret().Data["tls.crt"], before) {
		t.Error("the certificate was not renewed")
	}
}

func TestAWipedOrForeignBundleIsPutRight(t *testing.T) {
	i := newInstall(t, configuration())
	a := i.replica()
	i.ensure(a)
	for _, bundle := range [][]byte{nil, []byte("foreign")} {
		i.setBundle(bundle)
		i.ensure(a)
		i.wantCalls(a)
	}
}

func TestReadyKnowsWhatTheConfigurationTrusts(t *testing.T) {
	i := newInstall(t, configuration())
	a := i.replica()
	wantText(t, a.Ready(nil), "the webhook has no certificate yet")
	_, err := a.GetCertificate(nil)
	wantText(t, err, "the webhook has no certificate yet")
	i.ensure(a)
	i.setBundle(nil)
	i.kube.PrependReactor("patch", "mutatingwebhookconfigurations", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, fmt.Errorf("forbidden")
	})
	wantText(t, a.Ensure(t.Context()), "write the bundle into the webhook configuration autoscale.io: forbidden")
	wantText(t, a.Ready(nil), "the webhook configuration autoscale.io does not trust the webhook's certificate: x509: certificate signed by unknown authority")
}

func TestAnInjectorKeepsItsBundle(t *testing.T) {
	config := configuration()
	config.Annotations = map[string]string{"cert-manager.io/inject-ca-from": "a/b"}
	i := newInstall(t, config)
	a := i.replica()
	wantText(t, a.Ensure(t.Context()), "the webhook configuration autoscale.io has the annotation cert-manager.io/inject-ca-from, so another program keeps its bundle: remove it, or use --certs=files with a certificate of that program")
	if len(i.bundle()) > 0 {
		t.Error("the bundle was written all the same")
	}
}

// Without a configuration nobody calls, and the loop works all the same.
func TestAMissingConfigurationIsNoReasonToBeUnready(t *testing.T) {
	i := newInstall(t)
	a := i.replica()
	wantText(t, a.Ensure(t.Context()), `read the webhook configuration autoscale.io: mutatingwebhookconfigurations.admissionregistration.k8s.io "autoscale.io" not found`)
	if err := a.Ready(nil); err != nil {
		t.Error(err)
	}
}

func TestASecretThatCannotBeReadIsReported(t *testing.T) {
	i := newInstall(t, configuration())
	i.kube.PrependReactor("get", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, fmt.Errorf("forbidden") })
	wantText(t, i.replica().Ensure(t.Context()), "keep the webhook's certificate in Secret autoscale-system/autoscaler-webhook: forbidden")
}

func wantText(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("\n got %v\nwant %s", err, want)
	}
}

func TestRunMendsWhatOthersChange(t *testing.T) {
	i := newInstall(t, configuration())
	a := i.replica()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	i.await("the first bundle", func() bool { return len(i.bundle()) > 0 })
	for _, resource := range []string{"secrets", "mutatingwebhookconfigurations"} { // what happens between the list and the watch is shown by a real API server only
		i.await("the watch of "+resource, func() bool {
			return slices.ContainsFunc(i.kube.Actions(), func(a clienttesting.Action) bool { return a.Matches("watch", resource) })
		})
	}
	i.setBundle(nil)
	i.await("the bundle to be restored", func() bool { return len(i.bundle()) > 0 && a.Ready(nil) == nil })
	i.deleteSecret()
	i.await("the Secret to be restored", func() bool {
		_, err := i.kube.CoreV1().Secrets(namespace).Get(t.Context(), certs.DefaultNames().Secret, metav1.GetOptions{})
		return err == nil
	})
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// await polls a condition.
func (i install) await(what string, done func() bool) {
	i.Helper()
	deadline := time.After(20 * time.Second)
	for !done() {
		select {
		case <-deadline:
			i.Fatalf("waited too long for %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// expiry is when the served certificate ends.
func expiry(k *certs.Keeper) time.Time {
	certificate, err := k.GetCertificate(nil)
	if err != nil {
		return time.Time{}
	}
	return certificate.Leaf.NotAfter
}
