package scalers

import (
	"context"
	"net"

	"k8s.io/apimachinery/pkg/types"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schema"
)

// Reading is what one read of a source found.
type Reading struct {
	// Value is the amount of work, finite and ≥ 0, in the unit of the trigger's target.
	Value float64
	// Busy says that work is in progress that Value does not count, so the workload must not go to zero.
	Busy bool
	// Note is a sentence for people about how the value came about, such as "the stream does not exist"; usually empty. It holds no secret and stays the same
	// while its cause does.
	Note string
	// Pods is what the workload's own pods use and request, in sums; only cpu and memory fill it in. Value is then what they come to.
	Pods Pods
	// Unmeasured says that there is nothing to measure yet, such as no pod that has run for long enough. Value means nothing then: the trigger
	// is UNKNOWN, but nothing has failed. Note says why.
	Unmeasured bool
}

// Scaler reads one source. It may also implement io.Closer, which is called once when the trigger is edited or goes.
type Scaler interface {
	// Read asks the source once, within the deadline of ctx. Every failure is an error, which the host takes for UNKNOWN; 0 is only
	// returned when the source has positively said that there is nothing. Calls of one scaler do not overlap.
	Read(ctx context.Context) (Reading, error)
}

// Starter is implemented by a scaler that can ask its source and leave, so that none of the many reads under way holds a goroutine.
type Starter interface {
	Scaler
	// Start asks within the deadline of ctx, without waiting, and calls answered when the answer is there: from any goroutine, also before it returns, and at the
	// latest soon after the deadline. An answer in time is concluded at once, another one never. conclude does not wait either; whole is false for an answer
	// that is not enough, and calls for a Read.
	Start(ctx context.Context, answered func(conclude func() (reading Reading, whole bool, err error)))
}

// Host is what a scaler may know of the workload that it reads for.
type Host struct {
	// Namespace of the workload; a host name without a dot is a Service in it.
	Namespace string
	// Trigger holds the common parameters.
	Trigger annotations.Common
	// MaxReplicas is the ceiling; counting beyond what it can need is wasted.
	MaxReplicas int32
	// Name and UID are the workload's. A workload that is made anew under its name has another UID.
	Name string
	UID  types.UID
}

// DialContext opens a connection. It is the only way for a scaler to reach the network.
type DialContext func(ctx context.Context, network, address string) (net.Conn, error)

// References reads the places that a workload's annotations name.
type References interface {
	// Resolve returns the text kept there. A place that does not exist, may not be read or is empty is an error that names it.
	Resolve(ctx context.Context, ref schema.Ref) (string, error)
}
