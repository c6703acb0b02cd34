package schedule

import (
	"slices"
	"strings"
	"time"
)

// Entry is a named window with the bounds inside it; nil keeps the bound of always.
type Entry struct {
	Name     string
	Window   *Window
	Min, Max *int32
}

// Bounds are what holds at one time.
type Bounds struct {
	Min, Max int32
	// Schedule names the open windows in order, joined by a comma; empty when none is open.
	Schedule string
	// Until is until when they hold at least; the zero time means for ever.
	Until time.Time
}

// Calendar is all the windows of a workload.
type Calendar []Entry

// At returns the bounds at now, where always holds outside of every window. Of several open windows the largest min and the largest max count, so
// that no window gets less than it asks for.
func (c Calendar) At(now time.Time, always Bounds) Bounds {
	b := Bounds{Min: always.Min, Max: always.Max}
	var open []string
	for _, e := range c {
		isOpen, until := e.Window.At(now)
		if !until.IsZero() && (b.Until.IsZero() || until.Before(b.Until)) {
			b.Until = until
		}
		if !isOpen {
			continue
		}
		lowest, highest := e.inside(always)
		if len(open) > 0 {
			lowest, highest = max(lowest, b.Min), max(highest, b.Max)
		}
		b.Min, b.Max = lowest, highest
		open = append(open, e.Name)
	}
	slices.Sort(open)
	b.Schedule = strings.Join(open, ", ")
	return b
}

func (e Entry) inside(always Bounds) (lowest, highest int32) {
	lowest, highest = always.Min, always.Max
	if e.Min != nil {
		lowest = *e.Min
	}
	if e.Max != nil {
		highest = *e.Max
	}
	return lowest, highest
}
