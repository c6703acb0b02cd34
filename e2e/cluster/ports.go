package cluster

import (
	"fmt"
	"net"
	"strconv"
)

const loopback = "127.0.0.1"

// ports are the loopback ports of one cluster.
type ports struct {
	etcd, etcdPeer, apiServer, controllerManager, scheduler, kwok, metricsServer int
}

// freePorts holds all ports at once while it looks, so that they differ.
func freePorts() (ports, error) {
	var p ports
	for _, port := range []*int{&p.etcd, &p.etcdPeer, &p.apiServer, &p.controllerManager, &p.scheduler, &p.kwok, &p.metricsServer} {
		listener, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
		if err != nil {
			return ports{}, fmt.Errorf("finding a free port: %w", err)
		}
		defer listener.Close()
		*port = listener.Addr().(*net.TCPAddr).Port
	}
	return p, nil
}

func address(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }

func url(scheme string, port int) string { return scheme + "://" + address(port) }
