package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
)

// source is where certificates come from.
type source interface {
	// keep does what is due and returns what there is to serve; nil when there is nothing yet, which is no fault. settled says whether all of some authorities
	// have been published for as long as the API servers need.
	keep(ctx context.Context, settled func(trusted []*x509.Certificate) bool) (*offer, error)
}

// Keeper keeps the certificate that this process serves, and what the webhook configuration trusts, in order. Its sources make or fetch certificates; it
// takes the steps from one to the next, see rollover.
type Keeper struct {
	setup Setup
	// sources are the best first.
	sources []source

	mu sync.Mutex
	// served is the certificate of new connections; nil before the first.
	served *pair
	// bundle is what the webhook configuration was last seen to trust; nil when it was not seen.
	bundle []byte
	// injector is who else was last seen to keep it.
	injector injector
	// published is since when this process has seen that very bundle published, and in the hands of the same keeper.
	published time.Time
}

var _ healthz.Checker = (*Keeper)(nil).Ready

// NewKeeper returns a Keeper that has no certificate before its first Ensure.
func NewKeeper(setup Setup) *Keeper {
	k := &Keeper{setup: setup.withDefaults()}
	if setup.CertManager != nil {
		k.sources = append(k.sources, &issuedSource{setup: k.setup})
	}
	if setup.SelfSigned {
		k.sources = append(k.sources, &secretSource{setup: k.setup})
	}
	return k
}

// GetCertificate serves the newest certificate that is trusted to every new connection.
func (k *Keeper) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if served := k.serving(); served != nil {
		return served.certificate, nil
	}
	return nil, errors.New("the webhook has no certificate yet")
}

func (k *Keeper) serving() *pair {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.served
}

// Ready is a healthz.Checker: it says why the API server would not accept the served certificate. A webhook configuration that was never seen is no reason:
// then nobody calls.
func (k *Keeper) Ready(*http.Request) error {
	k.mu.Lock()
	served, bundle := k.served, k.bundle
	k.mu.Unlock()
	if served == nil {
		return errors.New("the webhook has no certificate yet")
	}
	if bundle == nil {
		return nil
	}
	if err := served.trustedBy(parseBundle(bundle), k.setup.hosts(), k.setup.Now()); err != nil {
		return fmt.Errorf("the webhook configuration %s does not trust the webhook's certificate: %w", k.setup.Names.Config, err)
	}
	return nil
}

// Ensure makes what the sources keep, the bundle and the served certificate right, as far as each can be: a bundle that cannot be published does not keep
// the certificate from being served.
func (k *Keeper) Ensure(ctx context.Context) error {
	config, errConfig := k.config(ctx)
	offers, errSources := k.offers(ctx)
	s := k.input(config, offers)
	s.uncertain = errSources != nil
	next := rollover(s)
	errStep := errConfig
	if config != nil {
		errStep = k.take(ctx, config, next)
	}
	k.mu.Lock()
	k.served = next.serve
	k.mu.Unlock()
	return errors.Join(errSources, errStep)
}

func (k *Keeper) offers(ctx context.Context) ([]*offer, error) {
	var offers []*offer
	var errs []error
	for _, s := range k.sources {
		offered, err := s.keep(ctx, k.settled)
		errs = append(errs, err)
		if offered != nil {
			offers = append(offers, offered)
		}
	}
	return offers, errors.Join(errs...)
}

func (k *Keeper) input(config *admissionregistrationv1.MutatingWebhookConfiguration, offers []*offer) rolloverInput {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.setup.Now()
	s := rolloverInput{
		hosts: k.setup.hosts(), now: now, rotation: k.setup.Rotation, offers: offers, delegated: !k.setup.SelfSigned, served: k.served,
		seen: k.bundle != nil, bundle: parseBundle(k.bundle), quiet: now.Sub(k.published),
	}
	if config != nil {
		s.injector, _ = k.injectorOf(config)
	}
	return s
}

// config reads the webhook configuration and notes what it trusts.
func (k *Keeper) config(ctx context.Context) (*admissionregistrationv1.MutatingWebhookConfiguration, error) {
	config, err := k.setup.Kube.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(ctx, k.setup.Names.Config, metav1.GetOptions{})
	if err != nil {
		if apierrors.IsNotFound(err) {
			k.note(nil, injectorNone)
		}
		return nil, fmt.Errorf("read the webhook configuration %s: %w", k.setup.Names.Config, err)
	}
	who, _ := k.injectorOf(config)
	k.note(bundleOf(config), who)
	return config, nil
}

// bundleOf is the bundle that all webhooks of the configuration have; empty when they differ.
func bundleOf(config *admissionregistrationv1.MutatingWebhookConfiguration) []byte {
	bundle := []byte{}
	for i, hook := range config.Webhooks {
		if i > 0 && !bytes.Equal(hook.ClientConfig.CABundle, bundle) {
			return []byte{}
		}
		bundle = append([]byte{}, hook.ClientConfig.CABundle...)
	}
	return bundle
}

func (k *Keeper) note(bundle []byte, who injector) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.published.IsZero() || !bytes.Equal(k.bundle, bundle) || k.injector != who {
		k.published = k.setup.Now()
	}
	k.bundle, k.injector = bundle, who
}

// settled says whether all of these authorities have been published long enough.
func (k *Keeper) settled(trusted []*x509.Certificate) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(trusted) > 0 && holdsAll(parseBundle(k.bundle), trusted) && k.setup.Now().Sub(k.published) >= k.setup.Rotation.Settle
}
