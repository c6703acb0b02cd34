package world

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"
	"k8s.io/client-go/kubernetes"

	"autoscale.io/e2e/cluster"
	"autoscale.io/e2e/product"
	"autoscale.io/e2e/rights"
	"autoscale.io/scalers/scalertest/servers"
)

// common is what all cases share: one cluster, one autoscaler, one Redis.
type common struct {
	Cluster *cluster.Cluster
	Product *product.Product
	Kube    kubernetes.Interface

	autoscaler *product.Autoscaler
	redis      *servers.Redis
	// kubectl is the path of the real one.
	kubectl string
	// units limits how many cases run at a time, by their weights; there are total.
	units *semaphore.Weighted
	total int64
	excused
	scrapers
}

// excused says which refused requests of the autoscaler are no fault.
type excused struct {
	mu sync.Mutex
	// starts are those of the API server since the first: it refuses everything until it has read its roles.
	starts []span
	// namespaces are those of cases that are marked as refused.
	namespaces []string
}

type span struct{ from, until time.Time }

func (s span) holds(at time.Time) bool { return !at.Before(s.from) && !at.After(s.until) }

// shared is set by Main before the first test.
var shared *common //nolint:gochecknoglobals // TestMain has no other way to hand it to the tests

// Main starts the cluster, the autoscaler and Redis, runs the tests and stops everything, also after an interrupt. It
// returns the exit code.
func Main(m *testing.M) int {
	flag.Parse()
	// Weights limit how many cases run at a time.
	if err := flag.Set("test.parallel", "1000"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

func run(m *testing.M) (code int, err error) {
	// An interrupt ends what is being started. Later ones reach go test, which ends this process, and the processes of
	// the cluster end with it.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "autoscale-cases-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	requests, audit, err := rights.NewLog(dir, Account)
	if err != nil {
		return 1, err
	}
	var ends product.Ends
	defer func() { err = errors.Join(err, ends.Stop()) }()
	if shared, err = start(ctx, dir, audit, &ends); err != nil {
		return 1, err
	}
	stop()
	code = m.Run()
	if code != 0 {
		fmt.Fprintln(os.Stderr, "the end of the autoscaler's log:\n"+shared.autoscaler.LogTail())
	}
	return code, errors.Join(cleanLog(shared.autoscaler.Log()), shared.nothingRefused(requests))
}

// start starts what the cases share; dir is for its files.
func start(ctx context.Context, dir string, audit []string, ends *product.Ends) (*common, error) {
	binaries, err := cluster.Build(ctx, cluster.BuildOptions{Progress: os.Stderr})
	if err != nil {
		return nil, err
	}
	c := &common{kubectl: binaries.Path(cluster.Kubectl), total: int64(4 * runtime.NumCPU())}
	c.units = semaphore.NewWeighted(c.total)
	c.Cluster, err = cluster.Start(ctx, cluster.Options{
		Binaries: binaries, MetricsServer: true, MetricResolution: 10 * time.Second, HPASyncPeriod: time.Second,
		// With their default limits the controllers would be a minute behind after a case with a thousand Deployments.
		Args: map[string][]string{cluster.APIServer: audit, cluster.ControllerManager: {"--kube-api-qps=1000", "--kube-api-burst=2000"}},
	})
	if err != nil {
		return nil, err
	}
	ends.Add(c.Cluster.Stop)
	if c.redis, err = servers.StartRedis(ctx, servers.RedisOptions{}); err != nil {
		return nil, err
	}
	ends.Add(func() error { c.redis.Stop(); return nil })
	if c.Kube, err = kubernetes.NewForConfig(c.Cluster.Config()); err != nil {
		return nil, err
	}
	binary, err := product.BuildForTests(ctx, dir, os.Stderr)
	if err != nil {
		return nil, err
	}
	if c.Product, err = product.Install(ctx, c.Cluster, binary, dir); err != nil {
		return nil, err
	}
	if err := c.Cluster.Apply(ctx, []byte(extraRole)); err != nil {
		return nil, err
	}
	if c.autoscaler, err = c.Product.Start(ctx, "autoscaler", Flags()...); err != nil {
		return nil, err
	}
	ends.Add(c.autoscaler.Stop)
	return c, nil
}

// RunCases runs cases as subtests named by their IDs. Those that run alone come first.
func RunCases(t *testing.T, cases []Case) {
	slices.SortStableFunc(cases, func(a, b Case) int { return int(shared.weight(b) - shared.weight(a)) })
	for _, alone := range []bool{true, false} {
		for _, c := range cases {
			if c.Alone != alone {
				continue
			}
			t.Run(c.ID, func(t *testing.T) {
				if !alone {
					t.Parallel()
				}
				shared.run(t, c)
			})
		}
	}
}

// run runs one case when there is room for it.
func (c *common) run(t *testing.T, one Case) {
	t.Helper()
	weight := c.weight(one)
	if err := c.units.Acquire(t.Context(), weight); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	t.Cleanup(func() { // after the subtests
		c.units.Release(weight)
		// Without the time in which the case waited for room, which go test counts too.
		t.Logf("took %.1fs", time.Since(began).Seconds())
	})
	one.Run(t, c.enter(t, one))
}

func (c *common) weight(one Case) int64 { return min(max(int64(one.Weight), 1), c.total) }

// nothingRefused looks for requests that the permissions of the autoscaler did not allow, in cases that do not take
// any away.
func (c *common) nothingRefused(log *rights.Log) error {
	requests, err := log.Read()
	if err != nil {
		return err
	}
	var faults []error
	for _, r := range requests {
		if r.Denied && !r.Asked && !c.excuses(r) {
			faults = append(faults, fmt.Errorf("the autoscaler was refused at %s: %s in namespace %q", r.At.Format(time.TimeOnly), r.Grant, r.Namespace))
		}
	}
	return errors.Join(faults...)
}

func (e *excused) excuses(r rights.Request) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.starts, func(s span) bool { return s.holds(r.At) }) ||
		slices.Contains(e.namespaces, r.Namespace)
}

func (e *excused) addStart(s span) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.starts = append(e.starts, s)
}

func (e *excused) excuse(namespace string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.namespaces = append(e.namespaces, namespace)
}

// cleanLog looks for what no case may cause: a panic, or with GOFLAGS=-race a data race.
func cleanLog(path string) error {
	log, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, word := range []string{"DATA RACE", "panic"} {
		if at := strings.Index(string(log), word); at >= 0 {
			return fmt.Errorf("the autoscaler's log has %q:\n%s", word, log[max(0, at-500):min(len(log), at+3000)])
		}
	}
	return nil
}
