package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/kubernetes"

	"autoscale.io/e2e/cluster"
	"autoscale.io/e2e/product"
	"autoscale.io/scalers/scalertest/ports"
	"autoscale.io/scalers/scalertest/servers"
)

// lab is what a part is measured on.
type lab struct {
	dir      string
	binary   string
	progress io.Writer
	pace     pace
	report   *Report
	rng      *rand.Rand

	cluster  *cluster.Cluster
	kube     kubernetes.Interface
	redis    *servers.Redis
	postgres *servers.Postgres
	product  *product.Product
	audit    *auditLog
	// profiles is a folder for profiles, empty for none.
	profiles string
	// pprof is where the autoscaler's profiles are.
	pprof string
	ends  product.Ends
}

// metricResolution is how often metrics-server measures.
const metricResolution = 15 * time.Second

func newLab(dir, binary string, o Options, report *Report) *lab {
	return &lab{
		dir: dir, binary: binary, progress: o.Progress, pace: o.pace(), profiles: o.Profiles, report: report,
		rng: rand.New(rand.NewPCG(report.Seed, 1)), audit: newAuditLog(filepath.Join(dir, "audit.log")),
	}
}

// measure runs a part on a cluster of its own, unless it needs none.
func (l *lab) measure(ctx context.Context, p part) (err error) {
	began := time.Now()
	defer func() {
		err = errors.Join(err, l.ends.Stop())
		l.say("%s took %s", p.name, time.Since(began).Round(time.Second))
	}()
	if !p.inProcess {
		if err := l.start(ctx); err != nil {
			return err
		}
	}
	return p.run(ctx, l)
}

func (l *lab) start(ctx context.Context) error {
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{l.startCluster, l.startServers, l.install} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (l *lab) startCluster(ctx context.Context) error {
	policy := filepath.Join(l.dir, "audit.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	c, err := cluster.Start(ctx, cluster.Options{
		Progress: l.progress, MetricsServer: true, MetricResolution: metricResolution,
		Args: map[string][]string{
			cluster.APIServer: {"--audit-policy-file=" + policy, "--audit-log-path=" + l.audit.path, "--audit-log-mode=blocking"},
			// Thousands of workloads are created in a minute; by its own limits the controller manager would take many.
			cluster.ControllerManager: {"--kube-api-qps=1000", "--kube-api-burst=2000", "--concurrent-deployment-syncs=20", "--concurrent-replicaset-syncs=20"},
			cluster.Scheduler:         {"--kube-api-qps=1000", "--kube-api-burst=2000"},
		},
	})
	if err != nil {
		return err
	}
	l.cluster = c
	l.ends.Add(c.Stop)
	l.kube, err = kubernetes.NewForConfig(c.Config())
	return err
}

func (l *lab) startServers(ctx context.Context) (err error) {
	if l.redis, err = servers.StartRedis(ctx, servers.RedisOptions{}); err != nil {
		return err
	}
	l.ends.Add(func() error { l.redis.Stop(); return nil })
	if l.postgres, err = servers.StartPostgres(ctx, servers.PostgresOptions{}); err != nil {
		return err
	}
	l.ends.Add(func() error { l.postgres.Stop(); return nil })
	return nil
}

func (l *lab) install(ctx context.Context) (err error) {
	if l.product, err = product.Install(ctx, l.cluster, l.binary, l.dir); err != nil {
		return err
	}
	address, err := ports.Reserve()
	if err != nil {
		return err
	}
	l.pprof = address.String()
	return nil
}

// with runs the autoscaler as the install of a class while measure measures.
func (l *lab) with(ctx context.Context, class string, measure func(a *product.Autoscaler) error) error {
	a, err := l.startScaler(ctx, class)
	if err != nil {
		return err
	}
	err = measure(a)
	if err != nil {
		err = fmt.Errorf("%w\nthe end of the autoscaler's log:\n%s", err, a.LogTail())
	}
	return errors.Join(err, a.Stop())
}

func (l *lab) startScaler(ctx context.Context, class string) (*product.Autoscaler, error) {
	args := []string{"--log-level=warn", "--pprof-bind-address=" + l.pprof}
	if class != "" {
		args = append(args, "--class="+class)
	}
	return l.product.Start(ctx, "autoscaler-"+class, args...)
}

func (l *lab) say(format string, args ...any) {
	fmt.Fprintf(l.progress, "bench: "+format+"\n", args...)
}
