package cluster

import (
	"context"

	"autoscale.io/e2e/programs"
)

// Binaries is a folder that holds the programs of a cluster: etcd, kube-apiserver, kube-controller-manager,
// kube-scheduler, metrics-server, kwok and kubectl. It can serve as KUBEBUILDER_ASSETS for controller-runtime's envtest.
type Binaries = programs.Folder

// BuildOptions says where programs are built.
type BuildOptions = programs.Options

// Build returns the programs of a cluster and builds them if the cache does not hold them yet.
func Build(ctx context.Context, options BuildOptions) (Binaries, error) {
	return programs.ControlPlane().Build(ctx, options)
}
