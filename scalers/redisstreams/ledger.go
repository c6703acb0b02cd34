package redisstreams

// ledger knows how far the server's lag of one group is off.
//
// The server computes lag as entries added minus entries read by the group. Adding and reading move it by exactly as much as the number of unread entries. Only
// an unread entry that is trimmed or deleted moves them apart, and they stay apart for good: lag = unread + offset. So the offset, once measured, holds for as
// long as no unread entry can have gone. That is provable from one reading to the next: as long as the first entry and the greatest deleted one are not beyond
// what had been delivered at the previous reading, everything that went had been read.
type ledger struct {
	// known is true while offset holds.
	known  bool
	offset int64
	// delivered is the group's position at the previous reading.
	delivered streamID
	// readings counts those that trusted the offset since it was last measured.
	readings int
	// idle is the group at the previous reading, if that proved that nothing was unread and the server agreed.
	idle   groupInfo
	isIdle bool
}

// maxTrust is after how many readings the offset is measured again: a group that was destroyed and made anew between two readings cannot be told from one that
// went on.
const maxTrust = 100

// stillIdle says, from the group alone, whether nothing was added since a reading that saw nothing unread. With a lag of 0 at both readings the server has added
// as many entries as it counts as read, and that count did not change.
func (l *ledger) stillIdle(g groupInfo) bool {
	return l.isIdle && g.delivered == l.idle.delivered && g.read == l.idle.read && g.lag == l.idle.lag
}

// unread returns the number of entries after the group's position, if that can be proved without reading them. The order of the rules does not matter for
// their truth; the cheap proofs come first.
func (l *ledger) unread(g groupInfo, s streamInfo) (count int64, proved bool) {
	count, proved = certain(g, s)
	if proved {
		l.measured(g, s, count)
		return count, true
	}
	if l.trusts(g, s) {
		if count := g.lag.value - l.offset; plausible(count, s) {
			l.delivered = g.delivered
			l.readings++
			return count, true
		}
	}
	l.forget()
	return 0, false
}

// certain holds the rules that need no history.
func certain(g groupInfo, s streamInfo) (count int64, proved bool) {
	switch {
	case s.length == 0 || g.delivered.compare(s.last) >= 0:
		// Nothing is there, or nothing was ever added after what the group has seen, whatever lag says.
		return 0, true
	case s.first.compare(g.delivered) > 0:
		return s.length, true
	case s.first == g.delivered:
		return s.length - 1, true
	case g.lag.known && s.added.known && s.added.value == s.length && s.hasDeleted && s.deleted == streamID{} && plausible(g.lag.value, s):
		// No entry was ever taken out of the stream, so there is nothing for lag to be wrong about.
		return g.lag.value, true
	}
	return 0, false
}

// plausible is true of a number of unread entries of a stream that has read and unread ones.
func plausible(count int64, s streamInfo) bool { return count >= 1 && count < s.length }

// trusts says whether the offset still holds.
func (l *ledger) trusts(g groupInfo, s streamInfo) bool {
	return l.known && l.readings < maxTrust && g.lag.known && g.read.known && s.hasDeleted &&
		g.delivered.compare(l.delivered) >= 0 &&
		s.first.compare(l.delivered) <= 0 &&
		s.deleted.compare(l.delivered) < 0
}

// measured learns the offset from a count that is certain. The sum tells that lag was computed from the counters, and that nothing was added between
// the two answers of the server.
func (l *ledger) measured(g groupInfo, s streamInfo, count int64) {
	l.forget()
	if g.lag.known && g.read.known && s.added.known && s.hasDeleted && g.read.value+g.lag.value == s.added.value {
		l.known, l.offset, l.delivered = true, g.lag.value-count, g.delivered
	}
	if count == 0 && g.lag.known && g.lag.value == 0 {
		l.idle, l.isIdle = g, true
	}
}

func (l *ledger) forget() { *l = ledger{} }
