package decide

import (
	"math"
	"testing"
	"time"
)

// ruleCase is one Step with a new State.
type ruleCase struct {
	name     string
	in       Input
	replicas int32
	reason   Reason
}

func (tt ruleCase) run(t *testing.T) {
	d := once(tt.in)
	if d.Replicas != tt.replicas || d.Reason != tt.reason {
		t.Errorf("got %d (%s), want %d (%s): %s", d.Replicas, d.Reason, tt.replicas, tt.reason, d.Sentence(tt.in))
	}
	if d.From != tt.in.Current || !d.At.Equal(noon) {
		t.Errorf("From is %d and At %v", d.From, d.At)
	}
}

func TestRules(t *testing.T) {
	tests := []ruleCase{
		{"a backlog is reached in one step", with(workload(1, event("orders", 500)), maximum(50)), 50, AboveTarget},
		{"the highest proposal wins", workload(1, event("a", 20), event("b", 70), event("c", 10)), 7, AboveTarget},
		{"cut to the maximum", workload(1, event("orders", 500)), 20, AtMaximum},
		{"at the maximum already", workload(20, event("orders", 500)), 20, AtMaximum},
		{"the floor", with(workload(5, event("orders", 0)), minimum(3)), 3, AtMinimum},
		{"within tolerance", workload(5, event("orders", 52)), 5, AtTarget},
		{"fewer", workload(5, event("orders", 20)), 2, BelowTarget},
		{"above the maximum", with(workload(30, event("orders", 50)), maximum(10)), 10, AtMaximum},
		{"above the maximum, nothing known", with(workload(30, broken("orders")), maximum(10)), 10, AtMaximum},
		{"below the minimum", with(workload(1, event("orders", 0)), minimum(4)), 4, AtMinimum},
		{"below the minimum, more is wanted", with(workload(1, event("orders", 90)), minimum(4)), 9, AboveTarget},
		{"below the minimum, nothing known", with(workload(1, broken("orders")), minimum(4)), 4, AtMinimum},
		{"minimum raised over a zero of ours", with(workload(0, event("orders", 0)), minimum(2)), 2, AtMinimum},
		{"minimum raised, nothing known", with(workload(0, broken("orders")), minimum(2)), 2, AtMinimum},

		{"HA-01 one says down, the other is unknown", workload(8, event("a", 5), broken("b")), 8, TriggerUnknown},
		{"HA-01 a rise in spite of the other", workload(8, event("a", 100), broken("b")), 10, AboveTarget},
		{"HA-02 a broken side metric disables nothing", workload(8, broken("b"), event("a", 200)), 20, AboveTarget},
		{"HA-05 NaN is no reason to fall", workload(8, event("a", math.NaN())), 8, TriggerUnknown},
		{"HA-06 the largest backlog is the maximum", workload(8, event("a", 1e308)), 20, AtMaximum},
		{"HA-07 minus one is no reason to rise or fall", workload(8, event("a", -1)), 8, TriggerUnknown},
		{"HA-13 no triggers", workload(6), 6, TriggerUnknown},
		{"HA-13 no triggers at zero", with(workload(0), minimum(0)), 0, TriggerUnknown},
		{"HA-13 nothing known from the start", workload(6, broken("a"), broken("b")), 6, TriggerUnknown},
		{"an unknown cpu blocks the way down", workload(6, event("a", 0), Trigger{Name: "cpu", Target: 50, Resource: true}), 6, TriggerUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, tt.run)
	}
}

func TestWaking(t *testing.T) {
	tests := []ruleCase{
		{"woken with its whole backlog", with(workload(0, event("a", 90)), minimum(0)), 9, Waking},
		{"woken to the minimum at least", with(workload(0, event("a", 1)), minimum(3), idleCount(0)), 3, Waking},
		{"woken from the idle count", with(workload(1, event("a", 90)), minimum(3), idleCount(1)), 9, Waking},
		{"woken by work in progress", with(workload(0, Trigger{Name: "a", Target: 10, Reading: Reading{Known: true, Busy: true}}), minimum(0)), 1, Waking},
		{"woken in spite of an unknown", with(workload(0, broken("b"), event("a", 90)), minimum(0)), 9, Waking},
		{"not woken by an unknown", with(workload(0, broken("b"), event("a", 0)), minimum(0)), 0, TriggerUnknown},
		{"not woken by cpu", with(workload(0, event("a", 0), cpu(500)), minimum(0)), 0, Idle},
		{"cpu has no say in how far", with(workload(0, event("a", 20), cpu(500)), minimum(0)), 2, Waking},
		{"not woken below the activation", with(workload(0, Trigger{Name: "a", Target: 1, Activation: 5, Reading: Reading{Known: true, Value: 5}}), minimum(0)), 0, Idle},
		{"activation means nothing without zero", workload(1, Trigger{Name: "a", Target: 1, Activation: 5, Reading: Reading{Known: true, Value: 5}}), 5, AboveTarget},
		{"cpu alone never rests", with(workload(0, cpu(0)), minimum(0)), 1, AtMinimum},
		{"cpu alone is never idle", with(workload(1, cpu(0)), minimum(0)), 1, AtMinimum},
		{"up to the idle count", with(workload(0, event("a", 0)), minimum(3), idleCount(2)), 2, Idle},
		{"unknown holds below the idle count", with(workload(0, broken("a")), minimum(3), idleCount(2)), 0, TriggerUnknown},
		{"between idle and minimum, cpu asks for more", with(workload(2, event("a", 0), cpu(75)), minimum(5), idleCount(1)), 5, AboveTarget},

		{"force-active wakes", with(workload(0, event("a", 0)), minimum(0), forceActive), 1, ForcedActive},
		{"force-active wakes, nothing known", with(workload(0, broken("a")), minimum(0), forceActive), 1, ForcedActive},
		{"force-active leaves the rest to the triggers", with(workload(0, event("a", 90)), minimum(0), forceActive), 9, Waking},

		{"a person's zero stays", with(workload(0, event("a", 500)), minimum(0), zeroByPerson), 0, ZeroByUser},
		{"a person's zero stays below the minimum", with(workload(0, event("a", 500)), minimum(3), zeroByPerson), 0, ZeroByUser},
		{"a person's zero stays when forced", with(workload(0, event("a", 500)), forceActive, zeroByPerson), 0, ZeroByUser},
	}
	for _, tt := range tests {
		t.Run(tt.name, tt.run)
	}
}

// TestOrderOfRules sets up every rule at once and takes away the winner, one after another.
func TestOrderOfRules(t *testing.T) {
	in := with(workload(0, event("a", 0), broken("b")), minimum(0), zeroByPerson, paused(Pause{Mode: PauseAt, Replicas: 30}))
	expect := func(rule string, replicas int32, reason Reason) {
		t.Helper()
		if d := once(in); d.Replicas != replicas || d.Reason != reason {
			t.Fatalf("%s: got %d (%s), want %d (%s)", rule, d.Replicas, d.Reason, replicas, reason)
		}
	}
	expect("a paused count is beyond a person's zero and the bounds", 30, Paused)
	in.Pause.Mode = PauseHold
	expect("a person's zero is before a pause", 0, ZeroByUser)
	in.Current, in.Bounds.Max = 25, 20
	expect("a pause holds above the maximum", 25, Paused)
	in.Pause.Mode = PauseScaleIn
	expect("a paused direction holds above the maximum", 25, Paused)
	in.Pause.Mode = PauseScaleOut
	expect("the maximum is before an unknown trigger", 20, AtMaximum)
	in.Current, in.ZeroIsOurs = 0, true
	expect("resting needs every event trigger", 0, TriggerUnknown)
	in.Triggers = in.Triggers[:1]
	expect("rest", 0, Idle)
	in.Current, in.Cooldown, in.InitialCooldown, in.Adopted = 1, 0, 0, noon
	expect("the step to rest", 0, Idle)
	in.Cooldown, in.Adopted = time.Minute, noon.Add(-time.Hour)
	expect("the cooldown", 1, CoolingDown)
	in.Triggers[0].Reading.Value = 500
	expect("a paused direction is after every rule", 1, Paused)
	in.Pause = Pause{}
	expect("the recommendation", 20, AtMaximum)
}

// TestWinner has the proposal and the index that decided.
func TestWinner(t *testing.T) {
	d := once(workload(1, event("a", 20), broken("b"), event("c", 90), event("d", 90)))
	if d.Winner != 2 || d.Wanted != 9 || d.Unknown != 1 || len(d.Proposals) != 4 {
		t.Errorf("got %+v", d)
	}
	if d.Proposals[0] != (Proposal{Known: true, Active: true, Replicas: 2}) || d.Proposals[1] != (Proposal{}) {
		t.Errorf("got proposals %+v", d.Proposals)
	}
}
