package decide

import "time"

// Reason is a bounded CamelCase word for what decided, fit for events and metric labels.
type Reason string

// The reasons. Exactly one is on every Decision.
const (
	// AtTarget: the winning trigger is within tolerance of its target, or proposes the present count.
	AtTarget Reason = "AtTarget"
	// AboveTarget: the winning trigger asks for more replicas.
	AboveTarget Reason = "AboveTarget"
	// BelowTarget: every trigger asks for fewer replicas.
	BelowTarget Reason = "BelowTarget"
	// AtMaximum: the proposal was cut to max-replicas.
	AtMaximum Reason = "AtMaximum"
	// AtMinimum: the proposal was raised to the floor.
	AtMinimum Reason = "AtMinimum"
	// Stabilizing: the stabilization window holds back the change.
	Stabilizing Reason = "Stabilizing"
	// RateLimited: a policy of `behavior` holds back part of the change.
	RateLimited Reason = "RateLimited"
	// Waking: the workload leaves zero or its idle count because work arrived.
	Waking Reason = "Waking"
	// CoolingDown: every event trigger is idle, and the cooldown has not passed yet.
	CoolingDown Reason = "CoolingDown"
	// Idle: every event trigger has been idle for the whole cooldown.
	Idle Reason = "Idle"
	// TriggerUnknown: a trigger could not be read, so the count does not fall.
	TriggerUnknown Reason = "TriggerUnknown"
	// ZeroByUser: a person scaled to zero; it stays until a person raises it.
	ZeroByUser Reason = "ZeroByUser"
	// Paused: the pause annotation holds or sets the count.
	Paused Reason = "Paused"
	// FallbackInUse: a trigger cannot be read, and its fallback decided.
	FallbackInUse Reason = "Fallback"
	// Guarded: a guard is at its limit, or cannot be read, so the count does not rise.
	Guarded Reason = "Guarded"
	// RollingOut: a rollout is in progress, so the count does not fall.
	RollingOut Reason = "RollingOut"
	// Conflict: another controller sets the count, so this one does not.
	Conflict Reason = "Conflict"
	// LeftAlone: the object itself is in a state in which its count means nothing, or is not to be changed.
	LeftAlone Reason = "LeftAlone"
	// JobsUnknown: how many Jobs run is not known, so none is started.
	JobsUnknown Reason = "JobsUnknown"
	// ForcedActive: force-active holds the floor although no trigger is active.
	ForcedActive Reason = "ForcedActive"
)

// Proposal is what one trigger asked for, before any limit.
type Proposal struct {
	// Known is false when the trigger's reading was UNKNOWN.
	Known bool
	// Fallback is true when the reading was UNKNOWN and Input.Fallback stands in for it.
	Fallback bool
	// Active is true when value > activation, work is in progress, or a fallback stands in.
	Active bool
	// Replicas asked for, saturated at the largest int32; 0 while UNKNOWN.
	Replicas int32
}

// Decision is the answer of one Step. It borrows Proposals from the State, so it is valid until the next Step with that State.
type Decision struct {
	// Replicas is the count to write.
	Replicas int32
	// From is the Input.Current that the decision was made for; a writer that meets another count must not apply it.
	From   int32
	Reason Reason
	// Active says that at least one event trigger was seen active, or that force-active is set.
	Active bool
	// Unknown is the number of triggers that could not be read and have no fallback.
	Unknown int
	// Winner is the index of the trigger that decided, or -1.
	Winner int
	// Guard is the index of the guard that held back the count, or -1.
	Guard int
	// Wanted is the proposal before stabilization, policies and bounds.
	Wanted int32
	// Proposals has one entry a trigger, in the order of Input.Triggers.
	Proposals []Proposal
	// Recheck is when the decision may change without a new reading (a cooldown, window, policy period or pause ends); zero for never.
	Recheck time.Time
	// At is the time of the Step.
	At time.Time
	// Until is when the window, policy period, cooldown or pause that Reason names ends; zero when Reason names none, or no end.
	Until time.Time
	// IdleSince is the first reading since which every event trigger has been idle; zero while there is none.
	IdleSince time.Time
}
