package app

import (
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/pflag"

	"autoscale.io/scaling/controller"
	"autoscale.io/scaling/shards"
	"autoscale.io/webhook/certs"
)

// Options are the flags of the autoscaler.
type Options struct {
	Kubeconfig    string
	Namespace     string
	Identity      string
	Class         string
	Kinds         []string
	SweepInterval time.Duration
	Lease         shards.Times
	// MetricResolution is how often pod metrics are read at most.
	MetricResolution time.Duration
	// EgressAllow and EgressDeny are CIDRs that scalers may and may not connect to, beside package egress's own list.
	EgressAllow, EgressDeny []string

	Webhook      bool
	WebhookHost  string
	WebhookPort  int
	Certs        string
	CertDir      string
	CertHosts    []string
	CertRotation certs.RotationConfig
	// WebhookNames are those of the objects that the certificate is for.
	WebhookNames certs.Names

	MetricsBindAddress     string
	HealthProbeBindAddress string
	PprofBindAddress       string
	LogLevel               string
}

// DefaultOptions are those of an install in a cluster.
func DefaultOptions() Options {
	return Options{
		Namespace:     os.Getenv("POD_NAMESPACE"),
		Kinds:         controller.DefaultKinds(),
		SweepInterval: 3 * time.Minute,
		Lease:         shards.DefaultTimes(),

		MetricResolution: 15 * time.Second,

		Webhook: true, WebhookPort: 9443, Certs: certsAuto, CertDir: "/tmp/autoscaler-certs",
		CertRotation: certs.RotationConfig{Duration: 365 * 24 * time.Hour, RenewBefore: 90 * 24 * time.Hour, Settle: 30 * time.Second},
		WebhookNames: certs.DefaultNames(),

		MetricsBindAddress: ":8080", HealthProbeBindAddress: ":8081",
		LogLevel: "info",
	}
}

// AddFlags declares a flag for each option, with the present value as its default.
func (o *Options) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.Kubeconfig, "kubeconfig", o.Kubeconfig, "kubeconfig to use outside of a cluster; the usual places when empty")
	flags.StringVar(&o.Namespace, "namespace", o.Namespace, "the autoscaler's own namespace, for leases and certificates; $POD_NAMESPACE when empty")
	flags.StringVar(&o.Identity, "identity", o.Identity, "name of this process among those that share the leases; it must be unique, and the same after a crash, so that the process need not wait for its own leases. The pod's name in a cluster; made up when empty")
	flags.StringVar(&o.Class, "class", o.Class, "manage only workloads whose autoscale.io/class annotation is this, so that several installs can share a cluster")
	flags.StringSliceVar(&o.Kinds, "kinds", o.Kinds, "kinds to manage, as RESOURCE.GROUP; each but jobs.batch and cronjobs.batch needs a scale subresource. Those two are left out where the account may not list and patch Jobs. A custom kind whose definition is not installed is managed from when it is")
	flags.DurationVar(&o.SweepInterval, "sweep-interval", o.SweepInterval, "time between two sweeps for workloads that the webhook missed")
	flags.DurationVar(&o.Lease.Duration, "lease-duration", o.Lease.Duration, "how long the workloads of a replica that died wait for another")
	flags.DurationVar(&o.Lease.RenewDeadline, "lease-renew-deadline", o.Lease.RenewDeadline, "when a replica that cannot renew its Lease stops writing")
	flags.DurationVar(&o.Lease.RetryPeriod, "lease-retry-period", o.Lease.RetryPeriod, "time between two renewals of a replica's Lease")
	flags.DurationVar(&o.MetricResolution, "metric-resolution", o.MetricResolution, "how often metrics-server measures (its flag of the same name); the cpu and memory of pods are read no oftener")
	flags.StringSliceVar(&o.EgressAllow, "egress-allow", o.EgressAllow, "CIDRs that triggers may connect to although they are refused by default: loopback, link-local and multicast addresses and cloud metadata services; never the API server")
	flags.StringSliceVar(&o.EgressDeny, "egress-deny", o.EgressDeny, "CIDRs that triggers may not connect to, as well; wins over --egress-allow")
	flags.BoolVar(&o.Webhook, "webhook", o.Webhook, "serve the mutating webhook; without it the loop alone adopts workloads, by the sweep")
	flags.StringVar(&o.WebhookHost, "webhook-host", o.WebhookHost, "address that the webhook listens on; all when empty")
	flags.IntVar(&o.WebhookPort, "webhook-port", o.WebhookPort, "port that the webhook listens on")
	o.addCertificateFlags(flags)
	flags.StringVar(&o.MetricsBindAddress, "metrics-bind-address", o.MetricsBindAddress, "address of the metrics; 0 turns them off")
	flags.StringVar(&o.HealthProbeBindAddress, "health-probe-bind-address", o.HealthProbeBindAddress, "address of /healthz and /readyz; 0 turns them off")
	flags.StringVar(&o.PprofBindAddress, "pprof-bind-address", o.PprofBindAddress, "address of Go's profiles (/debug/pprof), such as localhost:6060; off when empty")
	flags.StringVar(&o.LogLevel, "log-level", o.LogLevel, "debug, info, warn or error")
}

func (o *Options) logLevel() (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.LogLevel)); err != nil {
		return level, fmt.Errorf("--log-level: got %q, want debug, info, warn or error", o.LogLevel)
	}
	return level, nil
}

func (o *Options) validate() error {
	if o.Namespace == "" {
		return fmt.Errorf("--namespace: missing; want the namespace that the autoscaler runs in (or $POD_NAMESPACE)")
	}
	if err := o.Lease.Validate(); err != nil {
		return fmt.Errorf("--lease-duration, --lease-renew-deadline, --lease-retry-period: %w", err)
	}
	if o.MetricResolution <= 0 {
		return fmt.Errorf("--metric-resolution: got %s, want more than 0s, such as 15s", o.MetricResolution)
	}
	if _, err := o.egressPolicy(); err != nil {
		return err
	}
	if len(o.Kinds) == 0 {
		return fmt.Errorf("--kinds: empty; want at least one, such as deployments.apps")
	}
	return nil
}

// identity is the name among those that share the leases.
func (o *Options) identity() (string, error) {
	if o.Identity != "" {
		return o.Identity, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("find the name of this host for the leases: %w", err)
	}
	return host + "_" + uuid.NewString(), nil
}
