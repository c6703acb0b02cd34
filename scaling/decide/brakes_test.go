package decide

import (
	"testing"
	"time"
)

func guard(value float64) Guard {
	return Guard{Name: "database", Limit: 80, Reading: Reading{Known: true, Value: value}}
}

func guards(g ...Guard) func(*Input)   { return func(in *Input) { in.Guards = g } }
func rollingOut(in *Input)             { in.RollingOut = true }
func left(in *Input)                   { in.LeftAlone = "the Job has finished" }
func rival(name string) func(*Input)   { return func(in *Input) { in.Rival = name } }
func bounds(b Bounds) func(*Input)     { return func(in *Input) { in.Bounds = b } }
func disabledDown(in *Input)           { in.Behavior.ScaleDown.Select = SelectDisabled }
func pausedAt(n int32) func(in *Input) { return paused(Pause{Mode: PauseAt, Replicas: n}) }

func TestBrakes(t *testing.T) {
	unreadable := Guard{Name: "database", Limit: 80}
	onePod := downPolicies(Policy{Value: 1, Period: time.Minute})
	tests := []ruleCase{
		{"a guard below its limit", with(workload(3, event("a", 90)), guards(guard(79.9))), 9, AboveTarget},
		{"a guard at its limit", with(workload(3, event("a", 90)), guards(guard(80))), 3, Guarded},
		{"any of several guards", with(workload(3, event("a", 90)), guards(guard(0), guard(81))), 3, Guarded},
		{"a guard that cannot be read", with(workload(3, event("a", 90)), guards(unreadable)), 3, Guarded},
		{"a guard does not keep the count from falling", with(workload(9, event("a", 30)), guards(guard(100))), 3, BelowTarget},
		{"a guard keeps a workload asleep", with(workload(0, event("a", 90)), minimum(0), guards(guard(100))), 0, Guarded},
		{"a guard does not break the floor", with(workload(1, event("a", 90)), minimum(4), guards(guard(100))), 4, Guarded},
		{"nor does it speak when nothing is held back", with(workload(1, event("a", 10)), minimum(4), guards(guard(100))), 4, AtMinimum},
		{"a guard does not answer to a person's order", with(workload(1, event("a", 90)), guards(guard(100)), pausedAt(7)), 7, Paused},

		{"HA-15 no fall during a rollout", with(workload(9, event("a", 30)), rollingOut), 9, RollingOut},
		{"HA-15 no fall to zero during a rollout", with(workload(1, event("a", 0)), minimum(0), cooldown(0), initial(0), rollingOut), 1, RollingOut},
		{"HA-15 no fall to the maximum during a rollout", with(workload(30, event("a", 30)), rollingOut), 30, RollingOut},
		{"HA-15 a rise during a rollout", with(workload(3, event("a", 90)), rollingOut), 9, AboveTarget},
		{"HA-15 a person's order during a rollout", with(workload(3, event("a", 90)), rollingOut, pausedAt(1)), 1, Paused},

		{"HA-09 another controller", with(workload(3, event("a", 90)), rival("HorizontalPodAutoscaler web")), 3, Conflict},
		{"HA-09 another controller, whatever the bounds", with(workload(30, event("a", 90)), rival("x"), pausedAt(1)), 30, Conflict},

		{"an object that is left alone, whatever the bounds", with(workload(30, event("a", 90)), left, pausedAt(1)), 30, LeftAlone},

		{"GO-09 above the maximum by policy", with(workload(30, event("a", 0)), onePod), 29, RateLimited},
		{"GO-09 above the maximum, scaling down disabled", with(workload(30, event("a", 0)), disabledDown), 20, AtMaximum},
		{"GO-09 above the maximum, no window", with(workload(30, event("a", 0)), window(time.Hour)), 20, AtMaximum},
	}
	for _, tt := range tests {
		t.Run(tt.name, tt.run)
	}
}

func TestBrakesInWords(t *testing.T) {
	eight := bounds(Bounds{Min: 5, Max: 8, Idle: NoIdle, Schedule: "office", Until: at(time.Hour)})
	tests := []struct {
		name string
		in   Input
		want string
	}{
		{"a guard", with(workload(3, event("a", 90)), guards(guard(81.5))), "trigger a: 90 at a target of 10 each asks for 9 replicas; guard database: 81.5 has reached its limit of 80; holding 3"},
		{
			"a guard that cannot be read, at the floor", with(workload(1, event("a", 90)), minimum(4), guards(Guard{Name: "database", Limit: 80})),
			"trigger a: 90 at a target of 10 each asks for 9 replicas; guard database could not be read and may have reached its limit of 80; going from 1 to 4 only",
		},
		{"a rollout", with(workload(9, event("a", 30)), rollingOut), "trigger a: 30 at a target of 10 each asks for 3 replicas; holding 9 replicas until the rollout in progress is done"},
		{"a rival", with(workload(3, event("a", 90)), rival("HorizontalPodAutoscaler web")), "HorizontalPodAutoscaler web scales this workload too; holding 3 replicas until one of the two is gone"},
		{"an object that is left alone", with(workload(3, event("a", 90)), left), "the Job has finished"},
		{
			"above the maximum", with(workload(30, event("a", 0)), downPolicies(Policy{Value: 1, Period: time.Minute})),
			"30 replicas are above max-replicas 20; going from 30 to 29 only by the scale-down policies until 12:01:00Z (1m0s)",
		},
		{"a schedule's floor", with(workload(3, event("a", 0)), eight), "trigger a: 0 at a target of 10 each asks for 0 replicas; raised to min-replicas 5 (schedule office)"},
		{"a schedule's ceiling", with(workload(5, event("a", 900)), eight), "trigger a: 900 at a target of 10 each asks for 90 replicas; cut to max-replicas 8 (schedule office)"},
		{"above a schedule's ceiling", with(workload(9, event("a", 900)), eight), "9 replicas are above max-replicas 8 (schedule office); lowering to 8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := play(t, tt.in)
			f.last = once(tt.in)
			f.says(tt.want)
		})
	}
}

// TestBoundsThatEnd asks to be looked at again when a window opens or closes.
func TestBoundsThatEnd(t *testing.T) {
	in := with(workload(3, event("a", 30)), bounds(Bounds{Min: 1, Max: 8, Idle: NoIdle, Until: at(time.Hour)}))
	if d := once(in); !d.Recheck.Equal(at(time.Hour)) || !d.Until.IsZero() {
		t.Errorf("recheck at %v, until %v", d.Recheck, d.Until)
	}
}

// TestAboveMaximumFallsByPolicy: one pod a minute, as behavior says.
func TestAboveMaximumFallsByPolicy(t *testing.T) {
	f := play(t, with(workload(22, event("a", 500)), downPolicies(Policy{Value: 1, Period: time.Minute})))
	f.step(0, 21, RateLimited)
	f.step(30*time.Second, 21, RateLimited)
	f.step(61*time.Second, 20, AtMaximum)
	f.step(200*time.Second, 20, AtMaximum)
}

// TestEdited keeps the history and begins as though the present count had just been recommended (HA-14).
func TestEdited(t *testing.T) {
	const s = time.Second
	in := with(workload(10, event("a", 100)), window(time.Minute), downPolicies(Policy{Value: 2, Period: time.Minute}), minimum(0))
	f := play(t, in)
	f.step(0, 10, AtTarget)
	f.step(70*s, 8, RateLimited, event("a", 10))
	f.state = f.state.Edited()
	f.step(71*s, 8, Stabilizing) // the present count counts as recommended
	f.step(129*s, 8, Stabilizing)
	f.step(131*s, 6, RateLimited) // and the change of 70 s is still known
	f.step(132*s, 6, RateLimited)
	if st := (State{}).Edited(); st.edited {
		t.Error("a new State needs no refill")
	}
}

// TestEditsOfTheCooldownApplyAtOnce (SZ-06).
func TestEditsOfTheCooldownApplyAtOnce(t *testing.T) {
	f := play(t, with(workload(1, event("a", 0)), minimum(0), cooldown(5*time.Minute), initial(5*time.Minute)))
	f.step(0, 1, CoolingDown)
	f.step(20*time.Second, 1, CoolingDown)
	f.in.Cooldown = 30 * time.Second
	f.step(29*time.Second, 1, CoolingDown)
	f.says("no work seen since 12:00:00Z; zero after the cooldown of 30s, at 12:00:30Z")
	f.step(30*time.Second, 0, Idle)
}

// TestAnEditRestartsTheCooldown, since new triggers have proved nothing yet.
func TestAnEditRestartsTheCooldown(t *testing.T) {
	f := play(t, with(workload(1, event("a", 0)), minimum(0)))
	f.step(0, 1, CoolingDown)
	f.step(50*time.Second, 1, CoolingDown)
	f.state = f.state.Edited()
	f.step(61*time.Second, 1, CoolingDown)
	f.step(120*time.Second, 1, CoolingDown)
	f.step(121*time.Second, 0, Idle)
}

// TestWorkCountsWhileASiblingFails: an active trigger refreshes the last activity although another cannot be read (SZ-09).
func TestWorkCountsWhileASiblingFails(t *testing.T) {
	f := play(t, with(workload(3, event("a", 30), broken("b")), minimum(0)))
	f.step(0, 3, AtTarget)
	f.step(10*time.Minute, 3, AtTarget)
	f.step(10*time.Minute+time.Second, 1, BelowTarget, event("a", 0), event("b", 0))
	f.step(10*time.Minute+60*time.Second, 1, CoolingDown)
	f.step(10*time.Minute+61*time.Second, 0, Idle)
}
