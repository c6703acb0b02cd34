package app

import (
	"cmp"
	"fmt"
	"os"
	"strconv"

	"k8s.io/client-go/rest"

	"autoscale.io/scalers/egress"
)

// egressPolicy is what the flags say of where scalers may connect to.
func (o *Options) egressPolicy() (egress.Policy, error) {
	allow, err := egress.ParsePrefixes(o.EgressAllow)
	if err != nil {
		return egress.Policy{}, fmt.Errorf("--egress-allow: %w", err)
	}
	deny, err := egress.ParsePrefixes(o.EgressDeny)
	if err != nil {
		return egress.Policy{}, fmt.Errorf("--egress-deny: %w", err)
	}
	return egress.Policy{Allow: allow, Deny: deny}, nil
}

// dialer opens every connection of every scaler. No flag lets it reach the API server, as the configuration names it and as the Service in the cluster does.
func (o *Options) dialer(config *rest.Config) (*egress.Dialer, error) {
	policy, err := o.egressPolicy()
	if err != nil {
		return nil, err
	}
	server, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	ports := map[string]string{"http": "80", "https": "443"}
	endpoints := [][2]string{{server.Hostname(), cmp.Or(server.Port(), ports[server.Scheme])}}
	if host := os.Getenv("KUBERNETES_SERVICE_HOST"); host != "" {
		endpoints = append(endpoints, [2]string{host, cmp.Or(os.Getenv("KUBERNETES_SERVICE_PORT"), ports["https"])})
	}
	for _, endpoint := range endpoints {
		port, err := strconv.ParseUint(endpoint[1], 10, 16)
		if err != nil {
			return nil, fmt.Errorf("find the port of the API server %s: got %q, want a number up to 65535", endpoint[0], endpoint[1])
		}
		policy.Never = append(policy.Never, egress.Endpoint{Host: endpoint[0], Port: uint16(port)})
	}
	return &egress.Dialer{Policy: policy}, nil
}
