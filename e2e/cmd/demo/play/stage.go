package main

import (
	"context"
	"fmt"
	"os"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"autoscale.io/e2e/cluster"
	"autoscale.io/e2e/cmd/demo/step"
	"autoscale.io/e2e/product"
	"autoscale.io/scalers/scalertest/servers"
)

const namespace = "shop"

// stage is everything that runs.
type stage struct {
	options
	cluster *cluster.Cluster
	redis   *servers.Redis // nil unless the story needs it
	scaler  *product.Autoscaler
	kube    kubernetes.Interface
}

// setUp starts everything.
func setUp(ctx context.Context, dir string, o options) (s *stage, err error) {
	s = &stage{options: o}
	defer func() {
		if err != nil {
			s.tearDown()
		}
	}()
	step.Start.Begin(os.Stdout, o.began)
	if err := s.startServers(ctx); err != nil {
		return s, err
	}
	step.Install.Begin(os.Stdout, o.began)
	p, err := product.Install(ctx, s.cluster, o.autoscaler, dir)
	if err != nil {
		return s, err
	}
	if s.scaler, err = p.Start(ctx, "autoscaler"); err != nil {
		return s, err
	}
	if s.kube, err = kubernetes.NewForConfig(s.cluster.Config()); err != nil {
		return s, err
	}
	_, err = s.kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	return s, err
}

func (s *stage) startServers(ctx context.Context) (err error) {
	began := time.Now()
	with := "Redis"
	if s.options.story == cpuStory {
		with = "metrics-server"
	}
	fmt.Printf("  etcd, kube-apiserver, kube-controller-manager, kube-scheduler, KWOK with 3 nodes, and %s\n", with)
	// metrics-server scrapes no more often than every 10 seconds.
	options := cluster.Options{Binaries: cluster.Binaries{Dir: s.programs}, MetricsServer: s.options.story == cpuStory, MetricResolution: 10 * time.Second}
	if s.cluster, err = cluster.Start(ctx, options); err != nil {
		return err
	}
	if s.options.story != cpuStory {
		if s.redis, err = servers.StartRedis(ctx, servers.RedisOptions{}); err != nil {
			return err
		}
	}
	fmt.Printf("  ready after %.1f s\n", time.Since(began).Seconds())
	return nil
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

// createDeployment creates a plain Deployment of a story, without any annotation.
func (s *stage) createDeployment(ctx context.Context, name string, replicas int32, template corev1.PodTemplateSpec) error {
	labels := map[string]string{"app": name}
	template.Labels = labels
	_, err := s.kube.AppsV1().Deployments(namespace).Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create the Deployment: %w", err)
	}
	return nil
}

const explanation = `
Everything keeps running until Ctrl-C, and the rows go on below. In another terminal:

  export KUBECONFIG=%[1]s PATH=%[2]s:$PATH

  Replicas:     kubectl -n %[3]s get deployment %[4]s -w
  Events:       kubectl -n %[3]s get events -w
  Annotations:  kubectl -n %[3]s get deployment %[4]s -o yaml
  Log:          tail -f %[5]s
  Metrics:      curl -s http://%[6]s/metrics | grep ^autoscale_
  Readiness:    curl -s http://%[7]s/readyz

To try:

`

// explain prints where everything is and what to try.
func (s *stage) explain(told story) {
	fmt.Printf(explanation, s.cluster.Kubeconfig(), s.programs, namespace, told.workload, s.scaler.Log(), s.scaler.MetricsAddress(), s.scaler.HealthAddress())
	try := append(told.try, [2]string{
		"Hold the replica count, then go on:", fmt.Sprintf("kubectl -n %[1]s annotate deployment %[2]s autoscale.io/pause=true\n   kubectl -n %[1]s annotate deployment %[2]s autoscale.io/pause-", namespace, told.workload),
	}, [2]string{
		"Make a mistake; the webhook rejects it:", fmt.Sprintf("kubectl -n %s annotate --overwrite deployment %s autoscale.io/max-replica=5", namespace, told.workload),
	})
	for i, one := range try {
		fmt.Printf("%d. %s\n   %s\n", i+1, one[0], one[1])
	}
	fmt.Println()
}
