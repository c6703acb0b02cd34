package certs

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	certutil "k8s.io/client-go/util/cert"

	"autoscale.io/e2e/product"
	"autoscale.io/e2e/world"
)

// short is a tempo at which a certificate is renewed when it is 10 s old and ends 30 s later: time enough on a busy machine.
func short() []string {
	return []string{"--certs=self-signed", "--cert-duration=40s", "--cert-renew-before=30s", "--cert-settle=500ms"}
}

// renewedUnderLoad lets certificates be renewed until the first ones have ended.
func renewedUnderLoad(t *testing.T, w *world.World) {
	const renewals = 4
	i := newInstall(w, "Fail", short()...)
	a := i.start("a")
	i.start("b")
	first := i.awaitServedFrom(product.CertificateSecret)
	load, trust := i.load(20*time.Millisecond), i.watchTrust()
	leaf := first
	for range renewals {
		leaf = i.awaitSuccessor(leaf)
	}
	if now := time.Now(); !now.After(first.NotAfter) {
		t.Errorf("the first certificate lasts until %s, so nothing was put to the test", first.NotAfter)
	}
	i.wantExpiryAhead(a)
	load.wantNoneLost()
	trust.wantTrusted(i)
	// One while nothing is renewed, two in between: the old authority stays for a day, so here it is one more each time.
	if sizes := trust.sizes(); !slices.IsSorted(sizes) || sizes[len(sizes)-1] < renewals+1 {
		t.Errorf("the bundles had %v authorities, want one more with each renewal", sizes)
	}
}

func (i *install) wantExpiryAhead(a *product.Autoscaler) {
	i.T.Helper()
	got, err := i.expiry(i.T.Context(), a)
	if err != nil {
		i.T.Fatal(err)
	}
	if left := time.Until(got); left < 0 || left > 41*time.Second {
		i.T.Errorf("the metric says that the certificate ends in %s, want between 0 and 40s", left)
	}
}

// tornFiles serves certificates from files that are not always whole.
func tornFiles(t *testing.T, w *world.World) {
	dir := t.TempDir()
	crt, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	certA, keyA := pair(w)
	certB, keyB := pair(w)
	write(w, crt, certA)
	write(w, key, keyA)
	i := newInstall(w, "Fail", "--certs=files", "--cert-dir="+dir)
	a := i.start("a")
	i.trustBy(slices.Concat(certA, certB))
	first := i.awaitServed("the pair in the files is served", nothing)
	i.wantExpiry(a, first)
	load, trust := i.load(50*time.Millisecond), i.watchTrust()
	i.wantKept(a, first, "a new key with the old certificate", func() { write(w, key, keyB) })
	i.wantKept(a, first, "half a certificate", func() { write(w, crt, certB[:len(certB)/2]) })
	i.wantKept(a, first, "a file that is not there", func() {
		if err := os.Remove(crt); err != nil {
			t.Fatal(err)
		}
	})
	write(w, crt, certB)
	second := i.awaitSuccessor(first)
	i.wantExpiry(a, second)
	load.wantNoneLost()
	trust.wantTrusted(i)
}

// pair makes a certificate as a user would.
func pair(w *world.World) (certPEM, keyPEM []byte) {
	w.T.Helper()
	certPEM, keyPEM, err := certutil.GenerateSelfSignedCertKey(host, []net.IP{net.ParseIP(host)}, nil)
	if err != nil {
		w.T.Fatal(err)
	}
	return certPEM, keyPEM
}

func write(w *world.World, path string, content []byte) {
	w.T.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		w.T.Fatal(err)
	}
}

// wantKept spoils the files, waits until that was noticed, and wants the certificate served on.
func (i *install) wantKept(a *product.Autoscaler, good *x509.Certificate, what string, spoil func()) {
	i.T.Helper()
	failures := func(ctx context.Context) (float64, error) {
		text, err := a.Metrics(ctx)
		return world.Sample(text, "certwatcher_read_certificate_errors_total"), err
	}
	before, err := failures(i.T.Context())
	if err != nil {
		i.T.Fatal(err)
	}
	spoil()
	i.Await(what+" has been noticed", world.Soon, func(ctx context.Context) error {
		now, err := failures(ctx)
		if err == nil && now <= before {
			err = fmt.Errorf("%v failures to read the files", now)
		}
		return err
	})
	if leaf := i.awaitServed("the last good pair", nothing); !leaf.Equal(good) {
		i.T.Errorf("with %s, another certificate is served", what)
	}
	i.wantExpiry(a, good)
}

// trustBy writes the bundle, which is the user's with --certs=files.
func (i *install) trustBy(bundle []byte) {
	i.T.Helper()
	config := i.mustConfig()
	for n := range config.Webhooks {
		config.Webhooks[n].ClientConfig.CABundle = bundle
	}
	i.update(config)
}

// conflictInRotation has three replicas whose writes of the webhook configuration meet a conflict while a renewal is due.
func conflictInRotation(t *testing.T, w *world.World) {
	i := newInstall(w, "Fail", "--certs=self-signed", "--cert-duration=60s", "--cert-renew-before=54s", "--cert-settle=1s")
	var proxies []*world.APIProxy
	conflicts := func(on bool) {
		for _, p := range proxies {
			p.Conflicts.Store(on)
		}
	}
	conflicted := func() (total int64) {
		for _, p := range proxies {
			total += p.Conflicted.Load()
		}
		return total
	}
	for _, name := range []string{"a", "b", "c"} {
		p, flag := i.behindProxy()
		proxies = append(proxies, p)
		i.launch(name, flag)
	}
	i.awaitReady(i.running()...)
	i.awaitServedFrom(product.CertificateSecret)
	load, trust := i.load(100*time.Millisecond), i.watchTrust()
	conflicts(true)
	var waiting *x509.Certificate
	w.Await("the successor waits, and its authority cannot be published", world.Soon, func(ctx context.Context) error {
		_, secret, err := i.certificateIn(ctx, product.CertificateSecret)
		switch {
		case err != nil:
			return err
		case secret.Data["next.crt"] == nil:
			return errors.New("there is no successor yet")
		case conflicted() < 15: // several tries of each replica
			return fmt.Errorf("%d conflicts so far", conflicted())
		}
		chain, err := certutil.ParseCertsPEM(secret.Data["next.crt"])
		if err == nil {
			waiting = chain[0]
		}
		return err
	})
	leaf := i.awaitServed("what is trusted", nothing)
	if leaf.Equal(waiting) {
		t.Error("the replicas serve the successor before its authority could be published")
	}
	conflicts(false)
	i.awaitSuccessor(leaf)
	load.wantNoneLost()
	trust.wantTrusted(i)
	// What the bundle does not vouch for is not ready.
	conflicts(true)
	i.trustBy(i.authorityOfSomebodyElse())
	for _, a := range i.running() {
		i.awaitUnready(a)
	}
	conflicts(false)
	i.awaitReady(i.running()...)
	i.awaitServed("what is trusted", nothing)
}
