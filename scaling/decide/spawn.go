package decide

import (
	"math"
	"time"
)

// Strategy says how the demand for Jobs and the Jobs that run already become a number of new ones. The names and the formulas are those of KEDA's
// ScaledJob.
type Strategy uint8

const (
	// StrategyDefault is for sources whose value counts a piece of work until it is done: demand − running.
	StrategyDefault Strategy = iota
	// StrategyAccurate is for sources whose value no longer counts a piece of work once it is taken: demand − not started.
	StrategyAccurate
	// StrategyEager fills the room below the maximum while there is any demand, also above the value itself.
	StrategyEager
	// StrategyCustom is demand − Jobs.Deduction − Jobs.RunningShare of those that run.
	StrategyCustom
)

// Jobs is what Spawn must know beside Input. The zero Jobs has nothing running and the default strategy.
type Jobs struct {
	// Unknown says in a sentence why the number of Jobs is not known; empty when it is. Input.Current and Pending then mean nothing.
	Unknown string
	// Pending is how many of Input.Current have not started, ≥ 0 and ≤ Input.Current.
	Pending  int32
	Strategy Strategy
	// Deduction, ≥ 0, and RunningShare, 0 to 1, belong to StrategyCustom.
	Deduction    int32
	RunningShare float64
}

// Spawn decides how many Jobs to start at now beside the Input.Current unfinished ones: Decision.Replicas − Decision.From, never less than 0.
//
// It is a pure function of its arguments, like [Step], and needs no State: a Job ends by itself, so there is no way down and with it no window, no
// cooldown and no policy. It keeps these rules:
//
//   - Decision.Replicas ≤ max(Bounds.Max, Input.Current), unless a person paused at more.
//   - Jobs missing to Bounds.Min are started whatever the triggers say, as standing ones: the formulas see the Jobs beyond them only.
//   - The trigger that asks for the most new Jobs wins. One that is not active, cannot be read or whose reading is Spent asks for none. A
//     fallback asks for Fallback.Replicas Jobs altogether, so that it does not start more with each failed read.
//   - A guard at its limit, or one that cannot be read, stops the demand; the floor is an order and is reached all the same.
//
// Of Input the fields Cooldown, InitialCooldown, Adopted, ForceActive, Behavior, RollingOut, ZeroIsOurs and Bounds.Idle mean nothing here.
func Spawn(now time.Time, in Input, jobs Jobs) Decision {
	s := spawn{in: &in, jobs: &jobs}
	s.d = Decision{
		Replicas: in.Current, From: in.Current, Winner: -1, Guard: -1, At: now, Wanted: none,
		Proposals: make([]Proposal, 0, len(in.Triggers)),
	}
	if in.Pause.Mode != NotPaused && (in.Pause.Until.IsZero() || now.Before(in.Pause.Until)) {
		s.pause = in.Pause.Mode
		s.recheckAt(in.Pause.Until)
	}
	s.recheckAt(in.Bounds.Until)
	s.readTriggers()
	s.decide()
	s.d.Wanted = max(s.d.Wanted, 0)
	return s.d
}

// spawn is one Spawn at work. Counts are int64, so that no sum can wrap.
type spawn struct {
	in    *Input
	jobs  *Jobs
	d     Decision
	pause PauseMode

	// floor is how many Jobs are missing to Bounds.Min.
	floor int64
	// best is how many new Jobs the winner asks for, and free what that would be without a maximum.
	best, free int64
}

// readTriggers fills Decision.Proposals, Active and Unknown, and finds the winner.
func (s *spawn) readTriggers() {
	s.floor = max(int64(s.in.Bounds.Min)-int64(s.in.Current), 0)
	for i := range s.in.Triggers {
		t := &s.in.Triggers[i]
		p, asked, free := s.proposal(t)
		if !p.Known && !p.Fallback {
			s.d.Unknown++
		}
		s.d.Active = s.d.Active || p.Active
		s.d.Proposals = append(s.d.Proposals, p)
		// Of two that ask for as many new Jobs the one with the greater demand explains them better.
		if p.Active && (asked > s.best || asked == s.best && p.Replicas > s.d.Wanted) {
			s.best, s.free, s.d.Wanted, s.d.Winner = asked, free, p.Replicas, i
		}
	}
}

// proposal is the demand of a trigger in Jobs, how many new ones follow from it, and how many would without a maximum.
func (s *spawn) proposal(t *Trigger) (p Proposal, asked, free int64) {
	if t.usable() && !t.Resource {
		value, target := inUnits(t.Reading.Value, t.Target)
		p = Proposal{Known: true, Active: t.active(), Replicas: ceil(value / target)}
		if !p.Active || t.Reading.Spent {
			return p, 0, 0
		}
		demand, pieces := int64(p.Replicas), int64(ceil(t.Reading.Value))
		return p, s.newJobs(demand, pieces, int64(s.in.Bounds.Max)), s.newJobs(demand, pieces, math.MaxInt32)
	}
	f := &s.in.Fallback
	if f.After <= 0 || t.Reading.Failures < f.After || f.Replicas <= 0 {
		return Proposal{}, 0, 0
	}
	missing := max(int64(f.Replicas)-int64(s.in.Current)-s.floor, 0)
	return Proposal{Fallback: true, Active: true, Replicas: f.Replicas}, missing, missing
}

// newJobs is KEDA's arithmetic. The standing Jobs of Bounds.Min are no answer to demand: those that run are counted without them, and those that are missing
// are about to be started and have not yet.
func (s *spawn) newJobs(demand, pieces, most int64) int64 {
	least := int64(s.in.Bounds.Min)
	running := max(int64(s.in.Current)-least, 0)
	pending := max(int64(s.jobs.Pending), 0) + s.floor
	demand = min(demand, max(most-least, 0))
	limit := pieces // never more Jobs than pieces of work
	var n int64
	switch s.jobs.Strategy {
	case StrategyAccurate:
		if n = demand - pending; demand+running-pending > most {
			n = most - running
		}
	case StrategyEager:
		n, limit = min(most-running-pending, demand), most
	case StrategyCustom:
		n = min(demand-int64(s.jobs.Deduction)-int64(s.share(running)), most)
	default:
		n = demand - running
	}
	return max(min(n, limit), 0)
}

// share is the part of those that run which StrategyCustom deducts, without its fraction. A share that is no number deducts all of them.
func (s *spawn) share(running int64) int32 {
	share := s.jobs.RunningShare
	if math.IsNaN(share) {
		share = 1
	}
	return truncate(float64(running) * share)
}

// decide applies the rules. The first that claims the decision wins:
func (s *spawn) decide() {
	switch {
	case s.jobs.Unknown != "": // not knowing what runs is no ground for running more
		s.d.Reason = JobsUnknown
	case s.in.Rival != "": // a workload has one master
		s.d.Reason = Conflict
	case s.in.LeftAlone != "": // nor is a template used that is none
		s.d.Reason = LeftAlone
	case s.pause == PauseAt: // an explicit order of a person, beyond bounds; what runs beyond it ends by itself
		s.start(int64(s.in.Pause.Replicas)-int64(s.in.Current), Paused)
	case s.pause == PauseHold: // a person's brake
		s.d.Reason = Paused
	default:
		s.follow()
	}
	if s.d.Reason == Paused {
		s.d.Until = s.in.Pause.Until
	}
}

// follow starts what the floor and the winner ask for, as far as guards, the maximum and a pause of scaling out allow.
func (s *spawn) follow() {
	n, reason := s.floor+s.best, s.reason()
	if s.best > 0 {
		for i := range s.in.Guards {
			if s.in.Guards[i].closed() {
				n, reason, s.d.Guard = s.floor, Guarded, i
				break
			}
		}
	}
	room := max(int64(s.in.Bounds.Max)-int64(s.in.Current), 0)
	if n > room || n == room && (s.free > s.best || room == 0 && s.d.Active && s.d.Wanted > s.in.Current) {
		n, reason = room, AtMaximum
	}
	if n > 0 && s.pause == PauseScaleOut {
		n, reason = 0, Paused
	}
	s.start(n, reason)
}

// reason says what the number of new Jobs comes from when nothing limits it.
func (s *spawn) reason() Reason {
	switch {
	case s.best > 0 && s.d.Proposals[s.d.Winner].Fallback:
		return FallbackInUse
	case s.best > 0:
		return AboveTarget
	case s.floor > 0:
		return AtMinimum
	case s.d.Winner >= 0 && s.d.Proposals[s.d.Winner].Fallback:
		return FallbackInUse
	case s.d.Unknown > 0 || len(s.in.Triggers) == 0:
		return TriggerUnknown
	case !s.d.Active && s.in.Current == 0:
		return Idle
	}
	return AtTarget
}

func (s *spawn) start(n int64, reason Reason) {
	s.d.Replicas, s.d.Reason = saturate(int64(s.in.Current)+max(n, 0)), reason
}

func (s *spawn) recheckAt(t time.Time) {
	if t.After(s.d.At) && (s.d.Recheck.IsZero() || t.Before(s.d.Recheck)) {
		s.d.Recheck = t
	}
}
