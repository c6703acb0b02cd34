package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
)

// Names that a self-signed certificate is bound to; they are those of the manifests.
const (
	ServiceName = "autoscaler"
	SecretName  = "autoscaler-webhook"
	ConfigName  = "autoscale.io"
)

// SelfSigned keeps one certificate in a Secret, shared by all replicas, and the authorities to trust in the webhook configuration. Each replica takes the same
// steps, and the API server's version check lets one of them win; see advance for the steps.
type SelfSigned struct {
	Kube      kubernetes.Interface
	Namespace string
	Log       logr.Logger
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time

	mu sync.Mutex
	// served is the certificate of new connections; nil before the first.
	served *pair
	// bundle is what the webhook configuration was last seen to trust; nil when it was not seen.
	bundle []byte
	// published is since when this process has seen that very bundle published.
	published time.Time
}

var _ healthz.Checker = (*SelfSigned)(nil).Ready

func (s *SelfSigned) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

func (s *SelfSigned) host() string { return ServiceName + "." + s.Namespace + ".svc" }

// GetCertificate serves the newest certificate to every new connection.
func (s *SelfSigned) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if served := s.serving(); served != nil {
		return served.certificate, nil
	}
	return nil, errors.New("the webhook has no certificate yet")
}

func (s *SelfSigned) serving() *pair {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.served
}

// Expiry is when the served certificate ends; the zero time when there is none.
func (s *SelfSigned) Expiry() time.Time {
	if served := s.serving(); served != nil {
		return served.leaf.NotAfter
	}
	return time.Time{}
}

// Ready is a healthz.Checker: it says why the API server would not accept the served certificate. A webhook configuration that was never seen is no reason:
// then nobody calls.
func (s *SelfSigned) Ready(*http.Request) error {
	s.mu.Lock()
	served, bundle := s.served, s.bundle
	s.mu.Unlock()
	if served == nil {
		return errors.New("the webhook has no certificate yet")
	}
	if bundle == nil {
		return nil
	}
	if err := served.trustedBy(parseBundle(bundle), s.host(), s.now()); err != nil {
		return fmt.Errorf("the webhook configuration %s does not trust the webhook's certificate: %w", ConfigName, err)
	}
	return nil
}

// Ensure makes the Secret, the bundle and the served certificate right, as far as each can be: a bundle that cannot be published does not keep
// the certificate from being served.
func (s *SelfSigned) Ensure(ctx context.Context) error {
	config, errConfig := s.config(ctx)
	m, err := s.keepSecret(ctx)
	if err != nil {
		return errors.Join(err, errConfig)
	}
	if config != nil {
		errConfig = s.publish(ctx, config, encodeBundle(m.trusted))
	}
	s.mu.Lock()
	s.served = m.current
	s.mu.Unlock()
	return errConfig
}

// config reads the webhook configuration and notes what it trusts.
func (s *SelfSigned) config(ctx context.Context) (*admissionregistrationv1.MutatingWebhookConfiguration, error) {
	config, err := s.Kube.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(ctx, ConfigName, metav1.GetOptions{})
	if err != nil {
		if apierrors.IsNotFound(err) {
			s.note(nil)
		}
		return nil, fmt.Errorf("read the webhook configuration %s: %w", ConfigName, err)
	}
	s.note(bundleOf(config))
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

func (s *SelfSigned) note(bundle []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.published.IsZero() || !bytes.Equal(s.bundle, bundle) {
		s.published = s.now()
	}
	s.bundle = bundle
}

// settled says whether the whole bundle has been published long enough.
func (s *SelfSigned) settled(trusted []*x509.Certificate) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bundle != nil && bytes.Equal(s.bundle, encodeBundle(trusted)) && s.now().Sub(s.published) >= settle
}

// keepSecret takes the next step of the rotation, if there is one, and returns what the Secret holds then. Replicas that lose the race read what the
// winner wrote.
func (s *SelfSigned) keepSecret(ctx context.Context) (material, error) {
	var m material
	lost := func(err error) bool {
		return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err)
	}
	err := retry.OnError(retry.DefaultRetry, lost, func() error {
		secret, err := s.readSecret(ctx)
		if err != nil {
			return err
		}
		before := readMaterial(secret)
		m, err = advance(before, circumstances{host: s.host(), now: s.now(), served: s.serving(), settled: s.settled(before.trusted), make: makePair})
		if err != nil || m.equal(before) {
			return err
		}
		s.Log.Info("the webhook's certificate moves on", "serves until", m.current.leaf.NotAfter, "successor waits", m.next != nil, "authorities", len(m.trusted))
		return s.writeSecret(ctx, secret, m)
	})
	if err != nil {
		return m, fmt.Errorf("keep the webhook's certificate in Secret %s/%s: %w", s.Namespace, SecretName, err)
	}
	return m, nil
}

// injectors are annotations by which somebody else keeps the bundle; two writers would fight for ever.
func injectors() []string {
	return []string{"cert-manager.io/inject-ca-from", "cert-manager.io/inject-ca-from-secret", "service.beta.openshift.io/inject-cabundle"}
}

// publish puts the bundle into the webhook configuration where it is not there yet.
func (s *SelfSigned) publish(ctx context.Context, config *admissionregistrationv1.MutatingWebhookConfiguration, bundle []byte) error {
	for _, injector := range injectors() {
		if _, ok := config.Annotations[injector]; ok {
			return fmt.Errorf("the webhook configuration %s has the annotation %s, so another program keeps its bundle: remove it, or use --certs=files with a certificate of that program", ConfigName, injector)
		}
	}
	type operation struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value"`
	}
	var patch []operation
	for i, hook := range config.Webhooks {
		if !bytes.Equal(hook.ClientConfig.CABundle, bundle) {
			patch = append(patch,
				operation{"test", fmt.Sprintf("/webhooks/%d/name", i), hook.Name},
				operation{"add", fmt.Sprintf("/webhooks/%d/clientConfig/caBundle", i), bundle})
		}
	}
	if len(patch) == 0 {
		return nil
	}
	data, err := json.Marshal(patch)
	if err != nil {
		return fmt.Errorf("encode the bundle: %w", err)
	}
	configs := s.Kube.AdmissionregistrationV1().MutatingWebhookConfigurations()
	if _, err := configs.Patch(ctx, ConfigName, types.JSONPatchType, data, metav1.PatchOptions{FieldManager: "autoscale.io"}); err != nil {
		return fmt.Errorf("write the bundle into the webhook configuration %s: %w", ConfigName, err)
	}
	s.note(bundle)
	return nil
}
