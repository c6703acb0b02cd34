package certs

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"

	apiutil "github.com/cert-manager/cert-manager/pkg/api/util"
	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metacm "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	certmanagerclient "github.com/cert-manager/cert-manager/pkg/client/clientset/versioned/typed/certmanager/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/cert"

	"autoscale.io/annotations"
	"autoscale.io/e2e/product"
	"autoscale.io/e2e/world"
)

// issuedSecret is where cert-manager keeps what it issues for the webhook.
const issuedSecret = product.CertificateSecret + "-tls"

func certsCases() []world.Case {
	return []world.Case{
		{ID: "WH-auto", Symptom: "cert-manager is installed or removed, and the webhook's certificate stays with what was there at the start", Holds: "it follows in both directions, and renewals too, and no call is lost", In: world.Soak, Alone: true, Run: followsCertManager},
		{ID: "WH-certs", Symptom: "the install's own rights are too few to make the webhook's certificate", Holds: "a self-signed certificate is made, kept and trusted with the shipped rights", In: world.Test, Alone: true, Run: selfSigned},
		{ID: "WH-04", Symptom: "an upgrade or a replace wipes the caBundle", Holds: "applying again leaves it alone; a replace is repaired in seconds", In: world.Test, Run: bundleWiped},
		{ID: "WH-05", Symptom: "the certificate is made anew, and running pods go on with the old one", Holds: "what is there is kept; where the Secret is deleted, a new one is served without a restart and without a lost call", In: world.Test, Run: secretDeleted},
		{ID: "WH-06", Symptom: "the certificate was loaded once at the start and expires in memory", Holds: "it is renewed again and again under 50 creations a second, none of them lost", In: world.Soak, Weight: 6, Run: renewedUnderLoad},
		{ID: "WH-06-files", Symptom: "files are read in the middle of a change, or cannot be read, and the webhook dies", Holds: "the last good pair is served and its end is a metric", In: world.Test, Run: tornFiles},
		{ID: "WH-07", Symptom: "a conflict delays the bundle while replicas show the new certificate already", Holds: "no replica is ahead of the bundle, and one that it does not vouch for is not ready", In: world.Test, Run: conflictInRotation},
		{ID: "WH-08", Symptom: "two writers overwrite each other's caBundle for ever", Holds: "whoever is not asked stops writing and says so; two installs do not touch each other", In: world.Test, Run: twoWriters},
		{ID: "WH-09", Symptom: "each replica makes its own certificate at an install", Holds: "three that start at once serve one, and a kill between the two writes heals", In: world.Test, Run: oneCertificate},
		{ID: "WH-10", Symptom: "the injector is late and the bundle stays empty", Holds: "it starts, says what is missing, works by the sweep and heals", In: world.Test, Run: injectorAway},
	}
}

// followsCertManager installs, uses and removes cert-manager while objects are created.
func followsCertManager(t *testing.T, w *world.World) {
	m := certManager(w, t)
	i := newInstall(w, "Fail", "--certs=auto", "--cert-settle=500ms")
	a := i.start("a")
	i.start("b")
	i.awaitLog(a, "cert-manager is not installed: the API server does not serve cert-manager.io/v1")
	i.awaitServedFrom(product.CertificateSecret)
	load, trust := i.load(20*time.Millisecond), i.watchTrust()
	if err := errors.Join(m.Define(t.Context()), m.Controller.Start(t.Context()), m.Injector.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	issued := i.awaitServedFrom(issuedSecret)
	i.awaitInjected()
	// A renewal as by cmctl renew, and one of the authority above it.
	i.renew(product.CertificateSecret)
	issued = i.awaitSuccessor(issued)
	i.renew(product.CertificateSecret + "-ca")
	i.renew(product.CertificateSecret)
	i.awaitSuccessor(issued)
	if err := m.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	i.awaitServedFrom(product.CertificateSecret)
	i.awaitOwnBundle()
	load.wantNoneLost()
	trust.wantTrusted(i)
	for _, a := range i.running() {
		if err := a.Ready(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// awaitInjected waits until cainjector, asked by the annotation, has written the bundle and cert-manager's authority is in it. What was there before may stay:
// cainjector adds to a bundle.
func (i *install) awaitInjected() {
	i.T.Helper()
	i.Await("cainjector keeps the bundle", 2*world.Soon, func(ctx context.Context) error {
		config, bundle, err := i.bundle(ctx, issuedSecret)
		if err != nil {
			return err
		}
		if got, want := config.Annotations[certmanagerv1.WantInjectAnnotation], i.name+"/"+product.CertificateSecret; got != want {
			return fmt.Errorf("the annotation is %q, want %q", got, want)
		}
		if !slices.ContainsFunc(config.ManagedFields, func(f metav1.ManagedFieldsEntry) bool { return f.Manager == "cert-manager-cainjector" }) {
			return fmt.Errorf("the bundle has %d authorities, and cainjector has not written it", len(bundle))
		}
		return nil
	})
}

// awaitOwnBundle waits until nobody else is asked for the bundle and it is the authority of the self-signed certificate alone.
func (i *install) awaitOwnBundle() {
	i.T.Helper()
	i.Await("the bundle is self-signed alone", 2*world.Soon, func(ctx context.Context) error {
		config, bundle, err := i.bundle(ctx, product.CertificateSecret)
		if err != nil {
			return err
		}
		if got, ok := config.Annotations[certmanagerv1.WantInjectAnnotation]; ok || len(bundle) != 1 {
			return fmt.Errorf("the annotation is %q and the bundle has %d authorities", got, len(bundle))
		}
		return nil
	})
}

// bundle reads the webhook configuration and what it trusts, which must be good for the certificate in a Secret.
func (i *install) bundle(ctx context.Context, secret string) (*admissionregistrationv1.MutatingWebhookConfiguration, []*x509.Certificate, error) {
	config, err := i.config(ctx)
	if err != nil {
		return nil, nil, err
	}
	bundle, err := cert.ParseCertsPEM(config.Webhooks[0].ClientConfig.CABundle)
	if err != nil {
		return nil, nil, err
	}
	leaf, _, err := i.certificateIn(ctx, secret)
	if err != nil {
		return nil, nil, err
	}
	if !slices.ContainsFunc(bundle, func(authority *x509.Certificate) bool { return leaf.CheckSignatureFrom(authority) == nil }) {
		return nil, nil, fmt.Errorf("the bundle does not vouch for the certificate in Secret %s", secret)
	}
	return config, bundle, nil
}

// renew asks cert-manager to issue a certificate anew, and waits until it has.
func (i *install) renew(name string) {
	i.T.Helper()
	client, err := certmanagerclient.NewForConfig(i.Cluster.Config())
	if err != nil {
		i.T.Fatal(err)
	}
	certificates := client.Certificates(i.name)
	before := 0
	i.Await("cert-manager takes the wish to renew "+name, world.Soon, func(ctx context.Context) error {
		one, err := certificates.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if one.Status.Revision == nil {
			return errors.New("it has not been issued yet")
		}
		before = *one.Status.Revision
		apiutil.SetCertificateCondition(one, one.Generation, certmanagerv1.CertificateConditionIssuing, metacm.ConditionTrue, "ManuallyTriggered", "Certificate re-issuance manually triggered")
		_, err = certificates.UpdateStatus(ctx, one, metav1.UpdateOptions{})
		return err
	})
	i.Await("cert-manager has renewed "+name, world.Soon, func(ctx context.Context) error {
		one, err := certificates.Get(ctx, name, metav1.GetOptions{})
		if err == nil && *one.Status.Revision <= before {
			err = fmt.Errorf("it is at revision %d still", before)
		}
		return err
	})
}

// injectorAway installs with --certs=cert-manager where the controller issues and nobody fills the bundle.
func injectorAway(t *testing.T, w *world.World) {
	m := certManager(w, t)
	if err := errors.Join(m.Define(t.Context()), m.Controller.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	i := newInstall(w, "", "--certs=cert-manager", "--cert-settle=1s")
	a := i.launch("a")
	missing := fmt.Sprintf("the webhook configuration %s does not trust the certificate of cert-manager, as its annotation cert-manager.io/inject-ca-from asks: see whether cert-manager's cainjector runs", i.name)
	i.awaitLog(a, missing)
	i.awaitUnready(a)
	i.awaitLog(a, fmt.Sprintf("the webhook configuration %s does not trust the webhook's certificate: x509: certificate signed by unknown authority", i.name))
	if err := a.Alive(t.Context()); err != nil {
		t.Errorf("it asks to be restarted: %v", err)
	}
	i.wantAdopted("meanwhile")
	if err := m.Injector.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	i.awaitReady(a)
	i.wantStamped("afterwards")
	i.awaitServedFrom(issuedSecret)
	i.awaitInjected()
}

// awaitUnready waits until readiness fails for the certificate, and for nothing else.
func (i *install) awaitUnready(a *product.Autoscaler) {
	i.T.Helper()
	want := regexp.MustCompile(`/readyz: 500 Internal Server Error: \[-\]certificate failed: reason withheld\n\[\+\]ping ok\n\[\+\]webhook ok\nhealthz check failed\n$`)
	i.Await(a.Name()+" is not ready", world.Soon, func(ctx context.Context) error {
		err := a.Ready(ctx)
		if err == nil {
			return errors.New("it is ready")
		}
		if !want.MatchString(err.Error()) {
			return fmt.Errorf("it says %q, want it to match %s", err, want)
		}
		return nil
	})
}

// wantAdopted creates an object that no webhook sees, and waits until the loop has found and scaled it.
func (i *install) wantAdopted(name string) {
	i.T.Helper()
	stream := i.Stream(name)
	i.Group(i.Redis.Client(), stream, "0")
	i.Add(i.Redis.Client(), stream, 10)
	created := i.Create(name, 0, world.Quick(world.Settings{"class": i.name, "trigger.orders": i.Trigger(stream, world.Group)}))
	if got := created.Labels[annotations.Bucket]; got != "" {
		i.T.Errorf("the webhook has been called: %s has the label %q", name, got)
	}
	i.AwaitReplicas(name, 2, world.Soon)
}

// wantStamped creates an object that the webhook must see.
func (i *install) wantStamped(name string) {
	i.T.Helper()
	d := i.idle(name)
	got, err := i.Kube.AppsV1().Deployments(i.Namespace).Create(i.T.Context(), d, metav1.CreateOptions{})
	if err != nil {
		i.T.Fatal(err)
	}
	if got.Labels[annotations.Bucket] != i.label(d) {
		i.T.Errorf("the webhook has not been called: %s has the label %q, want %q", name, got.Labels[annotations.Bucket], i.label(d))
	}
}

// expiry is what the metric says of a replica's certificate.
func (i *install) expiry(ctx context.Context, a *product.Autoscaler) (time.Time, error) {
	text, err := a.Metrics(ctx)
	return time.Unix(int64(world.Sample(text, "autoscale_webhook_certificate_expiry_timestamp_seconds")), 0), err
}

// wantExpiry waits until the metric is the end of that certificate.
func (i *install) wantExpiry(a *product.Autoscaler, leaf *x509.Certificate) {
	i.T.Helper()
	i.Await("the metric says when the certificate ends", world.Soon, func(ctx context.Context) error {
		got, err := i.expiry(ctx, a)
		if err == nil && !got.Equal(leaf.NotAfter) {
			err = fmt.Errorf("it says %s, want %s", got, leaf.NotAfter)
		}
		return err
	})
}
