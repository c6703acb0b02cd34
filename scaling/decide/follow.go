package decide

import (
	"math"
	"time"
)

// stabilizeAndNote brings the recommendation within the windows, as the HPA does: the count does not rise above the
// lowest recommendation of the scale-up window and does not fall below the highest one of the scale-down window. The
// recommendation itself is what later Steps remember.
//
// A recommendation that must not be followed is not remembered. When that, or a person's zero, has lasted so long that the
// scale-down window has run empty, it starts full, with the present count.
func (s *step) stabilizeAndNote() {
	st, down, up := &s.st, s.in.Behavior.ScaleDown.Stabilization, s.in.Behavior.ScaleUp.Stabilization
	current := s.in.Current
	s.stabilized = current
	if s.blocked() || current == 0 && !s.in.ZeroIsOurs {
		st.blind = true
		return
	}
	if _, _, ok := st.highs.highest(s.at, down); st.blind && !ok {
		st.highs = st.highs.add(s.at, current, down)
	}
	st.blind = false

	wanted := s.d.Wanted
	st.highs = st.highs.add(s.at, wanted, down)
	st.lows = st.lows.add(s.at, -wanted, up)
	least, most := wanted, wanted
	if n, _, ok := st.lows.highest(s.at, up); ok {
		least = min(least, -n)
	}
	if n, _, ok := st.highs.highest(s.at, down); ok {
		most = max(most, n)
	}
	s.stabilized = min(max(current, least), most)
}

// follow goes where the recommendation leads, within windows, policies and bounds, and names what decided.
func (s *step) follow() {
	if s.blocked() {
		s.holdUnknown()
		return
	}
	limited, periodEnds := s.limit()
	wanted, stabilized := s.clamp(s.d.Wanted), s.clamp(s.stabilized)
	s.settle(s.clamp(limited), direction(s.in.Current, s.clamp(limited)))
	switch {
	case s.d.Wanted > s.in.Bounds.Max:
		s.d.Reason = AtMaximum
	case s.d.Wanted < s.low:
		s.d.Reason = AtMinimum
	}
	if stabilized != wanted {
		s.d.Reason = Stabilizing
		s.until(s.windowEnds())
	}
	if s.d.Replicas != stabilized {
		s.d.Reason = RateLimited
		s.until(periodEnds)
	}
	if s.mayRest {
		s.nameActivation()
	}
	s.nameFallback()
}

// nameFallback gives a decision that a fallback made its own name, unless something else held it back.
func (s *step) nameFallback() {
	if w := s.d.Winner; w < 0 || !s.d.Proposals[w].Fallback {
		return
	}
	switch s.d.Reason {
	case AtTarget, AboveTarget, BelowTarget, Waking:
		s.settle(s.d.Replicas, FallbackInUse)
	}
}

// holdUnknown keeps the count, or the floor if that is more.
func (s *step) holdUnknown() {
	s.settle(s.clamp(s.in.Current), TriggerUnknown)
	switch {
	case s.d.Replicas == s.in.Current:
	case s.mayRest && s.forced:
		s.d.Reason = ForcedActive
	case s.mayRest && s.in.Current <= s.rest:
		s.d.Reason = Waking
	default:
		s.d.Reason = AtMinimum
	}
}

// nameActivation gives the reasons of the steps between rest and the floor their own names.
func (s *step) nameActivation() {
	replicas, held := s.d.Replicas, s.d.Replicas == s.in.Current && s.in.Current <= s.floor
	switch {
	case s.forced && replicas == s.floor && s.d.Wanted <= s.floor:
		s.settle(replicas, ForcedActive)
	case s.d.Active && s.in.Current <= s.rest:
		s.settle(replicas, Waking)
	case s.d.Active || !held || s.d.Wanted > s.floor:
		// on the way up or down, where the name is right already
	case s.d.Unknown > 0:
		s.settle(replicas, TriggerUnknown)
	case s.standIn >= 0:
		s.d.Winner = s.standIn
		s.settle(replicas, FallbackInUse)
	case s.braked():
		s.settle(replicas, Paused)
		s.until(s.in.Pause.Until)
	case s.st.idle:
		s.settle(replicas, CoolingDown)
		s.until(s.deadline)
	}
}

func direction(from, to int32) Reason {
	switch {
	case to > from:
		return AboveTarget
	case to < from:
		return BelowTarget
	}
	return AtTarget
}

// clamp brings a count into bounds; the maximum wins. Below the floor a count may stay while idle, but not rise to less.
func (s *step) clamp(n int32) int32 {
	low := s.low
	if n > s.in.Current {
		low = s.floor
	}
	return min(max(n, low), s.in.Bounds.Max)
}

// windowEnds is when the recommendation that holds back the present one leaves its window.
func (s *step) windowEnds() time.Time {
	if s.stabilized > s.d.Wanted {
		_, until, _ := s.st.highs.highest(s.at, s.in.Behavior.ScaleDown.Stabilization)
		return s.time(until)
	}
	_, until, _ := s.st.lows.highest(s.at, s.in.Behavior.ScaleUp.Stabilization)
	return s.time(until)
}

// limit brings the stabilized recommendation within the policies, and says when the first period ends that limits it.
// Unless EventRamp is set, the policies hold back only what cpu and memory ask for.
func (s *step) limit() (replicas int32, until time.Time) {
	b, current := &s.in.Behavior, s.in.Current
	switch {
	case s.stabilized > current:
		most, ends := s.upLimit()
		replicas = min(s.stabilized, most)
		if !b.EventRamp && b.ScaleUp.Select != SelectDisabled {
			replicas = max(replicas, min(s.stabilized, s.eventWanted))
		}
		until = s.periodEnds(&b.ScaleUp, ends, replicas != current)
	case s.stabilized < current:
		least, ends := s.downLimit()
		replicas = max(s.stabilized, least)
		until = s.periodEnds(&b.ScaleDown, ends, replicas != current)
	default:
		replicas = current
	}
	return replicas, until
}

// periodEnds is when the policies of r may allow more: when the first change leaves its period, or, if this Step makes a
// change, when that one leaves the shortest period. Zero is never.
func (s *step) periodEnds(r *Rules, ends time.Duration, changes bool) time.Time {
	if r.Select == SelectDisabled {
		return time.Time{}
	}
	for i := range r.Policies {
		if end := s.at + r.Policies[i].Period; changes && (ends == 0 || end < ends) {
			ends = end
		}
	}
	if ends == 0 {
		return time.Time{}
	}
	return s.time(ends)
}

// upLimit is the highest count that the scale-up policies allow, and when the first change leaves a period (0 for never).
func (s *step) upLimit() (most int32, ends time.Duration) {
	r, current := &s.in.Behavior.ScaleUp, s.in.Current
	if r.Select == SelectDisabled {
		return current, 0
	}
	if len(r.Policies) == 0 {
		return math.MaxInt32, 0
	}
	for i := range r.Policies {
		p := &r.Policies[i]
		start, end := s.periodStart(p.Period)
		allowed := saturate(start + int64(p.Value))
		if p.Percent { // rounded up, or a small count could never grow
			allowed = ceil(float64(start) * (1 + float64(p.Value)/100))
		}
		if i == 0 || (allowed < most) == (r.Select == SelectMin) {
			most = allowed
		}
		ends = earlier(ends, end)
	}
	return max(most, current), ends
}

// downLimit is the lowest count that the scale-down policies allow, and when the first change leaves a period.
func (s *step) downLimit() (least int32, ends time.Duration) {
	r, current := &s.in.Behavior.ScaleDown, s.in.Current
	if r.Select == SelectDisabled {
		return current, 0
	}
	for i := range r.Policies {
		p := &r.Policies[i]
		start, end := s.periodStart(p.Period)
		allowed := saturate(start - int64(p.Value))
		if p.Percent {
			allowed = truncate(float64(start) * (1 - float64(p.Value)/100))
		}
		if i == 0 || (allowed > least) == (r.Select == SelectMin) {
			least = allowed
		}
		ends = earlier(ends, end)
	}
	return min(least, current), ends
}

// periodStart is the count at the start of the period that ends now, and when the first change in it leaves it.
func (s *step) periodStart(period time.Duration) (start int64, ends time.Duration) {
	added, end := s.st.added.within(s.at, period)
	removed, other := s.st.removed.within(s.at, period)
	return int64(s.in.Current) - added + removed, earlier(end, other)
}

// earlier is the earlier of two times of which 0 means never.
func earlier(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
