package decide

import (
	"testing"
	"time"
)

// failed is an event trigger whose reads have failed n times in a row.
func failed(name string, n int) Trigger {
	return Trigger{Name: name, Target: 10, Reading: Reading{Failures: n}}
}

func fallback(after int, replicas int32, b FallbackBehavior) func(*Input) {
	return func(in *Input) { in.Fallback = Fallback{After: after, Replicas: replicas, Behavior: b} }
}

func TestFallback(t *testing.T) {
	higher := fallback(3, 6, CurrentReplicasIfHigher)
	tests := []ruleCase{
		{"FB-01 not before the threshold", with(workload(2, failed("a", 2)), higher), 2, TriggerUnknown},
		{"FB-01 at the threshold", with(workload(2, failed("a", 3)), higher), 6, FallbackInUse},
		{"FB-01 after it", with(workload(2, failed("a", 30)), higher), 6, FallbackInUse},
		{"FB-01 a reading is no failure", with(workload(2, event("a", 20)), higher), 2, AtTarget},
		{"FB-03 from zero", with(workload(0, failed("a", 3)), minimum(0), higher), 6, FallbackInUse},
		{"FB-03 from a zero below the minimum", with(workload(0, failed("a", 3)), minimum(1), higher), 6, FallbackInUse},
		{"FB-05 never lowers", with(workload(12, failed("a", 3)), higher), 12, FallbackInUse},
		{"FB-05 the highest vote wins", with(workload(3, failed("a", 3), event("b", 120)), higher), 12, AboveTarget},
		{"FB-05 the highest vote wins, cpu's too", with(workload(8, failed("a", 3), cpu(75)), fallback(3, 3, Static)), 12, AboveTarget},
		{"static lowers", with(workload(12, failed("a", 3)), fallback(3, 3, Static)), 3, FallbackInUse},
		{"static raises", with(workload(1, failed("a", 3)), fallback(3, 3, Static)), 3, FallbackInUse},
		{"static within the window", with(workload(12, failed("a", 3)), fallback(3, 3, Static), window(time.Minute)), 12, Stabilizing},
		{"the present count", with(workload(12, failed("a", 3)), fallback(3, 3, CurrentReplicas)), 12, FallbackInUse},
		{"the present count of zero is no vote", with(workload(0, failed("a", 3)), minimum(0), fallback(3, 3, CurrentReplicas)), 0, TriggerUnknown},
		{"the lower of both", with(workload(12, failed("a", 3)), fallback(3, 3, CurrentReplicasIfLower)), 3, FallbackInUse},
		{"the lower of both is the present", with(workload(2, failed("a", 3)), fallback(3, 3, CurrentReplicasIfLower)), 2, FallbackInUse},
		{"within bounds", with(workload(2, failed("a", 3)), fallback(3, 60, Static)), 20, AtMaximum},
		{"not for a person's zero", with(workload(0, failed("a", 3)), zeroByPerson, higher), 0, ZeroByUser},
		{"another trigger that is only unknown still holds", with(workload(12, failed("a", 3), failed("b", 1)), fallback(3, 3, Static)), 12, TriggerUnknown},
		{"cpu has no vote at zero", with(workload(0, event("a", 0), Trigger{Name: "cpu", Target: 50, Resource: true, Reading: Reading{Failures: 9}}), minimum(0), higher), 0, Idle},
		{"cpu has a vote at one", with(workload(1, Trigger{Name: "cpu", Target: 50, Resource: true, Reading: Reading{Failures: 9}}), higher), 5, RateLimited},
	}
	for _, tt := range tests {
		t.Run(tt.name, tt.run)
	}
}

// TestFallbackIsNoProofOfIdleness: while a fallback stands in, no cooldown runs.
func TestFallbackIsNoProofOfIdleness(t *testing.T) {
	f := play(t, with(workload(6, failed("orders", 3)), minimum(0), fallback(3, 6, CurrentReplicasIfHigher)))
	f.step(0, 6, FallbackInUse)
	f.says("trigger orders could not be read 3 times in a row; its fallback asks for 6 replicas")
	f.step(time.Hour, 6, FallbackInUse)
	f.step(time.Hour+time.Second, 1, BelowTarget, event("orders", 0))
	f.step(time.Hour+2*time.Second, 1, CoolingDown)
	f.says("no work seen since 13:00:01Z; zero after the cooldown of 1m0s, at 13:01:01Z")
}

// TestFallbackForPodsOutlastsTheCooldown: cpu has no say once events have been idle for the whole cooldown, but only when it could be read.
func TestFallbackForPodsOutlastsTheCooldown(t *testing.T) {
	unread := Trigger{Name: "cpu", Target: 50, Resource: true, Reading: Reading{Failures: 9}}
	for name, behavior := range map[string]FallbackBehavior{"higher": CurrentReplicasIfHigher, "static": Static} {
		t.Run(name, func(t *testing.T) {
			f := play(t, with(workload(1, event("orders", 0), unread), minimum(0), fallback(3, 1, behavior)))
			f.step(0, 1, FallbackInUse)
			f.step(time.Hour, 1, FallbackInUse)
			f.says("trigger cpu could not be read 9 times in a row; its fallback asks for 1 replica; trigger orders: 0 at a target of 10 each is not above its activation of 0")
			f.step(time.Hour+time.Second, 0, Idle, event("orders", 0), cpu(90))
		})
	}
}

// TestDoubt: a value that is not the whole of it counts, and proves no idleness.
func TestDoubt(t *testing.T) {
	doubtful := Trigger{Name: "formula", Target: 10, Reading: Reading{Known: true, Doubt: true}}
	f := play(t, with(workload(4, doubtful), minimum(0)))
	f.step(0, 1, BelowTarget)
	f.step(time.Hour, 1, AtTarget)
	f.says("trigger formula: 0 at a target of 10 each, a part of which could not be read, is not above its activation of 0")
	f.step(2*time.Hour, 1, CoolingDown, event("formula", 0))
	f.step(2*time.Hour+time.Minute, 0, Idle)
	f.step(3*time.Hour, 0, Idle, doubtful)
}
