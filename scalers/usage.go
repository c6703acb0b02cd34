package scalers

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Usage measures the pods of workloads.
type Usage interface {
	// Pods lists every pod whose chain of owners ends at the workload, whatever its state, with what it was last measured to use. The list is
	// the caller's; what it points to is shared and must not be changed. An error says what failed and what to do; no pods is no error.
	Pods(ctx context.Context, workload Host) ([]Pod, error)
}

// Pod is one pod, as far as its usage is concerned.
type Pod struct {
	Name string
	// Deleted says that the pod is being deleted.
	Deleted bool
	Phase   corev1.PodPhase
	// Created is when the pod was made, and Started when a node took it; zero before.
	Created, Started time.Time
	// Ready is the pod's condition of this name; the zero value before there is one.
	Ready Condition
	// Requests are those of the pod as a whole; nil when only its containers have some.
	Requests corev1.ResourceList
	// Containers are those that run as long as the pod does: all but init containers that end.
	Containers []Container
	// Sample is nil for a pod that was not measured.
	Sample *Sample
}

// Condition is a condition of a pod.
type Condition struct {
	Status corev1.ConditionStatus
	// Since is when Status last changed.
	Since time.Time
}

// Container is one container of a pod.
type Container struct {
	Name     string
	Requests corev1.ResourceList
}

// Sample is one measurement of a pod: an average over the Window before Time.
type Sample struct {
	Time   time.Time
	Window time.Duration
	// Usage is by container.
	Usage map[string]corev1.ResourceList
}

// Pods are sums over the pods of a workload, in thousandths of a core or of a byte. Pods that are being deleted, have failed or have finished are in none.
type Pods struct {
	// Measured pods count with what they use.
	Measured        int
	Usage, Requests int64
	// Missing pods run without a measurement.
	Missing         int
	MissingRequests int64
	// Unready pods are not ready, or were started so lately that their cpu says nothing yet.
	Unready         int
	UnreadyRequests int64
}
