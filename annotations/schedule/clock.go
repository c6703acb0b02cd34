package schedule

import (
	"time"

	cron "github.com/netresearch/go-cron"
)

// clock has the times of a cron expression in a zone. The expression is evaluated on the clock on the wall, as if it ran without a break, and each of
// its times is then placed: one that a clock change skips comes at the change, and one that it repeats comes once, the first time.
type clock struct {
	times *cron.SpecSchedule
	zone  *time.Location
}

// last is the latest time at or before now, or the zero time.
func (c clock) last(now time.Time) time.Time {
	wall, ok := c.lastWall(now)
	if !ok {
		return time.Time{}
	}
	return c.place(wall)
}

// next is the first time after now, or the zero time.
func (c clock) next(now time.Time) time.Time {
	wall, ok := c.lastWall(now)
	if !ok {
		wall = c.wall(now).Add(-overlap)
	}
	for {
		if wall = c.times.Next(wall); wall.IsZero() {
			return time.Time{}
		}
		if at := c.place(wall); at.After(now) {
			return at
		}
	}
}

// overlap is more than any clock change has ever repeated.
const overlap = 26 * time.Hour

// lastWall is what the wall says at the latest time at or before now. In a repeated hour that may be more than the wall says now.
func (c clock) lastWall(now time.Time) (time.Time, bool) {
	wall := c.times.Prev(c.wall(now).Add(time.Second))
	if wall.IsZero() {
		return wall, false
	}
	for next := c.times.Next(wall); !next.IsZero() && !c.place(next).After(now); next = c.times.Next(next) {
		wall = next
	}
	return wall, true
}

// wall is what the clock on the wall says at a time, noted down as if it hung in UTC.
func (c clock) wall(at time.Time) time.Time {
	at = at.In(c.zone)
	return time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), time.UTC)
}

// place is the time at which the clock on the wall says so for the first time, or that of the change that skips it.
func (c clock) place(wall time.Time) time.Time {
	at := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, c.zone)
	begin, end := at.ZoneBounds()
	if skipped := !c.wall(at).Equal(wall); skipped {
		if end.IsZero() || !begin.IsZero() && at.Sub(begin) < end.Sub(at) {
			return begin
		}
		return end
	}
	if begin.IsZero() {
		return at
	}
	_, offset := at.Zone()
	_, before := begin.Add(-time.Second).In(c.zone).Zone()
	if turned := time.Duration(before-offset) * time.Second; at.Sub(begin) < turned {
		return at.Add(-turned)
	}
	return at
}
