package cluster

import (
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// tokenLifetime outlasts any test or demo: nothing renews the token.
const tokenLifetime = 24 * time.Hour

// Config returns the administrator's access, without a limit on requests. It is the caller's own copy.
func (c *Cluster) Config() *rest.Config { return rest.CopyConfig(c.config) }

// Kubeconfig is the path of a file with the administrator's access, for kubectl and the like.
func (c *Cluster) Kubeconfig() string { return c.kubeconfig }

// TokenConfig returns the access of a service account that exists, by a token of 24 h that the API server has issued.
func (c *Cluster) TokenConfig(ctx context.Context, namespace, serviceAccount string) (*rest.Config, error) {
	request := &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(tokenLifetime.Seconds()))},
	}
	token, err := c.client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, serviceAccount, request, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("requesting a token for service account %s/%s: %w", namespace, serviceAccount, err)
	}
	config := c.baseConfig()
	config.BearerToken = token.Status.Token
	return config, nil
}

// WriteKubeconfig writes config as a kubeconfig file, readable by its owner alone. It takes the credentials that this
// package issues: a bearer token or a client certificate, given as data.
func WriteKubeconfig(path string, config *rest.Config) error {
	const name = "autoscale.io-e2e"
	file := clientcmdapi.NewConfig()
	file.Clusters[name] = &clientcmdapi.Cluster{
		Server:                   config.Host,
		CertificateAuthorityData: config.CAData,
	}
	file.AuthInfos[name] = &clientcmdapi.AuthInfo{
		Token:                 config.BearerToken,
		ClientCertificateData: config.CertData,
		ClientKeyData:         config.KeyData,
	}
	file.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	file.CurrentContext = name
	if err := clientcmd.WriteToFile(*file, path); err != nil {
		return fmt.Errorf("writing the kubeconfig %s: %w", path, err)
	}
	return nil
}

func (c *Cluster) baseConfig() *rest.Config {
	return &rest.Config{
		Host:            url("https", c.ports.apiServer),
		QPS:             -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: c.ca.pem},
	}
}

// clientConfig issues a client certificate and writes the kubeconfig that goes with it.
func (c *Cluster) clientConfig(name, user string, groups ...string) (config *rest.Config, path string, err error) {
	id, err := c.ca.client(user, groups...)
	if err != nil {
		return nil, "", err
	}
	config = c.baseConfig()
	config.CertData, config.KeyData = id.cert, id.key
	path = c.path(name + ".kubeconfig")
	return config, path, WriteKubeconfig(path, config)
}

// partKubeconfig writes the kubeconfig of a part. Those that Kubernetes has no built-in role for are administrators.
func (c *Cluster) partKubeconfig(part, user string) (string, error) {
	var groups []string
	if part == KWOK || part == MetricsServer {
		groups = []string{"system:masters"}
	}
	_, path, err := c.clientConfig(part, user, groups...)
	return path, err
}
