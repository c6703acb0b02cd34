// Package clients makes the ways to the API server that the commands of the autoscaler share.
//
// It owns how a cluster is found and how workloads are reached in it, and nothing of what is done there.
package clients

import (
	"fmt"
	"net/http"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/scale"
	"k8s.io/client-go/tools/clientcmd"

	"autoscale.io/scaling/target"
)

// LoadConfig finds the API server as kubectl does: by the kubeconfig of that path, or in the usual places when it is empty; context names the one to use there,
// and empty the current one. There is no limit on requests, since the API server has priority and fairness of its own, and no compression, which costs either side more
// than it saves between machines of one network, and each watch 40 KiB for as long as it lasts.
func LoadConfig(path, context string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = path
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	config.QPS = -1
	config.DisableCompression = true
	config.UserAgent = "autoscale.io"
	return config, nil
}

// Access is what reads and writes workloads, and what it is made of.
type Access struct {
	Kube   kubernetes.Interface
	Target *target.Client
	// Served is what Target knows of the API. It is to be invalidated when a kind has come.
	Served discovery.CachedDiscoveryInterface
}

// Workloads returns the way to workloads. mapper knows the kinds of the cluster.
func Workloads(config *rest.Config, client *http.Client, mapper meta.RESTMapper) (Access, error) {
	kube, err := kubernetes.NewForConfigAndClient(config, client)
	if err != nil {
		return Access{}, fmt.Errorf("set up the clients: %w", err)
	}
	objects, err := metadata.NewForConfigAndClient(config, client)
	if err != nil {
		return Access{}, fmt.Errorf("set up the clients: %w", err)
	}
	scaleConfig := rest.CopyConfig(config)
	scaleConfig.NegotiatedSerializer = clientscheme.Codecs.WithoutConversion()
	scaleConfig.GroupVersion = &schema.GroupVersion{}
	scaleClient, err := rest.RESTClientForConfigAndClient(scaleConfig, client)
	if err != nil {
		return Access{}, fmt.Errorf("set up the clients: %w", err)
	}
	served := memory.NewMemCacheClient(kube.Discovery())
	scales := scale.New(scaleClient, mapper, dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(served))
	workloads := &target.Client{Scales: scales, Metadata: objects, Deployments: kube.AppsV1(), Jobs: kube.BatchV1()}
	return Access{Kube: kube, Target: workloads, Served: served}, nil
}
