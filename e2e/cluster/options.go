package cluster

import (
	"io"
	"time"
)

// Names of the parts, as in [Options.Args] and in the names of their log files.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	MetricsServer     = "metrics-server"
	KWOK              = "kwok"
	// Kubectl is no part of a cluster; it is built with them, for tests and people that use one.
	Kubectl = "kubectl"
)

// Options shape a cluster. The zero value gives three nodes and Kubernetes' own settings.
type Options struct {
	// Binaries are the programs. Defaults to what Build returns.
	Binaries Binaries
	// Progress is told of a build that has to be made first. Defaults to standard error.
	Progress io.Writer
	// Dir holds everything the cluster writes; it has to be empty or absent. Defaults to a new temporary folder.
	Dir string
	// Keep leaves the folder, with the logs, in place after Stop and after a failed Start.
	Keep bool
	// Nodes is how many nodes there are, each with room for 1000 CPUs, 1 TiB and a million pods; a negative number
	// means none. Defaults to 3.
	Nodes int
	// HPASyncPeriod is how often the HorizontalPodAutoscaler controller looks. Defaults to Kubernetes' 15 s.
	HPASyncPeriod time.Duration
	// MetricsServer runs metrics-server too, on the usage that pods claim in their annotations
	// kwok.x-k8s.io/usage-cpu and kwok.x-k8s.io/usage-memory. A new pod's usage can be read after two scrapes.
	// Defaults to false.
	MetricsServer bool
	// MetricResolution is how often metrics-server scrapes, 10 s at least. Defaults to metrics-server's 15 s.
	MetricResolution time.Duration
	// Args are more flags by part, after the cluster's own, so that they win.
	Args map[string][]string
	// Stages are more KWOK Stages, each a YAML document. One that has the name of a built-in stage (pod-ready,
	// pod-complete, pod-delete, node-initialize, node-heartbeat) takes its place.
	Stages []string
}

func (o *Options) setDefaults() {
	if o.Nodes == 0 {
		o.Nodes = 3
	}
	if o.HPASyncPeriod <= 0 {
		o.HPASyncPeriod = 15 * time.Second
	}
	if o.MetricResolution <= 0 {
		o.MetricResolution = 15 * time.Second
	}
}
