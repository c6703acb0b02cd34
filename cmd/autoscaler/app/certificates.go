package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"path/filepath"
	"time"

	certmanagerclient "github.com/cert-manager/cert-manager/pkg/client/clientset/versioned/typed/certmanager/v1"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"autoscale.io/webhook/certs"
)

// The sources of the webhook's certificate.
const (
	certsAuto        = "auto"
	certsCertManager = "cert-manager"
	certsSelfSigned  = "self-signed"
	certsFiles       = "files"
)

func (o *Options) addCertificateFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.Certs, "certs", o.Certs, "where the webhook's certificate comes from: cert-manager (which issues it, and whose cainjector keeps the bundle), self-signed (kept in a Secret and renewed), auto (cert-manager where it is installed and delivers, also later; else self-signed) or files (tls.crt and tls.key in --cert-dir, reloaded when they change)")
	flags.StringVar(&o.CertDir, "cert-dir", o.CertDir, "folder of the webhook's certificate, for --certs=files")
	flags.StringSliceVar(&o.CertHosts, "cert-hosts", o.CertHosts, "names and addresses that the webhook's certificate is good for beside the Service's, for a webhook configuration with a url; not for --certs=files")
	flags.DurationVar(&o.CertRotation.Duration, "cert-duration", o.CertRotation.Duration,
		"how long a new certificate of the webhook lasts; cert-manager makes it an hour at least")
	flags.DurationVar(&o.CertRotation.RenewBefore, "cert-renew-before", o.CertRotation.RenewBefore,
		"how long before its end the webhook's certificate is renewed")
	flags.DurationVar(&o.CertRotation.Settle, "cert-settle", o.CertRotation.Settle,
		"how long the API servers have to take notice of a new authority before a certificate of it is served; "+
			"both sides of a change between cert-manager and self-signed stay trusted for ten times that")
	flags.StringVar(&o.WebhookNames.Config, "webhook-config", o.WebhookNames.Config, "name of the webhook configuration; a second install in the cluster needs one of its own")
	flags.StringVar(&o.WebhookNames.Service, "webhook-service", o.WebhookNames.Service, "name of the Service that the webhook is reached by")
	flags.StringVar(&o.WebhookNames.Secret, "webhook-secret", o.WebhookNames.Secret, "name of the Secret that the webhook's certificate is kept in; cert-manager's objects are named after it")
}

// getCertificate answers a handshake, or says what it would be answered with when there is none.
type getCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)

// addCertificates keeps the webhook's certificate, and its metric.
func addCertificates(mgr manager.Manager, w wiring) (getCertificate, error) {
	get, run, ready, err := w.certificates(mgr)
	if err != nil {
		return nil, err
	}
	if err := mgr.Add(everyReplica(run)); err != nil {
		return nil, fmt.Errorf("set up the webhook's certificate: %w", err)
	}
	if err := mgr.AddReadyzCheck("certificate", told(mgr.GetLogger(), "certificate", ready)); err != nil {
		return nil, fmt.Errorf("set up the probes: %w", err)
	}
	expiry := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "autoscale_webhook_certificate_expiry_timestamp_seconds",
		Help: "Unix time at which the certificate that the webhook serves ends; 0 while it has none.",
	}, func() float64 {
		certificate, err := get(nil)
		if err != nil {
			return 0
		}
		return float64(certificate.Leaf.NotAfter.Unix())
	})
	if err := metrics.Registry.Register(expiry); err != nil {
		return nil, fmt.Errorf("register the webhook's metrics: %w", err)
	}
	return get, nil
}

// certificates returns the source that the flags choose: how to get the certificate, what keeps it, and whether it is in order.
func (w wiring) certificates(mgr manager.Manager) (getCertificate, func(context.Context) error, healthz.Checker, error) {
	o := w.options
	setup := certs.Setup{
		Kube: w.Kube, Namespace: o.Namespace, Names: o.WebhookNames, Hosts: o.CertHosts, Rotation: o.CertRotation,
		Log: mgr.GetLogger().WithName("webhook"),
	}
	switch o.Certs {
	case certsFiles:
		watcher, err := certwatcher.New(filepath.Join(o.CertDir, "tls.crt"), filepath.Join(o.CertDir, "tls.key"))
		if err != nil {
			return nil, nil, nil, fmt.Errorf("--certs=files: read tls.crt and tls.key in --cert-dir: %w", err)
		}
		return watcher.GetCertificate, watcher.WithWatchInterval(filesInterval).Start, healthz.Ping, nil
	case certsSelfSigned, certsAuto:
		setup.SelfSigned = true
	case certsCertManager:
	default:
		return nil, nil, nil, fmt.Errorf("--certs: got %q, want %s, %s, %s or %s", o.Certs, certsAuto, certsCertManager, certsSelfSigned, certsFiles)
	}
	if o.Certs != certsSelfSigned {
		client, err := certmanagerclient.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
		if err != nil {
			return nil, nil, nil, fmt.Errorf("set up the clients: %w", err)
		}
		setup.CertManager = client
	}
	if err := setup.Validate(); err != nil {
		return nil, nil, nil, err
	}
	keeper := certs.NewKeeper(setup)
	return keeper.GetCertificate, keeper.Run, keeper.Ready, nil
}

// filesInterval is the time between two looks at the files; changes are seen at once where the file system tells.
const filesInterval = 10 * time.Second
