package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"autoscale.io/e2e/cluster"
	"autoscale.io/e2e/product"
	"autoscale.io/scalers/scalertest/servers"
)

const (
	namespace = "shop"
	worker    = "worker"
	stream    = "orders"
	group     = "workers"
)

// stage is everything that runs.
type stage struct {
	cluster *cluster.Cluster
	redis   *servers.Redis
	scaler  *product.Autoscaler
	kube    kubernetes.Interface
	kubectl string
	// acknowledged counts the messages that the played pods have finished.
	acknowledged atomic.Int64
}

// setUp builds and starts everything, telling what it does.
func setUp(ctx context.Context, dir string) (s *stage, err error) {
	s = &stage{}
	defer func() {
		if err != nil {
			s.tearDown()
		}
	}()
	say("Building the autoscaler and a control plane (the first time takes some minutes, later it is cached)")
	binary, err := product.Build(ctx, dir, os.Stderr)
	if err != nil {
		return s, err
	}
	binaries, err := cluster.Build(ctx, cluster.BuildOptions{Progress: os.Stderr})
	if err != nil {
		return s, err
	}
	s.kubectl = binaries.Path(cluster.Kubectl)
	began := time.Now()
	say("Starting etcd, kube-apiserver, kube-controller-manager, kube-scheduler, KWOK nodes and Redis")
	if s.cluster, err = cluster.Start(ctx, cluster.Options{Binaries: binaries}); err != nil {
		return s, err
	}
	if s.redis, err = servers.StartRedis(ctx, servers.RedisOptions{}); err != nil {
		return s, err
	}
	fmt.Printf("  ready after %.1f s\n", time.Since(began).Seconds())
	say("Installing manifests/ and starting the autoscaler with the rights they give")
	p, err := product.Install(ctx, s.cluster, binary, dir)
	if err != nil {
		return s, err
	}
	if s.scaler, err = p.Start(ctx, "autoscaler"); err != nil {
		return s, err
	}
	s.kube, err = kubernetes.NewForConfig(s.cluster.Config())
	return s, err
}

func (s *stage) tearDown() {
	if s.scaler != nil {
		_ = s.scaler.Stop()
	}
	if s.redis != nil {
		s.redis.Stop()
	}
	if s.cluster != nil {
		if err := s.cluster.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stopping the cluster:", err)
		}
	}
}

// createWorker creates a plain Deployment at zero, as anybody's.
func (s *stage) createWorker(ctx context.Context) error {
	if _, err := s.kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	none := int32(0)
	labels := map[string]string{"app": worker}
	_, err := s.kube.AppsV1().Deployments(namespace).Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: worker},
		Spec: appsv1.DeploymentSpec{
			Replicas: &none,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: worker, Image: worker}}},
			},
		},
	}, metav1.CreateOptions{})
	return err
}

func (s *stage) explain() {
	fmt.Printf(`
Everything keeps running until Ctrl-C. In another terminal:

  export KUBECONFIG=%s PATH=$PATH:%s
  kubectl -n %s get deployment %s -w                          # watch the replicas

1. Send a burst:     for i in $(seq 100); do redis-cli -p %s XADD %s '*' job x; done
2. Hold the count:   kubectl -n %s annotate deployment %s autoscale.io/pause=true      (and autoscale.io/pause- to go on)
3. Make a mistake:   kubectl -n %s annotate --overwrite deployment %s autoscale.io/max-replica=5
`, s.cluster.Kubeconfig(), filepath.Dir(s.kubectl), namespace, worker, portOf(s.redis.Addr()), stream, namespace, worker, namespace, worker)
}
