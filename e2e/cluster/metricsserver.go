package cluster

import (
	"context"
	"encoding/base64"
	"fmt"

	"autoscale.io/scalers/scalertest/ports"
)

// metricsService is the Service that metricsAPI makes in kube-system.
const metricsService = "metrics-server"

// metricsAPI leads the API server to metrics-server on the loopback interface: it refuses a Service that selects such an
// address, but takes a name.
const metricsAPI = `
apiVersion: v1
kind: Service
metadata:
  name: metrics-server
  namespace: kube-system
spec:
  type: ExternalName
  externalName: localhost
  ports:
  - port: %[1]d
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata:
  name: v1beta1.metrics.k8s.io
spec:
  group: metrics.k8s.io
  version: v1beta1
  groupPriorityMinimum: 100
  versionPriority: 100
  caBundle: %[2]s
  service:
    name: metrics-server
    namespace: kube-system
    port: %[1]d
`

func (c *Cluster) metricsServerArgs(kubeconfig string, serving identity) []string {
	return []string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=" + ports.Loopback,
		"--secure-port=" + c.ports.metricsServer.Digits(),
		"--tls-cert-file=" + serving.certFile,
		"--tls-private-key-file=" + serving.keyFile,
		"--kubelet-certificate-authority=" + c.ca.file,
		"--kubelet-use-node-status-port",
		"--kubelet-preferred-address-types=InternalIP",
		// Has to be shorter than the resolution; KWOK answers at once.
		"--kubelet-request-timeout=5s",
		"--metric-resolution=" + c.options.MetricResolution.String(),
	}
}

// startMetricsServer registers it only once it serves: after a failed look the API server waits long for the next.
func (c *Cluster) startMetricsServer(ctx context.Context) error {
	if c.MetricsServer == nil {
		return nil
	}
	if err := c.MetricsServer.Start(ctx); err != nil {
		return err
	}
	return c.Apply(ctx, fmt.Appendf(nil, metricsAPI, c.ports.metricsServer.Number(), base64.StdEncoding.EncodeToString(c.ca.pem)))
}

// awaitMetrics waits until the API server passes requests on to metrics-server; the first readings come two scrapes
// later.
func (c *Cluster) awaitMetrics(ctx context.Context) error {
	var last error
	err := poll(ctx, func(ctx context.Context) (bool, error) {
		_, last = c.client.Discovery().RESTClient().Get().AbsPath("/apis/metrics.k8s.io/v1beta1").DoRaw(ctx)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the metrics API (see %s): %w (%v)", c.MetricsServer.Log(), err, last)
	}
	return nil
}
