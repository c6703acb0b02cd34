package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Cluster is a running control plane. Its methods may be called from several goroutines.
type Cluster struct {
	// The parts, each to be disturbed at will. MetricsServer is nil unless it was asked for.
	Etcd, APIServer, ControllerManager, Scheduler, KWOK, MetricsServer *Process

	options    Options
	dir        string
	ports      addresses
	ca         *authority
	config     *rest.Config
	client     kubernetes.Interface
	kubeconfig string

	mu    sync.Mutex
	parts []*Process // in the order of their start
}

func (c *Cluster) addPart(p *Process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parts = append(c.parts, p)
}

// Start brings up a cluster and returns once the API server is ready, the controllers and the scheduler are healthy, the
// nodes are Ready and the default namespace has its service account. ctx limits the start, not the cluster's life: end
// that with Stop. After an error nothing is left running.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	options.setDefaults()
	if options.Binaries.Dir == "" {
		binaries, err := Build(ctx, BuildOptions{Progress: options.Progress})
		if err != nil {
			return nil, err
		}
		options.Binaries = binaries
	}
	c := &Cluster{options: options}
	err := c.prepare()
	if err == nil {
		err = c.run(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("starting the cluster: %w", errors.Join(err, c.Stop()))
	}
	return c, nil
}

// prepare makes all that the parts read: folders, ports, keys, certificates, kubeconfigs.
func (c *Cluster) prepare() error {
	if err := c.makeDir(); err != nil {
		return err
	}
	err := c.ports.reserve()
	if err != nil {
		return err
	}
	if c.ca, err = newAuthority(c.path("pki")); err != nil {
		return err
	}
	if err := writeServiceAccountKey(c.path("pki/sa.key")); err != nil {
		return err
	}
	return c.makeParts()
}

func (c *Cluster) makeDir() error {
	if c.options.Dir == "" {
		dir, err := os.MkdirTemp("", "autoscale-cluster-")
		if err != nil {
			return err
		}
		c.dir = dir
	} else {
		dir, err := filepath.Abs(c.options.Dir)
		if err != nil {
			return err
		}
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if len(entries) > 0 {
			return fmt.Errorf("%s is not empty; name an empty or absent folder", dir)
		}
		c.dir = dir
	}
	for _, sub := range []string{"pki", "logs", "kwok"} {
		if err := os.MkdirAll(c.path(sub), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// run starts the parts. etcd and the API server come first; the rest only need the API server.
func (c *Cluster) run(ctx context.Context) error {
	for _, part := range []*Process{c.Etcd, c.APIServer} {
		if err := part.Start(ctx); err != nil {
			return err
		}
	}
	group, groupCtx := errgroup.WithContext(ctx)
	for _, part := range []*Process{c.ControllerManager, c.Scheduler, c.KWOK} {
		group.Go(func() error { return part.Start(groupCtx) })
	}
	group.Go(func() error { return c.createNodes(groupCtx) })
	group.Go(func() error { return c.startMetricsServer(groupCtx) })
	if err := group.Wait(); err != nil {
		return err
	}
	if err := c.awaitNodes(ctx); err != nil {
		return err
	}
	if err := c.awaitServiceAccount(ctx, "default"); err != nil {
		return err
	}
	if c.MetricsServer == nil {
		return nil
	}
	return c.awaitMetrics(ctx)
}

// Stop kills all parts and removes the cluster's folder, unless [Options.Keep]. It may be called again.
func (c *Cluster) Stop() error {
	var errs []error
	// Killed, last started first: the data goes anyway, and a polite end takes the API server seconds.
	for _, part := range slices.Backward(c.Parts()) {
		errs = append(errs, part.Kill())
	}
	c.ports.release()
	if c.dir != "" && !c.options.Keep {
		errs = append(errs, os.RemoveAll(c.dir))
	}
	return errors.Join(errs...)
}

// Dir is the folder with everything the cluster writes: logs, certificates, kubeconfigs, data.
func (c *Cluster) Dir() string { return c.dir }

// Parts are all parts of the cluster, in the order of their start.
func (c *Cluster) Parts() []*Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*Process(nil), c.parts...)
}

func (c *Cluster) path(name string) string { return filepath.Join(c.dir, name) }
