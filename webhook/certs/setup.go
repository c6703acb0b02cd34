package certs

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/kubernetes"

	certmanagerclient "github.com/cert-manager/cert-manager/pkg/client/clientset/versioned/typed/certmanager/v1"
)

// fieldManager owns what the webhook writes.
const fieldManager = "autoscale.io"

// Names are those of the objects of one install. Two installs in a cluster need names of their own for what is not namespaced.
type Names struct {
	// Service is what the API server reaches the webhook by, in the install's namespace.
	Service string
	// Secret keeps the certificate that is made here. cert-manager's objects are named after it.
	Secret string
	// Config is the webhook configuration.
	Config string
}

// DefaultNames are those of the manifests.
func DefaultNames() Names {
	return Names{Service: "autoscaler", Secret: "autoscaler-webhook", Config: "autoscale.io"}
}

// Setup says for what a Keeper keeps certificates, and how. Kube, Namespace and one of the two sources are required.
type Setup struct {
	Kube kubernetes.Interface
	// SelfSigned makes certificates here, and keeps them in a Secret.
	SelfSigned bool
	// CertManager is the way to cert-manager, which is preferred. Defaults to none.
	CertManager certmanagerclient.CertmanagerV1Interface
	Namespace   string
	// Names defaults to DefaultNames.
	Names Names
	// Hosts are names and addresses that certificates are good for, beside the Service's. Defaults to none.
	Hosts    []string
	Rotation RotationConfig
	Log      logr.Logger
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

func (s Setup) withDefaults() Setup {
	if s.Names == (Names{}) {
		s.Names = DefaultNames()
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	s.Rotation = s.Rotation.withDefaults()
	return s
}

// Validate names what cannot be, by the flags of the command.
func (s Setup) Validate() error {
	d := s.withDefaults()
	switch {
	case s.Rotation.Duration < 0 || s.Rotation.RenewBefore < 0 || s.Rotation.Settle < 0:
		return errors.New("--cert-duration, --cert-renew-before, --cert-settle: want no negative duration")
	case d.Rotation.RenewBefore >= d.Rotation.Duration:
		return fmt.Errorf("--cert-renew-before: got %s, want less than --cert-duration, which is %s", d.Rotation.RenewBefore, d.Rotation.Duration)
	case d.Names.Service == "" || d.Names.Secret == "" || d.Names.Config == "":
		return errors.New("--webhook-service, --webhook-secret, --webhook-config: want a name for each")
	}
	return nil
}

// hosts are all that certificates are good for; the API server asks for the first.
func (s Setup) hosts() []string {
	return append([]string{s.Names.Service + "." + s.Namespace + ".svc"}, s.Hosts...)
}

// injected is our value of cert-manager's annotation on the webhook configuration.
func (s Setup) injected() string { return s.Namespace + "/" + s.Names.Secret }
