package decide

import "time"

// MetricType says how a trigger's value and target become a replica count. The names and the arithmetic are those of
// the HorizontalPodAutoscaler v2.
type MetricType uint8

const (
	// AverageValue proposes ceil(value/target): the value is a total that the replicas share.
	AverageValue MetricType = iota
	// Value proposes ceil(replicas*value/target): the value is a level that more replicas bring down.
	Value
	// Utilization is Value over a percentage of what the pods request; for cpu and memory only.
	Utilization
)

// Reading is what a trigger was last seen to say. The zero Reading is UNKNOWN.
type Reading struct {
	// Known is false when the last read failed, came late or is too old. Value and Busy then mean nothing.
	Known bool
	// Value is a finite number ≥ 0; Step treats anything else as UNKNOWN.
	Value float64
	// Busy says that work which Value does not count is in progress, so the trigger is active whatever Value is.
	Busy bool
	// Doubt says that Value stands although a part of what it is made of could not be read. It is good enough to count with, and no
	// proof that there is no work.
	Doubt bool
	// Replicas is the count that the workload had when the value was read; 0 stands for Input.Current. A trigger of type Value is a level at that
	// count, so that one reading asks for the same count however often it is looked at.
	Replicas int32
	// Failures is the number of reads that have failed in a row; 0 while Known.
	Failures int
	// Spent says that Jobs may have been started on the ground of this reading, or since it was begun. Spawn shows it and starts no Job for it;
	// Step, whose counts are absolute, does not care.
	Spent bool
	// Pods is what a cpu or memory trigger has counted; empty for an event trigger.
	Pods Pods
}

// Trigger is one source of demand with its latest reading.
type Trigger struct {
	Name       string
	MetricType MetricType
	// Target is what one replica is meant to carry, > 0, in the unit of the value.
	Target float64
	// Activation is the value above which (strictly) the trigger is active. ≥ 0; 0 means any work activates.
	Activation float64
	// Resource marks cpu and memory: they neither wake a workload from zero nor hold it above zero, and the default
	// scale-up ramp applies to them. Their Value is a percentage (Utilization) or an average over the pods (AverageValue).
	Resource bool
	// Bytes says that Value and Target are bytes and not cores. It changes the sentence about a Resource alone.
	Bytes   bool
	Reading Reading
}

// PauseMode says what a paused workload may still do.
type PauseMode uint8

const (
	// NotPaused leaves the decision alone.
	NotPaused PauseMode = iota
	// PauseHold keeps the present count.
	PauseHold
	// PauseAt goes to Pause.Replicas, whatever the bounds, and holds there.
	PauseAt
	// PauseScaleIn forbids lowering the count.
	PauseScaleIn
	// PauseScaleOut forbids raising the count.
	PauseScaleOut
)

// Pause is a person's brake. The zero Pause is off.
type Pause struct {
	Mode     PauseMode
	Replicas int32
	// Until ends the pause by itself; the zero time means never.
	Until time.Time
}

// SelectPolicy chooses among several policies of one direction.
type SelectPolicy uint8

const (
	// SelectMax takes the policy that allows the greatest change. The default.
	SelectMax SelectPolicy = iota
	// SelectMin takes the policy that allows the smallest change.
	SelectMin
	// SelectDisabled forbids the direction.
	SelectDisabled
)

// Policy limits the change within one period.
type Policy struct {
	// Percent is true for a share of the replicas at the start of the period, false for a number of pods.
	Percent bool
	// Value is that share or number, > 0.
	Value int32
	// Period is > 0 and ≤ 30 minutes.
	Period time.Duration
}

// Rules are the limits of one direction, as in the `behavior` of the HorizontalPodAutoscaler v2.
type Rules struct {
	// Stabilization is the window in which the most cautious recommendation counts, 0 to 1 hour.
	Stabilization time.Duration
	// Policies limit the rate; none means no limit.
	Policies []Policy
	Select   SelectPolicy
	// Tolerance is the relative deviation from the target that changes nothing in this direction, ≥ 0 (0.1 is 10 %).
	Tolerance float64
}

// Behavior holds the rules of both directions.
type Behavior struct {
	ScaleUp   Rules
	ScaleDown Rules
	// EventRamp applies ScaleUp.Policies to event triggers too. It is true when the user gave `behavior.scaleUp`;
	// otherwise proposals of event triggers, which are absolute counts, are reached in one step.
	EventRamp bool
}

// Bounds limit the count.
type Bounds struct {
	// Min is the floor while active, ≥ 0; 0 allows zero while idle.
	Min int32
	// Max is the ceiling, ≥ 1 and ≥ Min.
	Max int32
	// Idle is the count while idle, < Min, or NoIdle.
	Idle int32
	// Schedule names the schedule whose window Min and Max come from; empty when they are those of always.
	Schedule string
	// Until is when Min and Max change by themselves, as a window opens or closes; the zero time means never.
	Until time.Time
}

// NoIdle is Bounds.Idle when no idle count is set.
const NoIdle int32 = -1

// FallbackBehavior says what a trigger that cannot be read asks for. The names are KEDA's.
type FallbackBehavior uint8

const (
	// CurrentReplicasIfHigher asks for the present count or Fallback.Replicas, whichever is higher. The default, since it never lowers.
	CurrentReplicasIfHigher FallbackBehavior = iota
	// Static asks for Fallback.Replicas, also when that is lower than the present count.
	Static
	// CurrentReplicas asks for the present count.
	CurrentReplicas
	// CurrentReplicasIfLower asks for the present count or Fallback.Replicas, whichever is lower.
	CurrentReplicasIfLower
)

// Fallback is what a trigger asks for once its reads have failed After times in a row. It is that trigger's vote, and the highest
// vote wins as ever. The zero Fallback is off: such a trigger stays UNKNOWN.
type Fallback struct {
	// After is the number of failures from which on the fallback applies, ≥ 1; 0 turns it off.
	After int
	// Replicas is ≥ 1.
	Replicas int32
	Behavior FallbackBehavior
}

// Guard is a value that forbids raising the count while it is at its limit or above: a drowning database is not fed more workers.
type Guard struct {
	Name string
	// Limit is > 0, in the unit of the value.
	Limit   float64
	Reading Reading
}

// Input is everything a decision may depend on besides the time and the State.
type Input struct {
	// Current is spec.replicas of the workload, never a count from its status.
	Current int32
	// ZeroIsOurs says that a Current of 0 was written by the autoscaler (or adopted), so that it may be woken. A zero set by a
	// person stays until a person raises it. It means nothing while Current > 0.
	ZeroIsOurs bool
	Bounds     Bounds
	// Cooldown is how long every event trigger must be seen idle before the step below max(Min, 1). ≥ 0.
	Cooldown time.Duration
	// InitialCooldown replaces Cooldown, counted from Adopted, until activity has been seen once. ≥ 0. It counts only if every
	// event trigger was seen idle within 30 seconds of Adopted; a State that begins later, or could not read until later, may
	// have missed work and waits for a whole Cooldown and for the end of the InitialCooldown.
	InitialCooldown time.Duration
	// Adopted is when the workload came under management; the zero time means long ago.
	Adopted     time.Time
	ForceActive bool
	Pause       Pause
	Behavior    Behavior
	Fallback    Fallback
	// RollingOut says that pods of an older template are still being replaced, so that a scale-down would cost more availability than
	// the rollout's own limits allow.
	RollingOut bool
	// Rival names another controller that sets the count of this workload; empty for none.
	Rival string
	// LeftAlone says in a sentence why the count is not to be touched: a Job that has finished, for one. Empty for nothing of the kind.
	LeftAlone string
	Triggers  []Trigger
	Guards    []Guard
}
