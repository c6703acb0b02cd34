package certs

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/cert-manager/cert-manager/pkg/apis/certmanager"
	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metacm "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	apply "github.com/cert-manager/cert-manager/pkg/client/applyconfigurations/certmanager/v1"
	applymeta "github.com/cert-manager/cert-manager/pkg/client/applyconfigurations/meta/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// certManagerRights is what an installer may leave out.
const certManagerRights = "manifests/role-cert-manager.yaml"

const (
	// authorityDuration is how long the authority in cert-manager lasts. Its key stays the same when it is renewed, so that what it signed before is still trusted.
	authorityDuration = 10 * 365 * 24 * time.Hour
	// issuedLeast is the shortest duration that cert-manager takes.
	issuedLeast = time.Hour
	// rightsPause is the time between two tries to use rights that were refused.
	rightsPause = 5 * time.Minute
)

// issuedSource has cert-manager issue certificates: a self-signed issuer signs an authority, and that signs what is served.
type issuedSource struct {
	setup Setup
	// last is what cert-manager last delivered; nil before.
	last *pair
	// applied says that the objects were applied since this process started.
	applied bool
	// retry is when to try again after a refusal.
	retry time.Time
	// said is what was last logged.
	said string
}

var _ source = (*issuedSource)(nil)

// keep returns nil, and says why in the log, while cert-manager is not installed, may not be used or has not delivered.
func (s *issuedSource) keep(ctx context.Context, _ func([]*x509.Certificate) bool) (*offer, error) {
	served, err := s.served()
	if err != nil {
		return s.offer(), fmt.Errorf("ask whether cert-manager is installed: %w", err)
	}
	if !served {
		s.last, s.applied = nil, false
		return nil, s.without("cert-manager is not installed: the API server does not serve " + certmanagerv1.SchemeGroupVersion.String())
	}
	if err := s.read(ctx); err != nil {
		return s.offer(), err
	}
	if err := s.order(ctx); err != nil {
		return s.offer(), err
	}
	if s.overdue() {
		return nil, s.without(fmt.Sprintf("cert-manager has not delivered: see the status of Certificate %s/%s", s.setup.Namespace, s.setup.Names.Secret))
	}
	s.tell("")
	return s.offer(), nil
}

// without reports that nothing is offered. It is a fault only where nothing else is.
func (s *issuedSource) without(why string) error {
	if !s.setup.SelfSigned {
		return errors.New(why)
	}
	s.tell(why)
	return nil
}

// tell logs a change.
func (s *issuedSource) tell(text string) {
	if text != "" && text != s.said {
		s.setup.Log.Info("the webhook's certificate is self-signed", "why", text)
	}
	s.said = text
}

func (s *issuedSource) offer() *offer {
	if s.last == nil {
		return nil
	}
	return &offer{pair: s.last, trusted: []*x509.Certificate{s.last.authority}, injected: true}
}

// overdue says that what was last delivered must not be relied on any longer: a renewal is so late that others have to take over.
func (s *issuedSource) overdue() bool {
	now := s.setup.Now()
	return !s.last.usable(s.setup.hosts(), now) || s.last.dueWithin(s.lifetimes().RenewBefore/2, now)
}

// served asks for the API.
func (s *issuedSource) served() (bool, error) {
	list, err := s.setup.Kube.Discovery().ServerResourcesForGroupVersion(certmanagerv1.SchemeGroupVersion.String())
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil && len(list.APIResources) > 0, err
}

// read takes what the Secret holds, if it can be used; the last good certificate is kept otherwise.
func (s *issuedSource) read(ctx context.Context) error {
	name := s.setup.Names.issuedSecret()
	secret, err := s.setup.Kube.CoreV1().Secrets(s.setup.Namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case apierrors.IsForbidden(err) && s.setup.SelfSigned:
		return nil // order says so
	case err != nil:
		return fmt.Errorf("read the webhook's certificate in Secret %s/%s: %w", s.setup.Namespace, name, err)
	}
	p, err := issuedPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey], secret.Data[metacm.TLSCAKey])
	if err != nil {
		return fmt.Errorf("read the webhook's certificate in Secret %s/%s: %w", s.setup.Namespace, name, err)
	}
	if p.usable(s.setup.hosts(), s.setup.Now()) {
		s.last = p
	}
	return nil
}

// order applies the objects when the process starts, and when what they should bring is missing or late.
func (s *issuedSource) order(ctx context.Context) error {
	now := s.setup.Now()
	due := !s.last.usable(s.setup.hosts(), now) || s.last.dueWithin(s.lifetimes().RenewBefore, now)
	if s.applied && !due || now.Before(s.retry) {
		return nil
	}
	err := s.apply(ctx)
	if apierrors.IsForbidden(err) && s.setup.SelfSigned {
		s.retry = now.Add(rightsPause)
		s.setup.Log.Info("cert-manager is not used, since this account may not; apply "+certManagerRights+" to have it issue the webhook's certificate", "error", err.Error())
		return nil
	}
	if err != nil {
		return fmt.Errorf("order the webhook's certificate from cert-manager: %w", err)
	}
	s.applied = true
	return nil
}

// lifetimes are the rotation as far as cert-manager takes it.
func (s *issuedSource) lifetimes() RotationConfig {
	t := s.setup.Rotation
	if t.Duration < issuedLeast {
		t.Duration, t.RenewBefore = issuedLeast, issuedLeast/3
	}
	return t
}

// Names of cert-manager's objects, after the Secret of the install.
func (n Names) issuedSecret() string { return n.Secret + "-tls" }
func (n Names) authority() string    { return n.Secret + "-ca" }
func (n Names) root() string         { return n.Secret + "-self-signed" }

func (s *issuedSource) apply(ctx context.Context) error {
	options := metav1.ApplyOptions{FieldManager: fieldManager, Force: true}
	issuers := s.setup.CertManager.Issuers(s.setup.Namespace)
	certificates := s.setup.CertManager.Certificates(s.setup.Namespace)
	for _, issuer := range s.issuers() {
		if _, err := issuers.Apply(ctx, issuer, options); err != nil {
			return err
		}
	}
	for _, certificate := range s.certificates() {
		if _, err := certificates.Apply(ctx, certificate, options); err != nil {
			return err
		}
	}
	return nil
}

func (s *issuedSource) issuers() []*apply.IssuerApplyConfiguration {
	n, namespace := s.setup.Names, s.setup.Namespace
	return []*apply.IssuerApplyConfiguration{
		apply.Issuer(n.root(), namespace).WithSpec(apply.IssuerSpec().WithSelfSigned(apply.SelfSignedIssuer())),
		apply.Issuer(n.Secret, namespace).WithSpec(apply.IssuerSpec().WithCA(apply.CAIssuer().WithSecretName(n.authority()))),
	}
}

func (s *issuedSource) certificates() []*apply.CertificateApplyConfiguration {
	n, namespace, lifetimes := s.setup.Names, s.setup.Namespace, s.lifetimes()
	key := func(policy certmanagerv1.PrivateKeyRotationPolicy) *apply.CertificatePrivateKeyApplyConfiguration {
		return apply.CertificatePrivateKey().WithAlgorithm(certmanagerv1.ECDSAKeyAlgorithm).WithSize(256).WithRotationPolicy(policy)
	}
	issuer := func(name string) *applymeta.IssuerReferenceApplyConfiguration {
		return applymeta.IssuerReference().WithGroup(certmanager.GroupName).WithKind(certmanagerv1.IssuerKind).WithName(name)
	}
	names, addresses := splitHosts(s.setup.hosts())
	served := apply.CertificateSpec().WithSecretName(n.issuedSecret()).WithIssuerRef(issuer(n.Secret)).WithPrivateKey(key(certmanagerv1.RotationPolicyAlways)).
		WithDuration(metav1.Duration{Duration: lifetimes.Duration}).WithRenewBefore(metav1.Duration{Duration: lifetimes.RenewBefore}).
		WithUsages(certmanagerv1.UsageDigitalSignature, certmanagerv1.UsageServerAuth).WithDNSNames(names...)
	for _, address := range addresses {
		served.WithIPAddresses(address.String())
	}
	return []*apply.CertificateApplyConfiguration{
		apply.Certificate(n.authority(), namespace).WithSpec(apply.CertificateSpec().
			WithIsCA(true).WithCommonName(n.authority()).WithSecretName(n.authority()).WithIssuerRef(issuer(n.root())).
			WithPrivateKey(key(certmanagerv1.RotationPolicyNever)).WithDuration(metav1.Duration{Duration: authorityDuration})),
		apply.Certificate(n.Secret, namespace).WithSpec(served),
	}
}
