package decide

import (
	"testing"
	"time"
)

// pauseCase is one Step of a paused workload.
type pauseCase struct {
	name     string
	in       Input
	replicas int32
	reason   Reason
	sentence string
}

func (tt pauseCase) run(t *testing.T) {
	f := play(t, tt.in)
	f.step(0, tt.replicas, tt.reason)
	f.says(tt.sentence)
	if p := tt.in.Pause; p.Until.After(noon) && !f.last.Recheck.Equal(p.Until) {
		t.Errorf("Recheck is %v, want the end of the pause", f.last.Recheck)
	}
}

func TestPause(t *testing.T) {
	until := at(90 * s)
	tests := []pauseCase{
		{
			"hold with a backlog", with(workload(4, event("orders", 150)), paused(Pause{Mode: PauseHold})),
			4, Paused, "paused; holding 4 replicas",
		},
		{
			"hold for a while", with(workload(4, event("orders", 0)), paused(Pause{Mode: PauseHold, Until: until})),
			4, Paused, "paused; holding 4 replicas until 12:01:30Z (1m30s)",
		},
		{
			"at a count", with(workload(4, event("orders", 0)), paused(Pause{Mode: PauseAt, Replicas: 7})),
			7, Paused, "paused at 7 replicas",
		},
		{
			"at a count above the maximum", with(workload(4, broken("orders")), paused(Pause{Mode: PauseAt, Replicas: 70, Until: until})),
			70, Paused, "paused at 70 replicas until 12:01:30Z (1m30s)",
		},
		{
			"at one", with(workload(4, event("orders", 0)), paused(Pause{Mode: PauseAt, Replicas: 1})),
			1, Paused, "paused at 1 replica",
		},
		{
			"at zero", with(workload(4, event("orders", 500)), paused(Pause{Mode: PauseAt})),
			0, Paused, "paused at 0 replicas",
		},
		{
			"at a count, from a person's zero", with(workload(0, event("orders", 0)), zeroByPerson, paused(Pause{Mode: PauseAt, Replicas: 2})),
			2, Paused, "paused at 2 replicas",
		},
		{
			"over at its end", with(workload(4, event("orders", 90)), paused(Pause{Mode: PauseHold, Until: noon})),
			9, AboveTarget, "trigger orders: 90 at a target of 10 each asks for 9 replicas",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, tt.run)
	}
}

func TestPausedDirection(t *testing.T) {
	until := at(90 * s)
	tests := []pauseCase{
		{
			"scale-in with less to do", with(workload(4, event("orders", 10)), paused(Pause{Mode: PauseScaleIn})),
			4, Paused, "trigger orders: 10 at a target of 10 each asks for 1 replica; scaling in is paused; holding 4 replicas",
		},
		{
			"scale-in with more to do", with(workload(4, event("orders", 90)), paused(Pause{Mode: PauseScaleIn})),
			9, AboveTarget, "trigger orders: 90 at a target of 10 each asks for 9 replicas",
		},
		{
			"scale-in above the maximum", with(workload(30, event("orders", 90)), paused(Pause{Mode: PauseScaleIn, Until: until})),
			30, Paused, "trigger orders: 90 at a target of 10 each asks for 9 replicas; scaling in is paused; holding 30 replicas until 12:01:30Z (1m30s)",
		},
		{
			"scale-in at the floor", with(workload(1, event("orders", 0)), minimum(0), paused(Pause{Mode: PauseScaleIn})),
			1, Paused, "trigger orders: 0 at a target of 10 each is not above its activation of 0; scaling in is paused; holding 1 replica",
		},
		{
			"scale-in at zero", with(workload(0, event("orders", 0)), minimum(0), paused(Pause{Mode: PauseScaleIn})),
			0, Idle, "no work seen; staying at zero",
		},
		{
			"scale-out with more to do", with(workload(4, event("orders", 90)), paused(Pause{Mode: PauseScaleOut})),
			4, Paused, "trigger orders: 90 at a target of 10 each asks for 9 replicas; scaling out is paused; holding 4 replicas",
		},
		{
			"scale-out with less to do", with(workload(4, event("orders", 10)), paused(Pause{Mode: PauseScaleOut, Until: until})),
			1, BelowTarget, "trigger orders: 10 at a target of 10 each asks for 1 replica",
		},
		{
			"scale-out below the minimum", with(workload(1, event("orders", 10)), minimum(3), paused(Pause{Mode: PauseScaleOut})),
			1, Paused, "trigger orders: 10 at a target of 10 each is within tolerance of 1 replica; scaling out is paused; holding 1 replica",
		},
		{
			"scale-in and a person's zero", with(workload(0, event("orders", 90)), zeroByPerson, paused(Pause{Mode: PauseScaleIn})),
			0, ZeroByUser, "scaled to zero by a person; raise it by hand (kubectl scale) to hand it back",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, tt.run)
	}
}

// TestPauseLifeCycle is AN-02: normal within one Step of its end, the cooldown anew, and nothing left over.
func TestPauseLifeCycle(t *testing.T) {
	t.Run("with a backlog", func(t *testing.T) {
		f := play(t, with(workload(3, event("orders", 30)), minimum(0)))
		f.step(0, 3, AtTarget)
		f.in.Pause = Pause{Mode: PauseHold, Until: at(600 * s)}
		f.step(5*s, 3, Paused, event("orders", 120))
		f.in.Bounds.Max = 50 // other annotations change meanwhile
		f.step(599*s, 3, Paused)
		f.step(600*s, 12, AboveTarget)
	})
	t.Run("idle", func(t *testing.T) {
		f := play(t, with(workload(3, event("orders", 0)), minimum(0)))
		f.step(0, 1, BelowTarget)
		f.in.Pause = Pause{Mode: PauseAt, Replicas: 6}
		f.step(50*s, 6, Paused)
		for i := range 100 {
			f.step(60*s+time.Duration(i)*s, 6, Paused)
		}
		f.in.Pause = Pause{}
		f.step(200*s, 1, BelowTarget)
		f.step(259*s, 1, CoolingDown)
		f.step(260*s, 0, Idle)
	})
	t.Run("GO-06 two hundred times on and off", func(t *testing.T) {
		f := play(t, workload(3, event("orders", 30)))
		for i := range 200 {
			f.in.Pause = Pause{Mode: PauseMode(1 + i%4), Replicas: 3}
			f.step(time.Duration(2*i)*s, 3, map[bool]Reason{true: Paused, false: AtTarget}[i%4 < 2])
			f.in.Pause = Pause{}
			f.step(time.Duration(2*i+1)*s, 3, AtTarget)
		}
	})
}
