package controller

import "time"

// The tempo of a duel.
const (
	// duelRounds is how many writes in a row are taken back before the loop stands back.
	duelRounds = 3
	// duelRound is within what time another writer takes a write back; a later one had another cause.
	duelRound = 5 * time.Minute
	// duelPause is how long the loop stands back the first time. Each write after that which is taken back too doubles it, up to duelPauseMax.
	duelPause    = 30 * time.Second
	duelPauseMax = 15 * time.Minute
)

// duel recognises another writer of the count that no object in the cluster announces: a controller that takes back what the loop writes, each time.
// The loop then stands back, and tries again after pauses that grow, so that the writes are bounded and the workload is not left to itself for good.
//
// A write that nobody takes back within duelRound ends it. So does one that is followed by another of the loop's own: a person who corrects the count by
// hand now and then is no rival.
type duel struct {
	// wrote is the latest write of the loop, zero when there is none that could still be taken back. up says that it raised the count.
	wrote time.Time
	up    bool
	// lost counts the writes in a row that were taken back; who did so last, and taken is when.
	lost  int
	who   string
	taken time.Time
	// until is how long the loop stands back.
	until time.Time
}

// write notes a write of the loop.
func (d *duel) write(from, to int32, now time.Time) {
	if !d.wrote.IsZero() || now.Sub(d.taken) > duelRound && now.Sub(d.until) > duelRound {
		*d = duel{} // the write before this one was not taken back, or that is long ago
	}
	d.wrote, d.up = now, to > from
}

// other notes that somebody else changed the count from what the loop had left.
func (d *duel) other(from, to int32, who string, now time.Time) {
	switch {
	case d.wrote.IsZero() || from == to:
		return
	case now.Sub(d.wrote) > duelRound || d.up == (to > from):
		*d = duel{}
		return
	}
	d.wrote = time.Time{}
	d.lost++
	d.who, d.taken = who, now
	if over := d.lost - duelRounds; over >= 0 {
		d.until = now.Add(min(duelPause<<min(over, 10), duelPauseMax))
	}
}

// rival names the other writer while the loop stands back; it is empty otherwise.
func (d *duel) rival(now time.Time) string {
	switch {
	case !now.Before(d.until):
		return ""
	case d.who == "":
		return "another writer of the count"
	}
	return "the field manager " + d.who
}

// trying says whether the loop has written after it stood back, and it is not known yet whether that is taken back as well.
func (d *duel) trying(now time.Time) bool {
	return d.lost >= duelRounds && !d.wrote.IsZero() && now.Sub(d.wrote) <= duelRound
}

// next is how long it is until something about the duel changes by itself; 0 for never.
func (d *duel) next(now time.Time) time.Duration {
	switch {
	case now.Before(d.until):
		return d.until.Sub(now)
	case d.trying(now):
		return d.wrote.Add(duelRound).Sub(now) + 1
	}
	return 0
}
