package cluster

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"autoscale.io/scalers/scalertest/ports"
)

const probeTimeout = 2 * time.Second

// clientLimits lift the controllers' own limits of some 20 requests a second, so that a test with many workloads
// measures the subject and not the controller-manager's queue.
func clientLimits() []string { return []string{"--kube-api-qps=500", "--kube-api-burst=1000"} }

// makeParts describes the processes; it starts none.
func (c *Cluster) makeParts() error {
	serving, err := c.ca.server()
	if err != nil {
		return err
	}
	probe, err := c.makeAdmin()
	if err != nil {
		return err
	}
	proxy, err := c.ca.client("front-proxy-client")
	if err != nil {
		return err
	}
	kubeconfigs := map[string]string{}
	for part, user := range map[string]string{
		ControllerManager: "system:kube-controller-manager",
		Scheduler:         "system:kube-scheduler",
		KWOK:              "kwok",
		MetricsServer:     "metrics-server",
	} {
		if kubeconfigs[part], err = c.partKubeconfig(part, user); err != nil {
			return err
		}
	}
	stages, err := c.writeStages()
	if err != nil {
		return err
	}
	c.Etcd = c.part(Etcd, c.etcdArgs(), probe(url("http", c.ports.etcd)+"/health"))
	c.APIServer = c.part(APIServer, c.apiServerArgs(serving, proxy), probe(url("https", c.ports.apiServer)+"/readyz"))
	c.ControllerManager = c.part(ControllerManager, c.controllerManagerArgs(kubeconfigs[ControllerManager], serving),
		probe(url("https", c.ports.controllerManager)+"/healthz"))
	c.Scheduler = c.part(Scheduler, c.schedulerArgs(kubeconfigs[Scheduler], serving), probe(url("https", c.ports.scheduler)+"/readyz"))
	c.KWOK = c.part(KWOK, c.kwokArgs(kubeconfigs[KWOK], serving, stages), probe(url("https", c.ports.kwok)+"/healthz"))
	if c.options.MetricsServer {
		c.MetricsServer = c.part(MetricsServer, c.metricsServerArgs(kubeconfigs[MetricsServer], serving),
			probe(url("https", c.ports.metricsServer)+"/livez"))
	}
	return nil
}

// makeAdmin makes the administrator's identity and returns a maker of probes that use it.
func (c *Cluster) makeAdmin() (func(target string) func(context.Context) error, error) {
	config, path, err := c.clientConfig("admin", "kubernetes-admin", "system:masters")
	if err != nil {
		return nil, err
	}
	c.config, c.kubeconfig = config, path
	if c.client, err = kubernetes.NewForConfig(config); err != nil {
		return nil, err
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	return func(target string) func(context.Context) error {
		return func(ctx context.Context) error { return get(ctx, client, target) }
	}, nil
}

func get(ctx context.Context, client *http.Client, target string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s: %s", target, response.Status, body)
	}
	return nil
}

// stopTimeout is zero for the default. An API server that was told to end first answers the calls it has accepted, which may each take its request timeout
// of a minute, such as one that waits for a webhook that hangs.
func stopTimeout(name string) time.Duration {
	if name == APIServer {
		return 75 * time.Second
	}
	return 0
}

func (c *Cluster) part(name string, args []string, ready func(context.Context) error) *Process {
	p := NewProcess(Command{
		Name: name,
		Path: c.options.Binaries.Path(name),
		Args: append(args, c.options.Args[name]...),
		// KWOK and others read files from the home folder; a developer's own must not change the cluster.
		Env:   []string{"HOME=" + c.dir},
		Dir:   c.dir,
		Log:   c.path("logs/" + name + ".log"),
		Ready: ready,
		// KWOK 0.8.0 has been seen to, once in hundreds of starts; why is not known.
		Crashes:     name == KWOK,
		StopTimeout: stopTimeout(name),
	})
	c.addPart(p)
	return p
}

func (c *Cluster) etcdArgs() []string {
	client, peer := url("http", c.ports.etcd), url("http", c.ports.etcdPeer)
	return []string{
		"--name=default",
		"--data-dir=" + c.path("etcd"),
		"--listen-client-urls=" + client,
		"--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=default=" + peer,
		// A killed process loses nothing that it has written; only a crash of the machine would.
		"--unsafe-no-fsync",
	}
}

func (c *Cluster) apiServerArgs(serving, proxy identity) []string {
	return []string{
		"--etcd-servers=" + url("http", c.ports.etcd),
		"--bind-address=" + ports.Loopback,
		"--secure-port=" + c.ports.apiServer.Digits(),
		"--tls-cert-file=" + serving.certFile,
		"--tls-private-key-file=" + serving.keyFile,
		"--client-ca-file=" + c.ca.file,
		"--authorization-mode=RBAC",
		"--allow-privileged=true",
		"--service-cluster-ip-range=" + serviceNetwork,
		// Without it, open watches keep a server that was told to end alive for a minute.
		"--shutdown-watch-termination-grace-period=1s",
		// The Service "kubernetes" cannot lead to the loopback interface, and nothing here runs in a pod.
		"--endpoint-reconciler-type=none",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.path("pki/sa.key"),
		"--service-account-signing-key-file=" + c.path("pki/sa.key"),
		"--requestheader-client-ca-file=" + c.ca.file,
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + proxy.certFile,
		"--proxy-client-key-file=" + proxy.keyFile,
	}
}

func (c *Cluster) controllerManagerArgs(kubeconfig string, serving identity) []string {
	return append([]string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=" + ports.Loopback,
		"--secure-port=" + c.ports.controllerManager.Digits(),
		"--tls-cert-file=" + serving.certFile,
		"--tls-private-key-file=" + serving.keyFile,
		"--leader-elect=false",
		"--root-ca-file=" + c.ca.file,
		"--service-account-private-key-file=" + c.path("pki/sa.key"),
		"--use-service-account-credentials=true",
		"--horizontal-pod-autoscaler-sync-period=" + c.options.HPASyncPeriod.String(),
	}, clientLimits()...)
}

func (c *Cluster) schedulerArgs(kubeconfig string, serving identity) []string {
	return append([]string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=" + ports.Loopback,
		"--secure-port=" + c.ports.scheduler.Digits(),
		"--tls-cert-file=" + serving.certFile,
		"--tls-private-key-file=" + serving.keyFile,
		"--leader-elect=false",
	}, clientLimits()...)
}
