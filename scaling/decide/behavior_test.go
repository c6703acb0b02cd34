package decide

import (
	"reflect"
	"testing"
	"time"
)

func TestDefaultBehavior(t *testing.T) {
	want := Behavior{
		ScaleUp: Rules{
			Policies:  []Policy{{Percent: true, Value: 100, Period: 15 * s}, {Value: 4, Period: 15 * s}},
			Tolerance: 0.1,
		},
		ScaleDown: Rules{
			Stabilization: 300 * s,
			Policies:      []Policy{{Percent: true, Value: 100, Period: 15 * s}},
			Tolerance:     0.1,
		},
	}
	if got := DefaultBehavior(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	DefaultBehavior().ScaleUp.Policies[0].Value = 7
	if got := DefaultBehavior(); !reflect.DeepEqual(got, want) {
		t.Error("two callers share one slice")
	}
}

func TestScaleDownWindow(t *testing.T) {
	f := play(t, with(workload(9, event("orders", 90)), window(300*s)))
	f.step(0, 9, AtTarget)
	f.step(5*s, 9, Stabilizing, event("orders", 20))
	f.says("trigger orders: 20 at a target of 10 each asks for 2 replicas; holding 9 for the stabilization window until 12:05:00Z (4m55s)")
	if !f.last.Recheck.Equal(at(300*s)) || !f.last.Until.Equal(at(300*s)) {
		t.Errorf("Recheck is %v, Until %v", f.last.Recheck, f.last.Until)
	}
	f.step(30*s, 9, Stabilizing, event("orders", 60))
	f.step(60*s, 9, Stabilizing, event("orders", 20))
	f.step(299*s, 9, Stabilizing)
	f.step(300*s, 6, Stabilizing) // the 9 has left the window, the 6 of 30 s has not
	f.says("trigger orders: 20 at a target of 10 each asks for 2 replicas; going from 9 to 6 only for the stabilization window until 12:05:30Z (30s)")
	f.step(330*s, 2, BelowTarget)
	f.step(335*s, 8, AboveTarget, event("orders", 80)) // up at once
}

func TestScaleUpWindow(t *testing.T) {
	in := workload(2, event("orders", 20))
	in.Behavior.ScaleUp.Stabilization = 60 * s
	f := play(t, in)
	f.step(0, 2, AtTarget)
	f.step(30*s, 2, Stabilizing, event("orders", 90))
	f.says("trigger orders: 90 at a target of 10 each asks for 9 replicas; holding 2 for the stabilization window until 12:01:00Z (30s)")
	f.step(40*s, 2, Stabilizing, event("orders", 50))
	f.step(60*s, 5, Stabilizing, event("orders", 90))
	f.step(100*s, 9, AboveTarget)
}

// TestWakingIgnoresTheWindowForTheFloor: the floor at once, the rest by the rules.
func TestWakingIgnoresTheWindowForTheFloor(t *testing.T) {
	in := with(workload(0, event("orders", 0)), minimum(0), upPolicies(Policy{Value: 3, Period: 60 * s}))
	f := play(t, in)
	f.step(0, 0, Idle)
	f.step(5*s, 3, Waking, event("orders", 90))
	f.step(10*s, 3, RateLimited)
	f.step(65*s, 6, RateLimited)

	in.Behavior.ScaleUp.Stabilization = 60 * s
	f = play(t, in)
	f.step(0, 0, Idle)
	f.step(5*s, 1, Waking, event("orders", 90))
	f.step(59*s, 1, Stabilizing)
	f.step(60*s, 3, RateLimited) // waking was the first of three

	in.Behavior.ScaleUp.Stabilization, in.Behavior.ScaleUp.Select = 0, SelectDisabled
	f = play(t, in)
	f.step(0, 0, Idle)
	f.step(5*s, 1, Waking, event("orders", 90))
	f.step(10*s, 1, RateLimited)
	f.says("trigger orders: 90 at a target of 10 each asks for 9 replicas; holding 1 replica since behavior disables scale-up")
}

func TestScaleUpPolicies(t *testing.T) {
	f := play(t, with(workload(2, event("orders", 5000)), maximum(100), upPolicies(DefaultBehavior().ScaleUp.Policies...)))
	f.step(0, 6, RateLimited)
	f.says("trigger orders: 5000 at a target of 10 each asks for 500 replicas; going from 2 to 6 only by the scale-up policies until 12:00:15Z (15s)")
	f.step(5*s, 6, RateLimited)
	f.says("trigger orders: 5000 at a target of 10 each asks for 500 replicas; holding 6 by the scale-up policies until 12:00:15Z (10s)")
	f.step(15*s, 12, RateLimited)
	f.step(30*s, 24, RateLimited)
	f.step(45*s, 48, RateLimited)
	f.step(60*s, 96, RateLimited)
	f.step(75*s, 100, AtMaximum)
	f.says("trigger orders: 5000 at a target of 10 each asks for 500 replicas; cut to max-replicas 100")
}

func TestSelectPolicy(t *testing.T) {
	both := []Policy{{Percent: true, Value: 50, Period: 60 * s}, {Value: 2, Period: 60 * s}}
	tests := []struct {
		name     string
		sel      SelectPolicy
		value    float64
		replicas int32
		reason   Reason
		sentence string
	}{
		{"up, max", SelectMax, 190, 15, RateLimited, "trigger orders: 190 at a target of 10 each asks for 19 replicas; going from 10 to 15 only by the scale-up policies until 12:01:00Z (1m0s)"},
		{"up, min", SelectMin, 190, 12, RateLimited, "trigger orders: 190 at a target of 10 each asks for 19 replicas; going from 10 to 12 only by the scale-up policies until 12:01:00Z (1m0s)"},
		{"up, disabled", SelectDisabled, 190, 10, RateLimited, "trigger orders: 190 at a target of 10 each asks for 19 replicas; holding 10 replicas since behavior disables scale-up"},
		{"down, max", SelectMax, 10, 5, RateLimited, "trigger orders: 10 at a target of 10 each asks for 1 replica; going from 10 to 5 only by the scale-down policies until 12:01:00Z (1m0s)"},
		{"down, min", SelectMin, 10, 8, RateLimited, "trigger orders: 10 at a target of 10 each asks for 1 replica; going from 10 to 8 only by the scale-down policies until 12:01:00Z (1m0s)"},
		{"down, disabled", SelectDisabled, 10, 10, RateLimited, "trigger orders: 10 at a target of 10 each asks for 1 replica; holding 10 replicas since behavior disables scale-down"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := with(workload(10, event("orders", tt.value)), upPolicies(both...), downPolicies(both...))
			in.Behavior.ScaleUp.Select, in.Behavior.ScaleDown.Select = tt.sel, tt.sel
			f := play(t, in)
			f.step(0, tt.replicas, tt.reason)
			f.says(tt.sentence)
		})
	}
}

func TestNoPoliciesIsNoLimit(t *testing.T) {
	f := play(t, with(workload(1, event("orders", 200)), upPolicies(), downPolicies()))
	f.step(0, 20, AboveTarget)
	f.step(5*s, 1, BelowTarget, event("orders", 10))
}

// TestDefaultRamp: without behavior.scaleUp the ramp holds back cpu and memory, and event triggers are reached at once.
func TestDefaultRamp(t *testing.T) {
	f := play(t, workload(1, cpu(1000)))
	f.step(0, 5, RateLimited)
	f.step(15*s, 10, RateLimited)
	f.step(20*s, 14, RateLimited, cpu(500), event("orders", 140))
	f.says("trigger cpu: 500% at a target of 50% asks for 100 replicas; trigger orders: 140 at a target of 10 each asks for 14 replicas; going from 10 to 14 only by the scale-up policies until 12:00:30Z (10s)")
	f.step(25*s, 14, RateLimited, cpu(100), event("orders", 140))
	f.step(40*s, 20, AtMaximum)
}

// TestChangesOfOthersDoNotCount: only what the autoscaler did uses up a period.
func TestChangesOfOthersDoNotCount(t *testing.T) {
	f := play(t, with(workload(2, event("orders", 200)), upPolicies(Policy{Value: 3, Period: 60 * s})))
	f.step(0, 5, RateLimited)
	f.scaledByHand(4) // instead of 5, before the next Step
	f.step(5*s, 7, RateLimited)
	f.step(10*s, 7, RateLimited)
	f.scaledByHand(9)
	f.step(15*s, 9, RateLimited) // 9 - 3 + 3
	f.step(65*s, 12, RateLimited)
}

// TestAWriteThatLandsLate is recognised although another count has been asked for since.
func TestAWriteThatLandsLate(t *testing.T) {
	in := with(workload(2, event("orders", 40)), upPolicies(Policy{Value: 3, Period: 60 * s}))
	d, st := Step(at(0), in, State{})
	if d.Replicas != 4 {
		t.Fatalf("got %d", d.Replicas)
	}
	in.Triggers[0].Reading.Value = 200
	d, st = Step(at(s), in, st) // the 4 is on its way
	if d.Replicas != 5 {
		t.Fatalf("got %d", d.Replicas)
	}
	in.Current = 4
	d, st = Step(at(2*s), in, st)
	if d.Replicas != 5 {
		t.Errorf("got %d, want 5: the first two of three were used", d.Replicas)
	}
	in.Current = 5
	if d, _ = Step(at(3*s), in, st); d.Replicas != 5 || !d.Recheck.Equal(at(60*s)) {
		t.Errorf("got %d until %v", d.Replicas, d.Recheck)
	}
}

// TestHistorySurvivesEdits: HA-14. A behavior that is edited keeps what was recommended and done before.
func TestHistorySurvivesEdits(t *testing.T) {
	f := play(t, with(workload(9, event("orders", 90)), window(0)))
	f.step(0, 9, AtTarget)
	f.in.Behavior.ScaleDown.Stabilization = 300 * s
	f.step(10*s, 9, Stabilizing, event("orders", 20))
	f.in.Triggers[0].Target = 12 // and a target
	f.step(20*s, 9, Stabilizing)
	f.step(300*s, 2, BelowTarget)
	f.in.Behavior.ScaleDown.Policies = []Policy{{Value: 7, Period: 60 * s}}
	f.in.Behavior.ScaleDown.Stabilization = 0
	f.step(310*s, 2, RateLimited, event("orders", 10)) // the seven are used up
	f.step(360*s, 1, BelowTarget)
}

// TestAmnesia is HA-11: a new State holds for a whole window, a low reading or not.
func TestAmnesia(t *testing.T) {
	f := play(t, with(workload(9, event("orders", 10)), window(300*s)))
	f.step(0, 9, Stabilizing)
	f.step(299*s, 9, Stabilizing)
	f.step(300*s, 1, BelowTarget)
}

// TestOutageIsAmnesia: what was not read during the outage cannot have asked for less.
func TestOutageIsAmnesia(t *testing.T) {
	f := play(t, with(workload(9, event("a", 90), event("b", 0)), window(60*s)))
	f.step(0, 9, AtTarget)
	f.step(10*s, 9, TriggerUnknown, event("a", 10), broken("b"))
	f.step(600*s, 9, TriggerUnknown)
	f.step(605*s, 9, Stabilizing, event("a", 10), event("b", 0))
	f.step(665*s, 1, BelowTarget)
	// a short one costs nothing
	f.step(670*s, 9, AboveTarget, event("a", 90), event("b", 0))
	f.step(700*s, 9, TriggerUnknown, event("a", 10), broken("b"))
	f.step(705*s, 9, Stabilizing, event("a", 10), event("b", 0))
	f.step(730*s, 1, BelowTarget)
}

// TestHandedBack: a person who raises a workload from zero gets a full window and a full cooldown.
func TestHandedBack(t *testing.T) {
	f := play(t, with(workload(0, event("orders", 0)), minimum(0), zeroByPerson, window(120*s)))
	f.step(0, 0, ZeroByUser)
	f.says("scaled to zero by a person; raise it by hand (kubectl scale) to hand it back")
	f.step(3600*s, 0, ZeroByUser)
	f.scaledByHand(3)
	f.step(3605*s, 3, Stabilizing)
	f.step(3725*s, 1, BelowTarget)
	f.step(3726*s, 0, Idle)
}

func TestHistoriesStayBounded(t *testing.T) {
	for _, window := range []time.Duration{0, 10 * s, 300 * s, time.Hour} {
		in := with(workload(1, event("orders", 0)), func(in *Input) { in.Behavior.ScaleDown.Stabilization, in.Bounds.Max = window, 1<<30 })
		in.Behavior.ScaleUp.Stabilization = window
		var st State
		now := noon
		for i := range 60_000 { // a hundred Steps a second, falling all the time
			now = now.Add(10 * time.Millisecond)
			in.Triggers[0].Reading.Value = float64(10_000_000 - 100*i)
			if i%2 == 0 {
				in.Triggers[0].Reading.Value = float64(100 * i)
			}
			var d Decision
			d, st = Step(now, in, st)
			in.Current = d.Replicas
			if n := max(len(st.highs), len(st.lows), len(st.added), len(st.removed)); n > 450 {
				t.Fatalf("window %v: %d marks after %d Steps", window, n, i)
			}
		}
	}
}
