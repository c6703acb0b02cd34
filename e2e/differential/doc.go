// Package differential compares the autoscaler with the real HorizontalPodAutoscaler: the same workload stands twice in one cluster, once under an
// HPA of kube-controller-manager and once under our annotations, and both are fed the same series of loads. The counts that each gives its
// workload, in order, must be the same, but for the differences that docs/differences.md lists; those are shown, too.
//
// The HPA reads its loads from a server of the external metrics API in this process, ours from the length of Redis streams; what pods use of cpu and
// memory both read from a server of the resource metrics API, which is in this process, too.
//
// The two loops never tick together, and nothing here may depend on their phase. So a scenario is a series of steps: a step sets one load for both,
// and the next begins only when each side has looked several times without a change, and every window and period that ends at all has ended. Inside
// a step the phase cannot matter either, by the way scenarios are made (see generate.go). The HPA is only shown a load while all pods of its
// workload are Ready (and ours the use of its pods, likewise): it counts pods where we count replicas, which is one of the listed differences and not what the comparison is about.
//
// The package owns scenarios and their comparison. It knows nothing of how a decision is made.
package differential
