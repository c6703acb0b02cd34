package certs

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/yaml"

	"autoscale.io/e2e/cluster"
	"autoscale.io/e2e/product"
	"autoscale.io/e2e/world"
)

// nothing asks nothing more of a certificate than that it is trusted.
func nothing(context.Context, *x509.Certificate) error { return nil }

// update writes a webhook configuration over whatever has changed since it was read.
func (i *install) update(config *admissionregistrationv1.MutatingWebhookConfiguration) {
	i.T.Helper()
	config = config.DeepCopy()
	configs := i.Kube.AdmissionregistrationV1().MutatingWebhookConfigurations()
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		now, err := i.config(i.T.Context())
		if err != nil {
			return err
		}
		config.ResourceVersion = now.ResourceVersion
		_, err = configs.Update(i.T.Context(), config, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		i.T.Fatal(err)
	}
}

func (i *install) authorityOfSomebodyElse() []byte {
	i.T.Helper()
	certPEM, _ := pair(i.World)
	return certPEM
}

// bundleWiped installs the same manifests again and again, as upgrades and GitOps tools do.
func bundleWiped(t *testing.T, w *world.World) {
	const times, repaired = 5, 5 * time.Second
	i := newInstall(w, "Fail", "--certs=self-signed", "--cert-settle=1s")
	i.start("a")
	i.start("b")
	leaf := i.awaitServedFrom(product.CertificateSecret)
	all, config := i.manifests()
	changed := i.withText(config, "timeoutSeconds: 2", "timeoutSeconds: 3")
	load, trust := i.load(50*time.Millisecond), i.watchTrust()
	for range times {
		for _, file := range []string{all, changed} {
			if out, err := i.kubectl("apply", file); err != nil {
				t.Fatal(out, err)
			}
		}
	}
	i.applyAsInstaller(all)
	if lost, _, _ := load.hole(time.Time{}); lost > 0 {
		t.Errorf("applying the manifests again lost %d calls", lost)
	}
	trust.wantTrusted(i)
	if len(trust.bundles) != 1 {
		t.Errorf("applying the manifests again made %d bundles, want the one that was there", len(trust.bundles))
	}
	began := time.Now()
	for range times {
		wiped := time.Now()
		if out, err := i.kubectl("replace", config); err != nil {
			t.Fatal(out, err)
		}
		i.awaitServed("the bundle is back", nothing)
		if took := time.Since(wiped); took > repaired {
			t.Errorf("the bundle was back after %s, want at most %s", took, repaired)
		}
	}
	load.stop()
	lost, from, until := load.hole(began)
	t.Logf("%d of %d calls were lost by %d times kubectl replace, from %s to %s", lost, load.made, times, from.Format(time.TimeOnly), until.Format(time.TimeOnly))
	if lost == 0 {
		t.Error("kubectl replace did not wipe the bundle, so nothing was put to the test")
	}
	i.wantStamped("afterwards")
	if got := i.mustCertificateIn(product.CertificateSecret); !got.Equal(leaf) {
		t.Error("the certificate has been made anew")
	}
}

// kubectl runs the real one on a file in the install's own namespace.
func (i *install) kubectl(verb, file string) (string, error) {
	return i.KubectlArgs(verb, "-f", file, "--namespace="+i.name)
}

// manifests are files with all that the install applies, and with its webhook configuration alone.
func (i *install) manifests() (all, config string) {
	i.T.Helper()
	text, err := i.spec.Objects(i.T.Context())
	if err != nil {
		i.T.Fatal(err)
	}
	objects, err := cluster.Decode(text)
	if err != nil {
		i.T.Fatal(err)
	}
	n := slices.IndexFunc(objects, func(o *unstructured.Unstructured) bool { return o.GetKind() == "MutatingWebhookConfiguration" })
	hook, err := yaml.Marshal(objects[n])
	if err != nil {
		i.T.Fatal(err)
	}
	dir := i.T.TempDir()
	all, config = filepath.Join(dir, "all.yaml"), filepath.Join(dir, "config.yaml")
	if err := errors.Join(os.WriteFile(all, text, 0o600), os.WriteFile(config, hook, 0o600)); err != nil {
		i.T.Fatal(err)
	}
	return all, config
}

// withText is a copy of a manifest in which a text is another.
func (i *install) withText(manifest, old, text string) string {
	i.T.Helper()
	content, err := os.ReadFile(manifest)
	if err != nil {
		i.T.Fatal(err)
	}
	if !strings.Contains(string(content), old) {
		i.T.Fatalf("there is no %q in\n%s", old, content)
	}
	path := filepath.Join(i.T.TempDir(), "changed.yaml")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(content), old, text)), 0o600); err != nil {
		i.T.Fatal(err)
	}
	return path
}

// applyAsInstaller applies a manifest with server-side apply, as the install did.
func (i *install) applyAsInstaller(manifest string) {
	i.T.Helper()
	content, err := os.ReadFile(manifest)
	if err == nil {
		err = i.Cluster.Apply(i.T.Context(), content)
	}
	if err != nil {
		i.T.Fatal(err)
	}
}

// secretDeleted applies the manifests again and then deletes the Secret, under the replicas that serve it.
func secretDeleted(t *testing.T, w *world.World) {
	i := newInstall(w, "Fail", "--certs=self-signed", "--cert-settle=1s")
	a, b := i.start("a"), i.start("b")
	pids := []int{a.PID(), b.PID()}
	first := i.awaitServedFrom(product.CertificateSecret)
	load, trust := i.load(50*time.Millisecond), i.watchTrust()
	all, _ := i.manifests()
	if out, err := i.kubectl("apply", all); err != nil {
		t.Fatal(out, err)
	}
	if got := i.mustCertificateIn(product.CertificateSecret); !got.Equal(first) {
		t.Error("applying the manifests again has made another certificate")
	}
	i.deleteSecret()
	i.awaitSuccessor(first)
	i.awaitServedFrom(product.CertificateSecret)
	load.wantNoneLost()
	trust.wantTrusted(i)
	if sizes := trust.sizes(); !slices.Equal(sizes, []int{1, 2}) {
		t.Errorf("the bundles had %v authorities, want first the old one and then both", sizes)
	}
	if now := []int{a.PID(), b.PID()}; !slices.Equal(now, pids) || len(i.running()) != 2 {
		t.Errorf("the processes were %v and are %v, want them not restarted", pids, now)
	}
}

func (i *install) deleteSecret() {
	i.T.Helper()
	if err := i.Kube.CoreV1().Secrets(i.name).Delete(i.T.Context(), product.CertificateSecret, metav1.DeleteOptions{}); err != nil {
		i.T.Fatal(err)
	}
}

// twoWriters has somebody else keep the bundle, and then two installs beside each other.
func twoWriters(t *testing.T, w *world.World) {
	i := newInstall(w, "", "--certs=self-signed", "--cert-settle=1s")
	a := i.start("a")
	i.awaitServedFrom(product.CertificateSecret)
	other := second(w, i)
	theirs, theirConfig := other.mustCertificateIn(product.CertificateSecret), other.mustConfig()

	// cainjector is asked for another certificate, and does its part.
	config := i.mustConfig()
	config.Annotations = map[string]string{"cert-manager.io/inject-ca-from": "security/webhook"}
	foreign := i.authorityOfSomebodyElse()
	config.Webhooks[0].ClientConfig.CABundle = foreign
	i.update(config)
	i.awaitLog(a, fmt.Sprintf("the webhook configuration %s has the annotation cert-manager.io/inject-ca-from, so another program keeps its bundle: remove it, or use --certs=files with a certificate of that program", i.name))
	i.awaitUnready(a)
	// Each new Secret is a look at everything, which would have written the bundle.
	for range 2 {
		i.deleteSecret()
		i.awaitSecret()
	}
	if got := i.mustConfig(); string(got.Webhooks[0].ClientConfig.CABundle) != string(foreign) || got.Generation != config.Generation+1 {
		t.Errorf("the bundle of another program has been overwritten: generation %d → %d", config.Generation+1, got.Generation)
	}
	config.Annotations = nil
	i.update(config)
	i.awaitReady(a)
	i.awaitServed("what is trusted", nothing)
	i.wantStamped("afterwards")

	if got := other.mustConfig(); got.ResourceVersion != theirConfig.ResourceVersion {
		t.Error("the webhook configuration of the other install has been written to")
	}
	if got := other.mustCertificateIn(product.CertificateSecret); !got.Equal(theirs) {
		t.Error("the certificate of the other install has changed")
	}
}

// second is another install in the cluster, with a replica.
func second(w *world.World, first *install) *install {
	w.T.Helper()
	name, err := w.Cluster.Namespace(w.T.Context(), "wh-08")
	if err != nil {
		w.T.Fatal(err)
	}
	apart := *w
	apart.Namespace = name
	w.T.Cleanup(func() {
		if err := w.Cluster.DeleteNamespace(context.Background(), name); err != nil {
			w.T.Error(err)
		}
	})
	i := newInstall(&apart, "", first.flags...)
	i.start("a")
	i.awaitServedFrom(product.CertificateSecret)
	return i
}

// awaitSecret waits until the autoscaler has made the Secret again.
func (i *install) awaitSecret() {
	i.T.Helper()
	i.Await("the Secret is made again", world.Soon, func(ctx context.Context) error {
		_, _, err := i.certificateIn(ctx, product.CertificateSecret)
		return err
	})
}

// oneCertificate starts three replicas at once where there is nothing yet, again and again, and then kills one between its two writes.
func oneCertificate(t *testing.T, w *world.World) {
	const rounds = 5
	i := newInstall(w, "Fail", "--certs=self-signed", "--cert-settle=1s")
	empty := i.mustConfig()
	fresh := func() {
		t.Helper()
		for _, a := range i.running() {
			if err := a.Stop(); err != nil {
				t.Fatal(err)
			}
		}
		i.update(empty)
		if err := i.Kube.CoreV1().Secrets(i.name).Delete(t.Context(), product.CertificateSecret, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
	}
	for round := range rounds {
		names := []string{fmt.Sprintf("a%d", round), fmt.Sprintf("b%d", round), fmt.Sprintf("c%d", round)}
		for _, name := range names {
			i.launch(name)
		}
		served := i.watchLeaves()
		i.awaitServedFrom(product.CertificateSecret)
		i.awaitReady(i.running()...)
		i.awaitOwnBundle()
		if n := served(); n != 1 {
			t.Errorf("in round %d the replicas have served %d certificates, want one from the first moment on", round, n)
		}
		i.wantStamped("round-" + names[0])
		fresh()
	}
	p, flag := i.behindProxy()
	p.Conflicts.Store(true)
	a := i.launch("killed", flag)
	i.awaitSecret()
	w.Await("it tries to write the bundle", world.Soon, func(context.Context) error {
		if p.Conflicted.Load() == 0 {
			return errors.New("it has not tried yet")
		}
		return nil
	})
	made := i.mustCertificateIn(product.CertificateSecret)
	if err := a.Kill(); err != nil {
		t.Fatal(err)
	}
	i.start("next")
	if leaf := i.awaitServedFrom(product.CertificateSecret); !leaf.Equal(made) {
		t.Error("the certificate that was made before the kill has been thrown away")
	}
	i.wantStamped("healed")
}
