package decide

import (
	"slices"
	"time"
)

// State is what Step remembers of one workload between Steps. The zero State is a new one and means "nothing is known
// about the past", which never lowers a count.
//
// A State is used up by Step: it shares its memory with the State that Step returns and with the Proposals of the
// Decision, so only the returned one may be used again. Clone makes an independent copy. A State must not be shared
// between goroutines without a lock. It holds a few hundred bytes, and at most a few kilobytes for a workload whose
// recommendations fall steadily.
type State struct {
	// seeded is false in a new State; epoch is the time of its first Step, and every time.Duration below counts from it.
	seeded bool
	epoch  time.Time
	latest time.Duration

	// current is the count of the last Step; asked and before are the last two counts that were asked for and have not been
	// seen yet. Two, since a write may be on its way while the next decision is made.
	current       int32
	asked, before ask

	// highs and lows are the recommendations that the scale-down and scale-up windows look at; lows holds negated numbers.
	highs, lows peaks
	// blind says that recommendations are missing since the last one that was noted.
	blind bool

	added, removed changes

	// worked says that the initial cooldown is over: work, a pause or somebody else's change has been seen.
	worked bool
	// idle says that every event trigger has been known and idle in every Step since idleSince.
	idle      bool
	idleSince time.Duration
	pause     PauseMode

	proposals []Proposal

	// edited asks the next Step to fill the windows with the present count.
	edited bool
}

// ask is a count that was asked for and when.
type ask struct {
	open bool
	n    int32
	at   time.Duration
}

// Clone returns a copy of s that shares no memory with it.
func (s State) Clone() State {
	s.highs = slices.Clone(s.highs)
	s.lows = slices.Clone(s.lows)
	s.added = slices.Clone(s.added)
	s.removed = slices.Clone(s.removed)
	s.proposals = slices.Clone(s.proposals)
	return s
}

// Edited returns s for use after an edit of the triggers. What was recommended and changed before is kept, and the next Step
// begins as though the present count had just been recommended and work had just been seen. Edits of anything else need no call:
// a Step reads bounds, cooldowns and behavior anew each time.
func (s State) Edited() State {
	s.edited = s.seeded
	return s
}

// refill carries out an edit.
func (s *State) refill(at time.Duration, in *Input) {
	s.edited = false
	s.highs = s.highs.add(at, in.Current, in.Behavior.ScaleDown.Stabilization)
	s.lows = s.lows.add(at, -in.Current, in.Behavior.ScaleUp.Stabilization)
	s.restartCooldown()
}

// advance moves s to now and returns it as an offset. Time never runs backwards inside a State, whatever the clock does.
func (s *State) advance(now time.Time) time.Duration {
	s.latest = max(s.latest, now.Sub(s.epoch))
	return s.latest
}

// seed starts a new State: both windows are full of the present count.
func (s *State) seed(now time.Time, in *Input) {
	s.seeded = true
	s.epoch = now
	s.current = in.Current
	s.highs = s.highs.add(0, in.Current, in.Behavior.ScaleDown.Stabilization)
	s.lows = s.lows.add(0, -in.Current, in.Behavior.ScaleUp.Stabilization)
}

// meet compares the present count with that of the last Step. When it became what was asked for, the change was ours and
// counts for the policies, from the time at which it was last asked for. Any other change was made by somebody else, who
// must have had a reason: the cooldown starts anew.
func (s *State) meet(current int32) {
	if current == s.current {
		return
	}
	switch {
	case s.asked.open && s.asked.n == current:
		s.noteChange(s.asked.at, current)
		s.asked.open, s.before.open = false, false
	case s.before.open && s.before.n == current:
		s.noteChange(s.before.at, current)
		s.before.open = false
	default:
		s.asked.open, s.before.open = false, false
		s.restartCooldown()
	}
	s.current = current
}

func (s *State) noteChange(at time.Duration, current int32) {
	if current > s.current {
		s.added = s.added.add(at, current-s.current)
	} else {
		s.removed = s.removed.add(at, s.current-current)
	}
}

// noteAsk remembers what this Step asks for. A Step that holds the count leaves earlier asks open for one Step more.
func (s *State) noteAsk(at time.Duration, n int32) {
	if s.asked.open && s.asked.n == n {
		s.asked.at = at
		return
	}
	s.before = s.asked
	s.asked = ask{open: n != s.current, n: n, at: at}
}

// restartCooldown makes s forget the idleness it has seen and ends the initial cooldown.
func (s *State) restartCooldown() {
	s.idle = false
	s.worked = true
}
