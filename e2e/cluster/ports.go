package cluster

import "autoscale.io/scalers/scalertest/ports"

// addresses are the loopback ports of one cluster.
type addresses struct {
	etcd, etcdPeer, apiServer, controllerManager, scheduler, kwok, metricsServer *ports.Port
}

func (a *addresses) all() []**ports.Port {
	return []**ports.Port{&a.etcd, &a.etcdPeer, &a.apiServer, &a.controllerManager, &a.scheduler, &a.kwok, &a.metricsServer}
}

func (a *addresses) reserve() (err error) {
	for _, port := range a.all() {
		if *port, err = ports.Reserve(); err != nil {
			return err
		}
	}
	return nil
}

// release lets go of what was reserved.
func (a *addresses) release() {
	for _, port := range a.all() {
		if *port != nil {
			(*port).Release()
		}
	}
}

func url(scheme string, port *ports.Port) string { return scheme + "://" + port.String() }
