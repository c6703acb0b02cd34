package decide

import (
	"testing"
	"time"
)

const s = time.Second

func TestZeroNeedsTheWholeCooldown(t *testing.T) {
	f := play(t, with(workload(3), minimum(0)))
	f.step(0, 3, AtTarget, event("orders", 30))
	f.step(5*s, 1, BelowTarget, event("orders", 0)) // the first idle reading; one path down
	f.step(10*s, 1, CoolingDown)
	f.says("no work seen since 12:00:05Z; zero after the cooldown of 1m0s, at 12:01:05Z")
	if !f.last.Recheck.Equal(at(65 * s)) {
		t.Errorf("Recheck is %v", f.last.Recheck)
	}
	f.step(64*s, 1, CoolingDown)
	f.step(65*s, 0, Idle)
	f.says("no work seen since 12:00:05Z; the cooldown is over; scaling from 1 to zero")
	f.step(70*s, 0, Idle)
	f.says("no work seen since 12:00:05Z; staying at zero")
	f.step(80*s, 5, Waking, event("orders", 42))
	f.says("trigger orders: 42 at a target of 10 each asks for 5 replicas; waking from 0 to 5 replicas")
}

func TestIdleCountNeedsTheWholeCooldown(t *testing.T) {
	f := play(t, with(workload(4, event("orders", 1)), minimum(4), idleCount(2)))
	f.step(0, 4, AtMinimum)
	f.says("trigger orders: 1 at a target of 10 each asks for 1 replica; raised to min-replicas 4")
	f.step(5*s, 4, CoolingDown, event("orders", 0))
	f.says("no work seen since 12:00:05Z; idle-replicas 2 after the cooldown of 1m0s, at 12:01:05Z")
	f.step(65*s, 2, Idle)
	f.says("no work seen since 12:00:05Z; the cooldown is over; scaling from 4 to idle-replicas 2")
	f.step(70*s, 2, Idle)
	f.says("no work seen since 12:00:05Z; staying at idle-replicas 2")
	f.step(75*s, 4, Waking, event("orders", 1))
	f.says("trigger orders: 1 at a target of 10 each asks for 1 replica; waking from 2 to 4 replicas")
}

// TestWhatStartsTheCooldownAnew has one interruption each, 50 seconds into a cooldown of 60.
func TestWhatStartsTheCooldownAnew(t *testing.T) {
	idle := func(f *film) { f.in.Triggers = []Trigger{event("orders", 0)} }
	tests := map[string]func(*film){
		"work":                        func(f *film) { f.step(50*s, 1, AtTarget, event("orders", 1)) },
		"SZ-08 work in progress":      func(f *film) { f.in.Triggers[0].Reading.Busy = true; f.step(50*s, 1, AtMinimum) },
		"SZ-01 an unknown":            func(f *film) { f.step(50*s, 1, TriggerUnknown, broken("orders")) },
		"SZ-09 a sibling's work":      func(f *film) { f.step(50*s, 1, AtTarget, event("a", 1), broken("b")) },
		"force-active":                func(f *film) { f.in.ForceActive = true; f.step(50*s, 1, ForcedActive); f.in.ForceActive = false },
		"AN-02 a pause":               func(f *film) { pauseOnce(f, Pause{Mode: PauseHold}) },
		"AN-02 a pause at a count":    func(f *film) { pauseOnce(f, Pause{Mode: PauseAt, Replicas: 1}) },
		"AN-02 a pause of scaling in": func(f *film) { pauseOnce(f, Pause{Mode: PauseScaleIn}) },
		"somebody else's change":      func(f *film) { f.scaledByHand(2); f.step(50*s, 1, BelowTarget); f.step(50*s, 1, CoolingDown) },
	}
	for name, interrupt := range tests {
		t.Run(name, func(t *testing.T) {
			f := play(t, with(workload(1, event("orders", 1)), minimum(0)))
			f.step(-5*s, 1, AtTarget)
			idle(f)
			f.step(0, 1, CoolingDown)
			interrupt(f)
			idle(f)
			f.step(55*s, 1, CoolingDown)
			f.step(65*s, 1, CoolingDown)
			begun := 55 * s
			if name == "somebody else's change" {
				begun = 50 * s
			}
			f.step(begun+59*s, 1, CoolingDown)
			f.step(begun+60*s, 0, Idle)
		})
	}
}

func pauseOnce(f *film, p Pause) {
	f.in.Pause = p
	f.step(50*s, 1, Paused)
	f.in.Pause = Pause{}
}

// TestPausedScaleOutCountsItsCooldown: that brake does not keep the count from falling.
func TestPausedScaleOutCountsItsCooldown(t *testing.T) {
	f := play(t, with(workload(1, event("orders", 0)), minimum(0), paused(Pause{Mode: PauseScaleOut})))
	f.step(0, 1, CoolingDown)
	f.step(60*s, 0, Idle)
	f.step(65*s, 0, Paused, event("orders", 90))
	f.says("trigger orders: 90 at a target of 10 each asks for 9 replicas; scaling out is paused; holding 0 replicas")
}

// newlyAdopted was adopted two seconds ago; its cooldown is 5 minutes and its initial cooldown 20 seconds.
func newlyAdopted(t *testing.T, edits ...func(*Input)) *film {
	in := with(workload(1, event("orders", 0)), minimum(0), adopted(at(-2*s)), cooldown(5*time.Minute), initial(20*s))
	return play(t, with(in, edits...))
}

func TestInitialCooldown(t *testing.T) {
	t.Run("counts from the adoption", func(t *testing.T) {
		f := newlyAdopted(t)
		f.step(0, 1, CoolingDown)
		f.says("no work seen since 12:00:00Z; zero after the initial cooldown of 20s, at 12:00:18Z")
		f.step(17*s, 1, CoolingDown)
		f.step(18*s, 0, Idle)
	})
	t.Run("may be longer than the cooldown", func(t *testing.T) {
		f := newlyAdopted(t, cooldown(10*s), initial(time.Hour))
		f.step(0, 1, CoolingDown)
		f.step(30*time.Minute, 1, CoolingDown)
		f.step(time.Hour-2*s, 0, Idle)
	})
	t.Run("may be nothing", func(t *testing.T) {
		f := newlyAdopted(t, initial(0))
		f.step(0, 0, Idle)
	})
	t.Run("is over once work was seen", func(t *testing.T) {
		f := newlyAdopted(t)
		f.step(0, 1, AtTarget, event("orders", 1))
		f.step(5*s, 1, CoolingDown, event("orders", 0))
		f.step(18*s, 1, CoolingDown)
		f.step(5*time.Minute+4*s, 1, CoolingDown)
		f.step(5*time.Minute+5*s, 0, Idle)
	})
	t.Run("is over once a pause was seen", func(t *testing.T) {
		f := newlyAdopted(t, paused(Pause{Mode: PauseHold, Until: at(time.Hour)}))
		f.step(0, 1, Paused)
		f.step(time.Hour, 1, CoolingDown)
		f.step(time.Hour+5*time.Minute, 0, Idle)
	})
	t.Run("does not shorten the proof when nothing could be read", func(t *testing.T) {
		f := newlyAdopted(t)
		f.step(0, 1, TriggerUnknown, broken("orders"))
		f.step(time.Minute, 1, CoolingDown, event("orders", 0))
		f.step(6*time.Minute-s, 1, CoolingDown)
		f.step(6*time.Minute, 0, Idle)
	})
}

func TestCooldownOfANewState(t *testing.T) {
	t.Run("HA-11 a new State long after the adoption takes the whole cooldown", func(t *testing.T) {
		f := newlyAdopted(t, adopted(at(-time.Hour)))
		f.step(0, 1, CoolingDown)
		f.step(5*time.Minute-s, 1, CoolingDown)
		f.step(5*time.Minute, 0, Idle)
	})
	t.Run("HA-11 a new State inside a long initial cooldown waits for both", func(t *testing.T) {
		f := newlyAdopted(t, adopted(at(-time.Minute)), initial(20*time.Minute))
		f.step(0, 1, CoolingDown)
		f.step(19*time.Minute-s, 1, CoolingDown)
		f.step(19*time.Minute, 0, Idle)
	})
	t.Run("an adoption in the future is one now", func(t *testing.T) {
		f := newlyAdopted(t, adopted(at(24*time.Hour)))
		f.step(0, 1, CoolingDown)
		f.step(20*s, 0, Idle)
	})
	t.Run("SZ-04 an adoption never lowers at once", func(t *testing.T) {
		f := newlyAdopted(t, adopted(noon), initial(5*time.Minute), window(5*time.Minute))
		f.in.Current = 5
		f.step(0, 5, Stabilizing)
		f.step(5*time.Minute-s, 5, Stabilizing)
		f.step(5*time.Minute, 1, BelowTarget)
		f.step(5*time.Minute+5*s, 0, Idle)
	})
}

// TestCooldownEdit is SZ-06: an edit applies to the cooldown that runs, and says so.
func TestCooldownEdit(t *testing.T) {
	f := play(t, with(workload(1, event("orders", 0)), minimum(0), cooldown(300*s)))
	f.step(0, 1, CoolingDown)
	f.step(20*s, 1, CoolingDown)
	f.says("no work seen since 12:00:00Z; zero after the cooldown of 5m0s, at 12:05:00Z")
	f.in.Cooldown = 10 * s
	f.step(21*s, 0, Idle)
}

// TestCooldownGuardsOnlyTheLastStep is SZ-05 and SZ-06.
func TestCooldownGuardsOnlyTheLastStep(t *testing.T) {
	t.Run("SZ-05 one pod a minute, then zero", func(t *testing.T) {
		f := play(t, with(workload(9, event("orders", 0)), minimum(0), downPolicies(Policy{Value: 1, Period: time.Minute})))
		for i := range 7 {
			f.step(time.Duration(i)*time.Minute, int32(8-i), RateLimited)
			f.step(time.Duration(i)*time.Minute+30*s, int32(8-i), RateLimited)
		}
		f.says("trigger orders: 0 at a target of 10 each is not above its activation of 0; holding 2 by the scale-down policies until 12:07:00Z (30s)")
		f.step(7*time.Minute, 1, BelowTarget)
		f.step(7*time.Minute+5*s, 0, Idle)
	})
	t.Run("SZ-06 with a minimum of one the cooldown delays nothing", func(t *testing.T) {
		f := play(t, with(workload(9, event("orders", 0)), window(300*s)))
		f.step(0, 9, Stabilizing)
		f.step(300*s, 1, AtMinimum)
		f.step(3000*s, 1, AtMinimum)
	})
}

// TestResourcesNeitherHoldNorWake: cpu has its say while work may still be in progress, and none once the cooldown is over.
func TestResourcesNeitherHoldNorWake(t *testing.T) {
	f := play(t, with(workload(2, event("orders", 20), cpu(50)), minimum(0)))
	f.step(0, 2, AtTarget)
	f.step(5*s, 4, AboveTarget, event("orders", 0), cpu(100))
	f.step(10*s, 4, AtTarget, event("orders", 0), cpu(50))
	f.step(64*s, 4, AtTarget)
	if !f.last.Recheck.Equal(at(65 * s)) {
		t.Errorf("Recheck is %v", f.last.Recheck)
	}
	f.step(65*s, 1, BelowTarget)
	f.step(66*s, 0, Idle)
	f.step(70*s, 0, Idle, event("orders", 0), Trigger{Name: "cpu", Target: 50, Resource: true})
	if f.last.Unknown != 1 {
		t.Errorf("Unknown is %d", f.last.Unknown)
	}
	f.step(75*s, 1, Waking, event("orders", 1), Trigger{Name: "cpu", Target: 50, Resource: true})
	f.step(80*s, 1, TriggerUnknown, event("orders", 0), Trigger{Name: "cpu", Target: 50, Resource: true})
	f.step(140*s, 1, TriggerUnknown)
	f.says("trigger orders: 0 at a target of 10 each is not above its activation of 0; trigger cpu could not be read; holding 1 replica")
	f.step(141*s, 0, Idle, event("orders", 0), cpu(90))
}

// TestSameMoment: asking several times at one time neither shortens nor lengthens anything.
func TestSameMoment(t *testing.T) {
	f := play(t, with(workload(1, event("orders", 0)), minimum(0)))
	for range 3 {
		f.step(0, 1, CoolingDown)
	}
	for range 3 {
		f.step(60*s, 0, Idle)
	}
	for range 3 {
		f.step(60*s, 9, map[bool]Reason{true: Waking, false: AtTarget}[f.in.Current == 0], event("orders", 90))
	}
	f.step(60*s, 2, BelowTarget, event("orders", 20))
	f.step(59*s, 9, AboveTarget, event("orders", 90)) // a clock that is set back
}
