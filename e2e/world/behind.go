package world

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"autoscale.io/scalers/scalertest/servers"
)

// BehindProxy is a Redis of the case's own behind a proxy, with a group on the stream jobs, and a trigger on it with a target of 5.
type BehindProxy struct {
	proxy   *servers.Proxy
	Client  *redis.Client
	Trigger string
}

// Behind starts one with that many entries that nobody has read.
func (w *World) Behind(items int) BehindProxy {
	w.T.Helper()
	server := servers.MustRedis(w.T, servers.RedisOptions{})
	b := BehindProxy{proxy: servers.MustProxy(w.T, server.Addr()), Client: server.Client()}
	b.Trigger = fmt.Sprintf("{type: redis-streams, address: %q, stream: jobs, consumerGroup: workers, target: 5}", b.proxy.Addr())
	w.Group(b.Client, "jobs", "0")
	if items > 0 {
		w.Add(b.Client, "jobs", items)
	}
	return b
}

// Set changes what the proxy does with connections.
func (b BehindProxy) Set(t *testing.T, mode servers.Mode) {
	t.Helper()
	if err := b.proxy.Set(mode); err != nil {
		t.Fatal(err)
	}
}

// Surging creates a workload whose rollouts never take a pod before there is another, and waits until it is available.
func (w *World) Surging(d *appsv1.Deployment, surge string) {
	w.T.Helper()
	none, more := intstr.FromInt32(0), intstr.Parse(surge)
	d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: &none, MaxSurge: &more}}
	w.CreateDeployment(d)
	w.Await(d.Name+" is available", 2*time.Minute, func(context.Context) error {
		if got := w.Get(d.Name).Status.AvailableReplicas; got != *d.Spec.Replicas {
			return fmt.Errorf("%d of %d", got, *d.Spec.Replicas)
		}
		return nil
	})
}

// RollOut changes the image.
func (w *World) RollOut(name, image string) {
	w.T.Helper()
	if out, err := w.KubectlArgs("set", "image", "deployment/"+name, "worker="+image); err != nil {
		w.T.Fatal(out, err)
	}
	w.Await("the rollout of "+name+" begins", Soon, func(context.Context) error {
		if d := w.Get(name); d.Status.UpdatedReplicas == 0 || d.Status.UpdatedReplicas == d.Status.Replicas {
			return fmt.Errorf("%d of %d pods are new", d.Status.UpdatedReplicas, d.Status.Replicas)
		}
		return nil
	})
}
