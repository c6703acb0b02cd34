// Package cluster runs a real Kubernetes control plane on the loopback interface, without containers: etcd, API
// server, controller-manager and scheduler from the released sources, KWOK playing the nodes and their pods, and on
// request metrics-server reading the usage that KWOK makes up. Tests, the demo and the benchmarks share it.
//
//	c, err := cluster.Start(ctx, cluster.Options{})
//	if err != nil {
//		return err
//	}
//	defer c.Stop()
//	client, err := kubernetes.NewForConfig(c.Config())
//
// The first Start on a machine builds the programs, which takes some minutes, and keeps them in the user's cache; from
// then on a cluster is ready in seconds. Several clusters can run side by side: each has its own folder, ports and
// certificates. Every part is a [Process] that can be paused, killed, stopped and restarted, so that faults are real.
//
// No container ever runs: a pod is Ready because KWOK says so. What needs a real container, a pod network or Service
// addresses is out of reach here. A webhook has to be registered by URL, since the API server refuses Services that
// lead to the loopback interface.
//
// The package owns processes, certificates and files. It refuses to know testing.TB (package clustertest does) and
// everything about the autoscaler: that is one more [Process], with a kubeconfig from [Cluster.TokenConfig].
package cluster
