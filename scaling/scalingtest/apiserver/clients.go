package apiserver

import (
	"fmt"
	"net/http"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/scale"
	metricsclient "k8s.io/metrics/pkg/client/clientset/versioned/typed/metrics/v1beta1"
)

// Clients are the real clients of client-go, over this server.
type Clients struct {
	Kube     kubernetes.Interface
	Metadata metadata.Interface
	Dynamic  dynamic.Interface
	Scales   scale.ScalesGetter
	Metrics  metricsclient.PodMetricsesGetter
}

// Clients returns clients for a user. wrap, unless nil, is put around the transport.
func (s *Server) Clients(user string, wrap func(http.RoundTripper) http.RoundTripper) (Clients, error) {
	var transport http.RoundTripper = &transport{server: s, user: user}
	if wrap != nil {
		transport = wrap(transport)
	}
	client, config := &http.Client{Transport: transport}, &rest.Config{Host: "https://api.test", QPS: -1, UserAgent: user}
	config.ContentType = runtime.ContentTypeJSON
	clients, err := newClients(config, client)
	if err != nil {
		return Clients{}, fmt.Errorf("set up the clients of %s: %w", user, err)
	}
	scaleConfig := rest.CopyConfig(config)
	scaleConfig.NegotiatedSerializer, scaleConfig.GroupVersion = clientscheme.Codecs.WithoutConversion(), &schema.GroupVersion{}
	scaleClient, err := rest.RESTClientForConfigAndClient(scaleConfig, client)
	if err != nil {
		return Clients{}, fmt.Errorf("set up the clients of %s: %w", user, err)
	}
	clients.Scales = scale.New(scaleClient, s.mapper(), dynamic.LegacyAPIPathResolverFunc, oneScale{})
	return clients, nil
}

func newClients(config *rest.Config, client *http.Client) (c Clients, err error) {
	if c.Kube, err = kubernetes.NewForConfigAndClient(config, client); err != nil {
		return c, err
	}
	if c.Metadata, err = metadata.NewForConfigAndClient(config, client); err != nil {
		return c, err
	}
	if c.Dynamic, err = dynamic.NewForConfigAndClient(config, client); err != nil {
		return c, err
	}
	c.Metrics, err = metricsclient.NewForConfigAndClient(config, client)
	return c, err
}

// mapper knows the kinds that are served by now.
func (s *Server) mapper() meta.RESTMapper {
	s.mu.Lock()
	defer s.mu.Unlock()
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, t := range s.tables {
		singular := t.Resource
		singular.Resource += "-one"
		mapper.AddSpecific(t.GroupVersionKind, t.Resource, singular, meta.RESTScopeNamespace)
	}
	return mapper
}

// oneScale says that every scale subresource is of the same kind.
type oneScale struct{}

// ScaleForResource implements scale.ScaleKindResolver.
func (oneScale) ScaleForResource(schema.GroupVersionResource) (schema.GroupVersionKind, error) {
	return scaleKind(), nil
}

func scaleKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "autoscaling", Version: "v1", Kind: "Scale"}
}
