// Package target reads and writes the workloads themselves: replicas through the scale subresource, and the few pieces of metadata that are
// the autoscaler's own. It also reads what annotations refer to: Secrets, ConfigMaps and the environment of containers.
//
// It owns field managers, preconditions and retries. It decides nothing and remembers nothing.
package target
