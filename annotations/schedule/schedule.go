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

// At says whether the window is open at now, and until when that holds at least: it changes then, or it has to be asked again, since At looks
// at maxStarts starts and no more. The zero time means for ever. What happened last counts: after a start the window is open and after an end
// closed, so that a window may cross midnight, last for days, or be opened twice. An end beats a start at the same time.
func (w *Window) At(now time.Time) (open bool, until time.Time) {
	if w.openAt(now) {
		return true, w.end.next(now)
	}
	until = now
	for range maxStarts {
		if until = w.start.next(until); until.IsZero() || w.openAt(until) {
			break
		}
	}
	return false, until
}

// maxStarts bounds the search for a start at which no end comes, too.
const maxStarts = 64

func (w *Window) openAt(now time.Time) bool { return w.start.last(now).After(w.end.last(now)) }

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

// Opens says whether a window between two expressions without a fault ever opens: whether a start comes at which no end does.
func Opens(start, end string) bool {
	opens, err := parse(start)
	if err != nil {
		return true
	}
	closes, err := parse(end)
	if err != nil {
		return true
	}
	return opens.Minute&^closes.Minute&minutes != 0 || opens.Hour&^closes.Hour&hours != 0 || !daysWithin(opens, closes)
}

const (
	minutes = 1<<60 - 1
	hours   = 1<<24 - 1
	anyDay  = 1 << 63 // the bit of a * in the days of a month or a week
)

// daysWithin says whether every day of a is one of b. It compares every date on every day of the week; in some year each of them comes.
func daysWithin(a, b *cron.SpecSchedule) bool {
	const leapYear = 2000
	for day := time.Date(leapYear, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() == leapYear; day = day.AddDate(0, 0, 1) {
		for weekday := time.Sunday; weekday <= time.Saturday; weekday++ {
			if comesOn(a, day, weekday) && !comesOn(b, day, weekday) {
				return false
			}
		}
	}
	return true
}

// comesOn says whether an expression has times on a date when it is on a day of the week.
func comesOn(s *cron.SpecSchedule, date time.Time, weekday time.Weekday) bool {
	byDate, byWeekday := s.Dom>>date.Day()&1 != 0, s.Dow>>weekday&1 != 0
	if s.Month>>date.Month()&1 == 0 {
		return false
	}
	if (s.Dom|s.Dow)&anyDay != 0 {
		return byDate && byWeekday
	}
	return byDate || byWeekday
}

// parse reads standard cron: five fields, names of days and months; a day matches by date or by weekday, as crontab(5) says.
func parse(expression string) (*cron.SpecSchedule, error) {
	if strings.HasPrefix(strings.TrimSpace(expression), "@") || strings.Contains(expression, "TZ=") {
		return nil, errors.New("want five fields; a word with @ or a zone cannot stand here")
	}
	parsed, err := cron.MustNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.DowOrDom).Parse(expression)
	if err != nil {
		line, _, _ := strings.Cut(err.Error(), "\n")
		return nil, errors.New(line)
	}
	fields, ok := parsed.(*cron.SpecSchedule)
	if !ok || fields.Next(time.Unix(0, 0).UTC()).IsZero() {
		return nil, errors.New("no such day ever comes")
	}
	return fields, nil
}
