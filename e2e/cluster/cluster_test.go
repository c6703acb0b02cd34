package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"

	"autoscale.io/e2e/cluster"
	"autoscale.io/e2e/cluster/clustertest"
)

// shared is the cluster of all tests that need no other.
var shared *cluster.Cluster

func TestMain(m *testing.M) {
	if os.Getenv(parentVariable) != "" {
		beParent()
	}
	options := cluster.Options{MetricsServer: true, MetricResolution: 10 * time.Second}
	os.Exit(clustertest.Main(m, options, func(c *cluster.Cluster) { shared = c }))
}

func clientFor(t *testing.T, config *rest.Config) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// eventually polls until condition returns nil, and fails with its last error after a minute.
func eventually(t *testing.T, condition func(context.Context) error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		last = condition(ctx)
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("%v: %v", err, last)
	}
}

func podTemplate(annotations map[string]string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}, Annotations: annotations},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web"}}},
	}
}

func createDeployment(t *testing.T, client kubernetes.Interface, namespace string, annotations map[string]string) {
	t.Helper()
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(3)),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			Template: podTemplate(annotations),
		},
	}
	if _, err := client.AppsV1().Deployments(namespace).Create(t.Context(), deployment, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func awaitReady(t *testing.T, client kubernetes.Interface, namespace string, want int32) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		deployment, err := client.AppsV1().Deployments(namespace).Get(ctx, "web", metav1.GetOptions{})
		if err == nil && (deployment.Status.ReadyReplicas != want || deployment.Status.Replicas != want) {
			err = fmt.Errorf("%d of %d replicas are ready, wanted %d", deployment.Status.ReadyReplicas, deployment.Status.Replicas, want)
		}
		return err
	})
}

func TestDeploymentBecomesReadyAndScales(t *testing.T) {
	client := clientFor(t, shared.Config())
	namespace := clustertest.Namespace(t, shared, "scale")
	createDeployment(t, client, namespace, nil)
	awaitReady(t, client, namespace, 3)

	for _, replicas := range []int32{7, 0, 1} {
		// The controller updates the object too, so a write can meet a conflict.
		err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
			scale, err := client.AppsV1().Deployments(namespace).GetScale(t.Context(), "web", metav1.GetOptions{})
			if err != nil {
				return err
			}
			scale.Spec.Replicas = replicas
			_, err = client.AppsV1().Deployments(namespace).UpdateScale(t.Context(), "web", scale, metav1.UpdateOptions{})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		awaitReady(t, client, namespace, replicas)
	}
}

func TestKilledAPIServerKeepsData(t *testing.T) {
	client := clientFor(t, shared.Config())
	namespace := clustertest.Namespace(t, shared, "kill")
	createDeployment(t, client, namespace, nil)

	if err := shared.APIServer.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{}); err == nil {
		t.Fatal("a killed API server answered")
	}
	if err := shared.APIServer.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, client, namespace, 3)
}

func TestEveryPartRestarts(t *testing.T) {
	client := clientFor(t, shared.Config())
	for _, part := range shared.Parts() {
		before, begin := part.PID(), time.Now()
		if err := part.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s was back after %s", part.Name(), time.Since(begin))
		if part.PID() == before {
			t.Errorf("%s has the same process as before", part.Name())
		}
	}
	namespace := clustertest.Namespace(t, shared, "restart")
	createDeployment(t, client, namespace, nil)
	awaitReady(t, client, namespace, 3)
}

func TestPausedAPIServerHangs(t *testing.T) {
	client := clientFor(t, shared.Config())
	if err := shared.APIServer.Pause(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = shared.APIServer.Resume() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a request to a paused API server: %v; wanted it to time out", err)
	}
	if err := shared.APIServer.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		_, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		return err
	})
}

func TestSecondClusterIsApartAndLeavesNothing(t *testing.T) {
	begin := time.Now()
	second, err := cluster.Start(t.Context(), cluster.Options{Nodes: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = second.Stop() })
	t.Logf("ready in %s", time.Since(begin))

	nodes, err := clientFor(t, second.Config()).CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(nodes.Items) != 1 {
		t.Errorf("the second cluster has %d nodes, wanted 1", len(nodes.Items))
	}
	_, err = clientFor(t, shared.Config()).CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Errorf("the first cluster beside the second: %v", err)
	}

	groups := map[int]string{}
	for _, part := range second.Parts() {
		groups[part.PID()] = part.Name()
	}
	if members := groupMembers(t, groups); len(members) != len(second.Parts()) {
		t.Fatalf("processes of a running cluster: %v, wanted one of each of %v", members, groups)
	}
	if err := second.Stop(); err != nil {
		t.Fatal(err)
	}
	if members := groupMembers(t, groups); len(members) != 0 {
		t.Errorf("still alive after Stop: %v", members)
	}
	if _, err := os.Stat(second.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder after Stop: %v, wanted it gone", err)
	}
}

func TestFailedStartQuotesLogAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	_, err := cluster.Start(t.Context(), cluster.Options{
		Dir:  dir,
		Args: map[string][]string{cluster.APIServer: {"--no-such-flag"}},
	})
	want := fmt.Sprintf("starting the cluster: kube-apiserver ended before it was ready (exit status 1)\n"+
		"its log %s/logs/kube-apiserver.log ends:\nError: unknown flag: --no-such-flag", dir)
	if err == nil || err.Error() != want {
		t.Errorf("Start with a bad flag:\n%v\nwanted:\n%s", err, want)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder after a failed Start: %v, wanted it gone", err)
	}
}

func TestStartRefusesUsedFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/letters", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := cluster.Start(t.Context(), cluster.Options{Dir: dir})
	want := "starting the cluster: " + dir + " is not empty; name an empty or absent folder"
	if err == nil || err.Error() != want {
		t.Errorf("Start in a used folder: %v, wanted %s", err, want)
	}
	if _, err := os.Stat(dir + "/letters"); err != nil {
		t.Errorf("the user's file: %v", err)
	}
}
