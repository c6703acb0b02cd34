// Package product installs the shipped manifests in an e2e cluster and runs the autoscaler there: as a process of its own, with the rights that
// the manifests give it and nothing more.
//
// It owns the little that cannot be as in a real install: no container runs here, so the webhook is reached by a URL instead of a Service. It
// knows nothing of tests.
package product

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/cert"
	"sigs.k8s.io/yaml"

	"autoscale.io/e2e/cluster"
	"autoscale.io/e2e/tree"
	"autoscale.io/scalers/scalertest/ports"
)

// Names in the shipped manifests.
const (
	Namespace      = "autoscale-system"
	ServiceAccount = "autoscaler"
	Service        = "autoscaler"
	WebhookConfig  = "autoscale.io"
	// CertificateSecret keeps the certificate that --certs=self-signed makes.
	CertificateSecret = "autoscaler-webhook"
)

// Product is an install in one cluster.
type Product struct {
	cluster *cluster.Cluster
	binary  string
	dir     string
	// port is that of the first replica's webhook; nil when each has one of its own.
	port *ports.Port
	// namespace and config are those of the install.
	namespace, config string
}

// Install applies the shipped manifests and prepares a folder for the product's files below dir. The autoscaler itself is not running yet.
func Install(ctx context.Context, c *cluster.Cluster, binary, dir string) (*Product, error) {
	root, err := tree.Root(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.ApplyDir(ctx, filepath.Join(root, "manifests")); err != nil {
		return nil, fmt.Errorf("install the manifests: %w", err)
	}
	p, err := Attach(ctx, c, binary, dir)
	if err != nil {
		return nil, err
	}
	return p, p.serveAt(ctx, p.WebhookAddress())
}

// Attach prepares a folder for the files of an autoscaler whose manifests are installed already, and leaves those as they are.
func Attach(ctx context.Context, c *cluster.Cluster, binary, dir string) (*Product, error) {
	port, err := ports.Reserve()
	if err != nil {
		return nil, err
	}
	p := &Product{cluster: c, binary: binary, dir: dir, port: port, namespace: Namespace, config: WebhookConfig}
	return p, p.writeAccess(ctx)
}

// writeAccess writes the kubeconfig of the install's account.
func (p *Product) writeAccess(ctx context.Context) error {
	access, err := p.cluster.TokenConfig(ctx, p.namespace, ServiceAccount)
	if err != nil {
		return err
	}
	return cluster.WriteKubeconfig(p.kubeconfig(), access)
}

// Reach leads the Service, which the shipped webhook configuration names, to the first replica, so that the certificate is one for the Service, too. The one thing
// that the configuration has to say more is the port.
func (p *Product) Reach(ctx context.Context) error {
	kube, err := kubernetes.NewForConfig(p.cluster.Config())
	if err != nil {
		return err
	}
	const elsewhere = `{"spec":{"type":"ExternalName","externalName":"localhost","clusterIP":null,"clusterIPs":null}}`
	if _, err := kube.CoreV1().Services(Namespace).Patch(ctx, Service, types.MergePatchType, []byte(elsewhere), metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("lead the Service to this host: %w", err)
	}
	patch := fmt.Sprintf(`[{"op":"add","path":"/webhooks/0/clientConfig/service/port","value":%d}]`, p.port.Number())
	configs := kube.AdmissionregistrationV1().MutatingWebhookConfigurations()
	if _, err := configs.Patch(ctx, WebhookConfig, types.JSONPatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("lead the webhook to port %d: %w", p.port.Number(), err)
	}
	return nil
}

// Binary is the path of the autoscaler's program.
func (p *Product) Binary() string { return p.binary }

func (p *Product) kubeconfig() string { return filepath.Join(p.dir, "autoscaler.kubeconfig") }

// serveAt makes a certificate and points the webhook configuration to host:port instead of the Service.
func (p *Product) serveAt(ctx context.Context, address string) error {
	certPEM, keyPEM, err := cert.GenerateSelfSignedCertKey(ports.Loopback, []net.IP{net.ParseIP(ports.Loopback)}, nil)
	if err != nil {
		return fmt.Errorf("make the webhook's certificate: %w", err)
	}
	for name, content := range map[string][]byte{"tls.crt": certPEM, "tls.key": keyPEM} {
		if err := os.WriteFile(filepath.Join(p.dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return p.PatchWebhook(ctx, "https://"+address+"/mutate", certPEM)
}

// PatchWebhook points the webhook configuration to a URL that shows a certificate of that bundle.
func (p *Product) PatchWebhook(ctx context.Context, url string, bundle []byte) error {
	kube, err := kubernetes.NewForConfig(p.cluster.Config())
	if err != nil {
		return err
	}
	configs := kube.AdmissionregistrationV1().MutatingWebhookConfigurations()
	config, err := configs.Get(ctx, WebhookConfig, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read the webhook configuration: %w", err)
	}
	type operation struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value"`
	}
	var patch []operation
	for i := range config.Webhooks {
		patch = append(patch, operation{"replace", fmt.Sprintf("/webhooks/%d/clientConfig", i), map[string]any{"url": url, "caBundle": bundle}})
	}
	data, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	if _, err := configs.Patch(ctx, WebhookConfig, types.JSONPatchType, data, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("point the webhook to %s: %w", url, err)
	}
	return nil
}

// WebhookAddress is where the webhook of the first replica listens.
func (p *Product) WebhookAddress() string { return p.port.String() }

// Autoscaler is one running replica.
type Autoscaler struct {
	*cluster.Process
	metrics, health, webhook *ports.Port
}

// webhookPort is that of a replica about to start: the port that the webhook configuration names, unless another one listens there.
func (p *Product) webhookPort() (*ports.Port, error) {
	if p.port == nil {
		return ports.Reserve()
	}
	listener, err := net.Listen("tcp", p.WebhookAddress())
	if err != nil {
		return ports.Reserve()
	}
	return p.port, listener.Close()
}

// Start runs a replica and returns when it is ready. Each has a webhook on a port of its own, and only that of the first of those that run is called; args are more
// flags, which win.
func (p *Product) Start(ctx context.Context, name string, args ...string) (*Autoscaler, error) {
	return p.start(ctx, name, true, args)
}

// Launch is Start for a replica that may never be ready.
func (p *Product) Launch(ctx context.Context, name string, args ...string) (*Autoscaler, error) {
	return p.start(ctx, name, false, args)
}

func (p *Product) start(ctx context.Context, name string, wait bool, args []string) (*Autoscaler, error) {
	a, err := p.replica()
	if err != nil {
		return nil, err
	}
	limit, err := memoryLimit(ctx)
	if err != nil {
		return nil, err
	}
	command := cluster.Command{
		Name: name, Path: p.binary, Log: filepath.Join(p.dir, name+".log"), Env: []string{"GOMEMLIMIT=" + limit},
		Args: append([]string{
			"--kubeconfig=" + p.kubeconfig(), "--namespace=" + p.namespace, "--webhook-config=" + p.config, "--identity=" + name,
			"--certs=files", "--cert-dir=" + p.dir, "--webhook-host=" + ports.Loopback, "--webhook-port=" + a.webhook.Digits(),
			// The sources are processes of this host, too; the rest of loopback stays out of reach.
			"--egress-allow=" + ports.Loopback + "/32",
			"--metrics-bind-address=" + a.metrics.String(), "--health-probe-bind-address=" + a.health.String(),
		}, args...),
	}
	if wait {
		command.Ready = a.Ready
	}
	a.Process = cluster.NewProcess(command)
	return a, a.Process.Start(ctx)
}

// replica has the ports of one that is about to start.
func (p *Product) replica() (*Autoscaler, error) {
	var a Autoscaler
	var err error
	if a.metrics, err = ports.Reserve(); err != nil {
		return nil, err
	}
	if a.health, err = ports.Reserve(); err != nil {
		return nil, err
	}
	a.webhook, err = p.webhookPort()
	return &a, err
}

// memoryLimit is what the shipped Deployment tells Go's collector, in bytes.
func memoryLimit(ctx context.Context) (string, error) {
	root, err := tree.Root(ctx)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(root, "manifests", "deployment.yaml"))
	if err != nil {
		return "", err
	}
	var d appsv1.Deployment
	if err := yaml.Unmarshal(text, &d); err != nil {
		return "", fmt.Errorf("read manifests/deployment.yaml: %w", err)
	}
	if len(d.Spec.Template.Spec.Containers) == 0 {
		return "", fmt.Errorf("manifests/deployment.yaml has no container, so no memory limit")
	}
	return strconv.FormatInt(d.Spec.Template.Spec.Containers[0].Resources.Limits.Memory().Value(), 10), nil
}

// Ready is nil when the replica says that it is ready.
func (a *Autoscaler) Ready(ctx context.Context) error {
	_, err := get(ctx, "http://"+a.health.String()+"/readyz")
	return err
}

// Alive is nil when the replica says that it need not be restarted.
func (a *Autoscaler) Alive(ctx context.Context) error {
	_, err := get(ctx, "http://"+a.health.String()+"/healthz")
	return err
}

// WebhookAddress is where the replica's webhook listens, unless a flag says otherwise.
func (a *Autoscaler) WebhookAddress() string { return a.webhook.String() }

// Metrics returns the text of the metrics endpoint.
func (a *Autoscaler) Metrics(ctx context.Context) (string, error) {
	return get(ctx, "http://"+a.metrics.String()+"/metrics")
}

func get(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(response.Body); err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("GET %s: %s: %s", url, response.Status, body.String())
	}
	return body.String(), nil
}
