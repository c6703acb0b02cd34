package decide

import "time"

// Step decides how many replicas a workload should have at now.
//
// It is a pure function of its arguments and never fails: what cannot be trusted is UNKNOWN, and UNKNOWN holds. The
// returned State replaces st, which must not be used again. Step may be called as often as one likes, also several times
// with the same now; calling it more often than triggers are read changes no decision.
func Step(now time.Time, in Input, st State) (Decision, State) {
	s := step{in: in, st: st, now: now}
	s.observe()
	s.decide()
	s.finish()
	return s.d, s.st
}

// step is one Step at work: facts first, then the decision. It holds values and no pointers to them, so that it stays on
// the stack.
type step struct {
	in  Input
	st  State
	d   Decision
	now time.Time
	at  time.Duration // now, as an offset from the State's epoch

	pause  PauseMode // in effect now
	forced bool      // active, but only because of force-active

	events        int   // event triggers
	eventsUnknown int   // event triggers that could not be read and have no fallback
	doubt         bool  // an event trigger's value is not the whole of it
	standIn       int   // a trigger that a fallback votes for, or -1
	eventWanted   int32 // the highest proposal of an event trigger, or none

	floor    int32 // the least count while active: max(Min, 1)
	rest     int32 // the count while idle: Bounds.Idle, else 0
	mayRest  bool  // going below the floor is allowed while idle
	low      int32 // the least count now: the floor, or less while idle
	cooled   bool  // every event trigger has been idle for the whole cooldown
	deadline time.Time

	stabilized int32 // what the windows make of the recommendation
}

// observe establishes the facts. The order matters: each line uses what the lines above it found.
func (s *step) observe() {
	s.begin()            // the State, the clock, whose change the present count is
	s.readTriggers()     // what each trigger says, who is active, who is UNKNOWN
	s.trackIdleness()    // since when there has been no work, and until when that is too short
	s.measureBounds()    // how low the count may go now
	s.recommend()        // the highest proposal
	s.stabilizeAndNote() // what the windows make of it
}

// decide applies the rules. The first that claims the decision wins:
func (s *step) decide() {
	switch {
	case s.rivalled(): // a workload has one master
	case s.leftAlone(): // nor is a count written that means nothing
	case s.pausedAtCount(): // an explicit order of a person, beyond bounds and a zero
	case s.zeroedByPerson(): // a person's zero, which stays until a person raises it
	case s.pausedHolding(): // a person's brake
	case s.aboveMaximum(): // an explicit bound, which holds whatever the triggers say; its rate is the policies' matter
	case s.atRest(): // at zero or the idle count without work: stay
	case s.goToRest(): // at the floor without work for the whole cooldown: the one way to zero
	default:
		s.follow() // the recommendation, within windows, policies and bounds
	}
	s.applyRollout()         // limits every way down but a person's order
	s.applyGuards()          // limits every way up but a person's order
	s.applyPausedDirection() // last, since it limits every rule above
}

func (s *step) begin() {
	in, st := &s.in, &s.st
	if !st.seeded {
		st.seed(s.now, in)
	}
	s.at = st.advance(s.now)
	st.meet(in.Current)
	if st.edited {
		st.refill(s.at, in)
	}
	s.d = Decision{Replicas: in.Current, From: in.Current, Winner: -1, Guard: -1, At: s.now}
	if in.Pause.Mode != NotPaused && (in.Pause.Until.IsZero() || s.now.Before(in.Pause.Until)) {
		s.pause = in.Pause.Mode
	}
}

// readTriggers fills Decision.Proposals, Active and Unknown.
func (s *step) readTriggers() {
	st := &s.st
	st.proposals = st.proposals[:0]
	s.standIn = -1
	for i := range s.in.Triggers {
		t := &s.in.Triggers[i]
		p := s.proposal(t)
		missing := !p.Known && !p.Fallback
		if p.Fallback {
			s.standIn = i
		}
		if missing {
			s.d.Unknown++
		}
		if !t.Resource {
			s.events++
			if missing {
				s.eventsUnknown++
			}
			s.doubt = s.doubt || t.Reading.Doubt
			s.d.Active = s.d.Active || p.Active
		}
		st.proposals = append(st.proposals, p)
	}
	s.d.Proposals = st.proposals
	s.forced = s.in.ForceActive && !s.d.Active
	s.d.Active = s.d.Active || s.in.ForceActive
}

// proposal is what a trigger asks for. One that cannot be read asks for nothing, unless a fallback stands in for it; a fallback that
// asks for no replica would take UNKNOWN for idle, so it stands in for nothing.
func (s *step) proposal(t *Trigger) Proposal {
	if t.usable() {
		return Proposal{Known: true, Active: t.active(), Replicas: t.propose(s.in.Current, &s.in.Behavior)}
	}
	f := &s.in.Fallback
	if f.After <= 0 || t.Reading.Failures < f.After {
		return Proposal{}
	}
	n := f.vote(s.in.Current)
	return Proposal{Fallback: n > 0, Active: n > 0, Replicas: n}
}

// measureBounds finds how low the count may go. Only event triggers can prove that there is no work, so a workload that
// has none but cpu and memory never rests; one without any trigger keeps what it has.
func (s *step) measureBounds() {
	b := s.in.Bounds
	s.floor = max(b.Min, 1)
	s.rest = 0
	if s.hasIdle() {
		s.rest = b.Idle
	}
	s.mayRest = (b.Min <= 0 || s.hasIdle()) && (s.events > 0 || len(s.in.Triggers) == 0)
	s.low = s.floor
	if s.mayRest && !s.d.Active {
		s.low = min(s.floor, s.in.Current)
	}
	s.cooled = s.mayRest && s.st.idle && !s.now.Before(s.deadline)
}

func (s *step) hasIdle() bool { return s.in.Bounds.Idle >= 0 && s.in.Bounds.Idle < s.in.Bounds.Min }

// recommend finds the highest proposal. Without work, and where resting is allowed, an event trigger asks for the least
// count only: its value is below its activation and therefore not worth a replica. A cpu or memory trigger says nothing at
// zero, and nothing once the cooldown is over: it must neither wake a workload nor hold it above zero. One that cannot be
// read is not known to be so low, so its fallback votes on.
func (s *step) recommend() {
	s.d.Wanted, s.eventWanted = none, none
	resting := s.mayRest && !s.d.Active
	for i, p := range s.d.Proposals {
		resource := s.in.Triggers[i].Resource
		if !p.Known && !p.Fallback || resource && (s.in.Current == 0 || s.cooled && p.Known) {
			continue
		}
		n := p.Replicas
		if resting && !resource {
			n = s.low
		}
		if !resource {
			s.eventWanted = max(s.eventWanted, n)
		}
		if n > s.d.Wanted {
			s.d.Wanted, s.d.Winner = n, i
		}
	}
}

// blocked says that the recommendation must not be followed down: a trigger that could not be read might ask for more.
func (s *step) blocked() bool {
	return s.d.Wanted == none || s.d.Unknown > 0 && s.d.Wanted < s.in.Current
}

// leftAlone holds the count of an object that no count can help, or may not.
func (s *step) leftAlone() bool {
	if s.in.LeftAlone == "" {
		return false
	}
	s.settle(s.in.Current, LeftAlone)
	return true
}

// rivalled stands back where another controller sets the count: two of them would scale the workload up and down for ever.
func (s *step) rivalled() bool {
	if s.in.Rival == "" {
		return false
	}
	s.settle(s.in.Current, Conflict)
	return true
}

func (s *step) pausedAtCount() bool {
	if s.pause != PauseAt {
		return false
	}
	s.settle(max(s.in.Pause.Replicas, 0), Paused)
	s.until(s.in.Pause.Until)
	return true
}

func (s *step) zeroedByPerson() bool {
	if s.in.Current != 0 || s.in.ZeroIsOurs {
		return false
	}
	s.settle(0, ZeroByUser)
	return true
}

func (s *step) pausedHolding() bool {
	if s.pause != PauseHold {
		return false
	}
	s.settle(s.in.Current, Paused)
	s.until(s.in.Pause.Until)
	return true
}

func (s *step) aboveMaximum() bool {
	if s.in.Current <= s.in.Bounds.Max {
		return false
	}
	s.settle(s.in.Bounds.Max, AtMaximum)
	if s.in.Behavior.ScaleDown.Select == SelectDisabled {
		return true // who forbids scaling down still means the maximum
	}
	if least, ends := s.downLimit(); least > s.in.Bounds.Max {
		s.settle(least, RateLimited)
		s.until(s.periodEnds(&s.in.Behavior.ScaleDown, ends, least < s.in.Current))
	}
	return true
}

// atRest keeps a workload that has no work at zero or its idle count. A cpu or memory trigger cannot be read at zero, and
// that is no reason to doubt.
func (s *step) atRest() bool {
	if !s.mayRest || s.d.Active || s.in.Current > s.rest {
		return false
	}
	if s.events == 0 || s.eventsUnknown > 0 {
		s.settle(s.in.Current, TriggerUnknown)
	} else {
		s.settle(s.rest, Idle)
	}
	return true
}

// goToRest takes the last step down. It needs every trigger known and none only stood in for, every event trigger idle for
// the whole cooldown, and a count that has already come down to the floor.
func (s *step) goToRest() bool {
	if !s.cooled || s.d.Unknown > 0 || s.standIn >= 0 || s.in.Current > s.floor {
		return false
	}
	s.settle(s.rest, Idle)
	return true
}

// applyRollout keeps the count while a rollout replaces pods: a scale-down on top of it takes more of them than the rollout promised.
func (s *step) applyRollout() {
	if s.in.RollingOut && s.d.Replicas < s.in.Current && s.pause != PauseAt {
		s.settle(s.in.Current, RollingOut)
	}
}

// applyGuards keeps the count from rising while a guard is at its limit. A guard that cannot be read may be, so it holds too. The floor
// of a workload that never rests is an order and is reached all the same.
func (s *step) applyGuards() {
	if s.d.Replicas <= s.in.Current || s.pause == PauseAt {
		return
	}
	held := s.in.Current
	if !s.mayRest {
		held = min(max(held, s.floor), s.d.Replicas)
	}
	for i := range s.in.Guards {
		if held < s.d.Replicas && s.in.Guards[i].closed() {
			s.settle(held, Guarded)
			s.d.Guard = i
			return
		}
	}
}

func (s *step) applyPausedDirection() {
	down := s.pause == PauseScaleIn && s.d.Replicas < s.in.Current
	up := s.pause == PauseScaleOut && s.d.Replicas > s.in.Current
	if down || up {
		s.settle(s.in.Current, Paused)
		s.until(s.in.Pause.Until)
	}
}

// settle answers with replicas for a reason that has no end of its own.
func (s *step) settle(replicas int32, reason Reason) {
	s.d.Replicas, s.d.Reason, s.d.Until = replicas, reason, time.Time{}
}

// until says when that which decided ends; the zero time is never.
func (s *step) until(t time.Time) {
	s.d.Until = t
	s.recheckAt(t)
}

// finish remembers the answer and says when to ask again.
func (s *step) finish() {
	s.st.noteAsk(s.at, s.d.Replicas)
	s.st.pause = s.pause
	if s.st.idle {
		s.d.IdleSince = s.time(s.st.idleSince)
	}
	if s.pause != NotPaused {
		s.recheckAt(s.in.Pause.Until)
	}
	if s.mayRest && s.st.idle && s.in.Current > s.rest {
		s.recheckAt(s.deadline)
	}
	s.recheckAt(s.in.Bounds.Until)
}

// recheckAt notes that the decision may change at t; the earliest such time counts.
func (s *step) recheckAt(t time.Time) {
	if t.After(s.now) && (s.d.Recheck.IsZero() || t.Before(s.d.Recheck)) {
		s.d.Recheck = t
	}
}

// time turns an offset of the State into a time.
func (s *step) time(at time.Duration) time.Time { return s.st.epoch.Add(at) }
