package decide

import "time"

// promptness is how soon after the adoption the first idle reading must come for the initial cooldown to count from the
// adoption. Later than that, an earlier State may have seen work that this one knows nothing of, or triggers could not be
// read, and the whole cooldown has to pass from the first idle reading.
const promptness = 30 * time.Second

// trackIdleness keeps the time since which every event trigger has been known and idle in every Step. Work, an UNKNOWN
// event trigger, a pause and somebody else's change (see State.meet) start it anew.
func (s *step) trackIdleness() {
	st := &s.st
	switch {
	case s.d.Active, s.braked():
		st.restartCooldown()
	case s.events == 0, s.eventsUnknown > 0, s.doubt:
		st.idle = false
	default:
		if s.pause != st.pause { // a pause has begun or ended
			st.restartCooldown()
		}
		if !st.idle {
			st.idle, st.idleSince = true, s.at
		}
	}
	s.deadline = s.cooldownEnds()
}

// braked says that a pause keeps the count from falling, so that no cooldown runs.
func (s *step) braked() bool {
	return s.pause == PauseHold || s.pause == PauseAt || s.pause == PauseScaleIn
}

// cooldownEnds is when zero or the idle count may be reached if no work is seen until then; it means nothing unless the
// State is idle. Cooldowns are read from the Input each time, so an edit applies to the one that runs.
func (s *step) cooldownEnds() time.Time {
	ends := s.time(s.st.idleSince).Add(s.in.Cooldown)
	if s.st.worked || s.in.Adopted.IsZero() {
		return ends
	}
	adopted := s.in.Adopted
	if adopted.After(s.st.epoch) { // tampered with, or a clock that is ahead
		adopted = s.st.epoch
	}
	initial := adopted.Add(s.in.InitialCooldown)
	if s.time(s.st.idleSince).Sub(adopted) <= promptness || initial.After(ends) {
		return initial
	}
	return ends
}
