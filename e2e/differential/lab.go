package differential

import (
	"context"
	"fmt"
	"io"
	"time"

	"k8s.io/client-go/kubernetes"

	"autoscale.io/e2e/cluster"
	"autoscale.io/e2e/product"
	"autoscale.io/scalers/scalertest/servers"
)

// syncPeriod is how often either side looks; ours cannot do so more often.
const syncPeriod = time.Second

// lab is what all scenarios share: one cluster, one autoscaler, one Redis, one server of metrics.
type lab struct {
	cluster  *cluster.Cluster
	scaler   *product.Autoscaler
	redis    *servers.Redis
	kube     kubernetes.Interface
	external *external
	watcher  *watcher
	readings *readings
	ends     product.Ends
}

// startLab starts everything; files go below dir, progress to w. What was started ends with stop, also after an error.
func startLab(ctx context.Context, dir string, w io.Writer) (*lab, error) {
	l := &lab{external: startExternal()}
	l.ends.Add(func() error { l.external.server.Close(); return nil })
	steps := []func(context.Context, string, io.Writer) error{l.startCluster, l.startRedis, l.startAutoscaler}
	for _, step := range steps {
		if err := step(ctx, dir, w); err != nil {
			return l, err
		}
	}
	return l, nil
}

func (l *lab) startCluster(ctx context.Context, _ string, w io.Writer) error {
	c, err := cluster.Start(ctx, cluster.Options{
		Progress: w, HPASyncPeriod: syncPeriod,
		// Each HPA has a worker of its own, or they would wait for each other.
		Args: map[string][]string{cluster.ControllerManager: {"--concurrent-horizontal-pod-autoscaler-syncs=100"}},
	})
	if err != nil {
		return err
	}
	l.cluster = c
	l.ends.Add(c.Stop)
	if l.kube, err = kubernetes.NewForConfig(c.Config()); err != nil {
		return err
	}
	if err := l.external.register(ctx, c, l.kube); err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	l.ends.Add(func() error { stop(); return nil })
	l.watcher, err = watch(watching, l.kube)
	return err
}

func (l *lab) startRedis(ctx context.Context, _ string, _ io.Writer) error {
	redis, err := servers.StartRedis(ctx, servers.RedisOptions{})
	if err != nil {
		return err
	}
	l.redis = redis
	l.ends.Add(func() error { redis.Stop(); return nil })
	return nil
}

func (l *lab) startAutoscaler(ctx context.Context, dir string, w io.Writer) error {
	binary, err := product.Build(ctx, dir, w)
	if err != nil {
		return err
	}
	p, err := product.Install(ctx, l.cluster, binary, dir)
	if err != nil {
		return err
	}
	if l.scaler, err = p.Start(ctx, "autoscaler", "--metric-resolution="+syncPeriod.String()); err != nil {
		return fmt.Errorf("start the autoscaler: %w", err)
	}
	l.ends.Add(l.scaler.Stop)
	following, stop := context.WithCancel(ctx)
	l.ends.Add(func() error { stop(); return nil })
	l.readings = follow(following, l.scaler)
	return nil
}
