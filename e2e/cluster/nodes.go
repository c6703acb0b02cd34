package cluster

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	metricsresource "sigs.k8s.io/kwok/kustomize/metrics/resource"
	metricsusage "sigs.k8s.io/kwok/kustomize/metrics/usage"
	nodefast "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	nodeheartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	"sigs.k8s.io/yaml"

	"autoscale.io/scalers/scalertest/ports"
)

//go:embed stages/pod-complete.yaml
var podComplete string

const metricsPathAnnotation = "metrics.k8s.io/resource-metrics-path"

// podReady is KWOK's own stage, in which a pod runs as soon as it has a node, with a delay: the annotation pod-ready.stage.kwok.x-k8s.io/delay of a pod says how long its
// containers take to start (a Go duration), which is no time without one.
func podReady() (string, error) {
	const next, delay = "\n  next:\n", `
  delay:
    durationMilliseconds: 0
    durationFrom:
      expressionFrom: '.metadata.annotations["pod-ready.stage.kwok.x-k8s.io/delay"]'`
	before, after, found := strings.Cut(podfast.DefaultPodReady, next)
	if !found {
		return "", fmt.Errorf("KWOK's stage pod-ready has no line %q to put a delay before", strings.TrimSpace(next))
	}
	return before + delay + next + after, nil
}

// writeStages writes KWOK's configuration: how nodes and pods behave, and what usage the nodes report.
func (c *Cluster) writeStages() ([]string, error) {
	ready, err := podReady()
	if err != nil {
		return nil, err
	}
	documents := append([]string{
		nodefast.DefaultNodeInit,
		nodeheartbeat.DefaultNodeHeartbeat,
		ready,
		podComplete,
		podfast.DefaultPodDelete,
	}, c.options.Stages...)
	byName := map[string]string{}
	var names []string
	for _, document := range documents {
		var stage metav1.PartialObjectMetadata
		if err := yaml.Unmarshal([]byte(document), &stage); err != nil {
			return nil, fmt.Errorf("reading a KWOK stage: %w", err)
		}
		if stage.Kind != "Stage" || stage.Name == "" {
			return nil, fmt.Errorf("a KWOK stage has kind %q and name %q; wanted kind Stage and a name", stage.Kind, stage.Name)
		}
		if _, known := byName[stage.Name]; !known {
			names = append(names, stage.Name)
		}
		byName[stage.Name] = document
	}
	byName["metrics-resource"] = metricsresource.DefaultMetricsResource
	byName["metrics-usage"] = metricsusage.DefaultUsageFromAnnotation
	names = append(names, "metrics-resource", "metrics-usage")

	paths := make([]string, 0, len(names))
	for _, name := range names {
		path := c.path("kwok/" + name + ".yaml")
		if err := os.WriteFile(path, []byte(byName[name]), 0o600); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

func (c *Cluster) kwokArgs(kubeconfig string, serving identity, configs []string) []string {
	args := []string{
		"--kubeconfig=" + kubeconfig,
		"--manage-all-nodes=true",
		"--node-ip=" + ports.Loopback,
		"--node-port=" + c.ports.kwok.Digits(),
		"--server-address=" + c.ports.kwok.String(),
		"--tls-cert-file=" + serving.certFile,
		"--tls-private-key-file=" + serving.keyFile,
		// No leases: a restarted KWOK would not touch the nodes before those of its former life have run out.
		"--node-lease-duration-seconds=0",
	}
	for _, path := range configs {
		args = append(args, "--config="+path)
	}
	return args
}

func (c *Cluster) createNodes(ctx context.Context) error {
	for i := range c.options.Nodes {
		name := fmt.Sprintf("node-%d", i)
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
			Name: name,
			// From the node's creation on: KWOK loses the pods of a node that gets it later.
			Annotations: map[string]string{metricsPathAnnotation: "/metrics/nodes/" + name + "/metrics/resource"},
			Labels:      map[string]string{corev1.LabelHostname: name},
		}}
		if _, err := c.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("creating node %s: %w", name, err)
		}
	}
	return nil
}

// awaitNodes waits until pods can be placed on every node: Ready, and without the taint that new nodes carry.
func (c *Cluster) awaitNodes(ctx context.Context) error {
	var waiting []string
	err := poll(ctx, func(ctx context.Context) (bool, error) {
		nodes, err := c.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		waiting = waiting[:0]
		for _, node := range nodes.Items {
			if !ready(&node) {
				waiting = append(waiting, node.Name)
			}
		}
		return len(waiting) == 0 && len(nodes.Items) >= c.options.Nodes, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for nodes %v to be Ready (see %s): %w", waiting, c.KWOK.Log(), err)
	}
	return nil
}

func ready(node *corev1.Node) bool {
	if len(node.Spec.Taints) > 0 {
		return false
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// poll asks every 50 ms for at most a minute. An error of condition ends it.
func poll(ctx context.Context, condition wait.ConditionWithContextFunc) error {
	return wait.PollUntilContextTimeout(ctx, readyInterval, time.Minute, true, condition)
}
