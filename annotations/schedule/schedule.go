// Package schedule says which windows of a week are open, and what the bounds are inside them.
//
// It owns cron expressions, time zones and the rule for windows that overlap. It has no clock: the time is an argument.
package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // an image without a zone database must know every zone too

	cron "github.com/netresearch/go-cron"
)

// Window opens at each time of one cron expression and closes at each of another. It is immutable.
type Window struct {
	start, end clock
}

// NewWindow returns the window between two cron expressions in a time zone. The error is that of CheckCron or CheckZone.
func NewWindow(start, end, zone string) (*Window, error) {
	if err := CheckZone(zone); err != nil {
		return nil, fmt.Errorf("timezone %q: %w", zone, err)
	}
	location, err := time.LoadLocation(zone)
	if err != nil {
		return nil, fmt.Errorf("timezone %q: %w", zone, err)
	}
	opens, err := parse(start)
	if err != nil {
		return nil, fmt.Errorf("start %q: %w", start, err)
	}
	closes, err := parse(end)
	if err != nil {
		return nil, fmt.Errorf("end %q: %w", end, err)
	}
	return &Window{clock{opens, location}, clock{closes, location}}, nil
}

// At says whether the window is open at now, and when that changes next (the zero time for not within a year). What happened last counts: after a
// start it is open and after an end closed, so that a window may cross midnight, last for days, or be opened twice. An end beats a start at the
// same time.
func (w *Window) At(now time.Time) (open bool, until time.Time) {
	if w.openAt(now) {
		return true, w.end.next(now)
	}
	for until = w.start.next(now); !until.IsZero() && until.Sub(now) < horizon; until = w.start.next(until) {
		if w.openAt(until) {
			return false, until
		}
	}
	return false, time.Time{}
}

func (w *Window) openAt(now time.Time) bool { return w.start.last(now).After(w.end.last(now)) }

// horizon is beyond which nobody waits for a window.
const horizon = 366 * 24 * time.Hour

// CheckZone says what is wrong with the name of a time zone.
func CheckZone(name string) error {
	_, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" { // the last two are whatever the container says
		return errors.New("want a name of the IANA database such as Europe/Berlin or UTC")
	}
	return nil
}

// CheckCron says what is wrong with a cron expression: one that cannot be read, or that never comes.
func CheckCron(expression string) error {
	_, err := parse(expression)
	return err
}

// times is what the library makes of an expression.
type times interface {
	Next(time.Time) time.Time
	Prev(time.Time) time.Time
}

// parse reads standard cron: five fields, names of days and months; a day matches by date or by weekday, as crontab(5) says.
func parse(expression string) (times, error) {
	if strings.HasPrefix(strings.TrimSpace(expression), "@") || strings.Contains(expression, "TZ=") {
		return nil, errors.New("want five fields; a word with @ or a zone cannot stand here")
	}
	parsed, err := cron.MustNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.DowOrDom).Parse(expression)
	if err != nil {
		line, _, _ := strings.Cut(err.Error(), "\n")
		return nil, errors.New(line)
	}
	fixed, ok := parsed.(times)
	if !ok || fixed.Next(time.Unix(0, 0).UTC()).IsZero() {
		return nil, errors.New("no such day ever comes")
	}
	return fixed, nil
}
