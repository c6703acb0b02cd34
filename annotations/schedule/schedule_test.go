package schedule_test

import (
	"testing"
	"time"

	"autoscale.io/annotations/schedule"
)

func window(t *testing.T, start, end, zone string) *schedule.Window {
	t.Helper()
	w, err := schedule.NewWindow(start, end, zone)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func when(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestWindow(t *testing.T) {
	const berlin, newYork = "Europe/Berlin", "America/New_York"
	for _, c := range []struct {
		name, start, end, zone string
		now                    string
		open                   bool
		until                  string
	}{
		{"before", "0 8 * * 1-5", "0 20 * * 1-5", "UTC", "2026-03-02T07:59:59Z", false, "2026-03-02T08:00:00Z"},
		{"the first second", "0 8 * * 1-5", "0 20 * * 1-5", "UTC", "2026-03-02T08:00:00Z", true, "2026-03-02T20:00:00Z"},
		{"the last second", "0 8 * * 1-5", "0 20 * * 1-5", "UTC", "2026-03-02T19:59:59Z", true, "2026-03-02T20:00:00Z"},
		{"the end", "0 8 * * 1-5", "0 20 * * 1-5", "UTC", "2026-03-02T20:00:00Z", false, "2026-03-03T08:00:00Z"},
		{"a weekend", "0 8 * * 1-5", "0 20 * * 1-5", "UTC", "2026-03-06T21:00:00Z", false, "2026-03-09T08:00:00Z"},
		{"names of days", "0 8 * * mon-fri", "0 20 * * mon-fri", "UTC", "2026-03-02T09:00:00Z", true, "2026-03-02T20:00:00Z"},
		{"a zone", "0 8 * * *", "0 20 * * *", berlin, "2026-03-02T07:00:00Z", true, "2026-03-02T19:00:00Z"},
		{"the same in summer", "0 8 * * *", "0 20 * * *", berlin, "2026-07-02T06:00:00Z", true, "2026-07-02T18:00:00Z"},
		{"over midnight, before", "0 22 * * *", "0 6 * * *", "UTC", "2026-03-02T23:30:00Z", true, "2026-03-03T06:00:00Z"},
		{"over midnight, after", "0 22 * * *", "0 6 * * *", "UTC", "2026-03-03T05:59:00Z", true, "2026-03-03T06:00:00Z"},
		{"over midnight, in the day", "0 22 * * *", "0 6 * * *", "UTC", "2026-03-03T12:00:00Z", false, "2026-03-03T22:00:00Z"},
		{"opened each day, closed on Friday", "0 8 * * *", "0 20 * * 5", "UTC", "2026-03-04T23:00:00Z", true, "2026-03-06T20:00:00Z"},
		{"the start and the end of a month", "0 0 1 * *", "0 0 5 * *", "UTC", "2026-03-03T12:00:00Z", true, "2026-03-05T00:00:00Z"},
		{"a date or a weekday", "0 0 13 * 5", "0 12 * * *", "UTC", "2026-03-06T01:00:00Z", true, "2026-03-06T12:00:00Z"},

		// In Berlin 02:00 to 03:00 does not exist on 29 March 2026 and comes twice on 25 October.
		{"a start that the clocks skip, before", "30 2 * * *", "0 5 * * *", berlin, "2026-03-29T00:59:59Z", false, "2026-03-29T01:00:00Z"},
		{"a start that the clocks skip", "30 2 * * *", "0 5 * * *", berlin, "2026-03-29T01:00:00Z", true, "2026-03-29T03:00:00Z"},
		{"a start that the clocks skip, an hour on", "30 2 * * *", "0 5 * * *", berlin, "2026-03-29T02:30:00Z", true, "2026-03-29T03:00:00Z"},
		{"an end that the clocks skip", "0 1 * * *", "30 2 * * *", berlin, "2026-03-29T01:00:00Z", false, "2026-03-29T23:00:00Z"},
		{"across the skipped hour", "0 22 * * *", "0 6 * * *", berlin, "2026-03-29T03:59:59Z", true, "2026-03-29T04:00:00Z"},
		{"before the repeated hour", "30 2 * * *", "0 4 * * *", berlin, "2026-10-25T00:29:59Z", false, "2026-10-25T00:30:00Z"},
		{"a start that the clocks skip, west of Greenwich", "30 2 * * *", "0 5 * * *", newYork, "2026-03-08T06:59:59Z", false, "2026-03-08T07:00:00Z"},
		{"the repeated hour, west of Greenwich", "30 1 * * *", "0 4 * * *", newYork, "2026-11-01T05:29:59Z", false, "2026-11-01T05:30:00Z"},
		{"the repeated hour, first", "30 2 * * *", "0 4 * * *", berlin, "2026-10-25T00:30:00Z", true, "2026-10-25T03:00:00Z"},
		{"the repeated hour, second", "30 2 * * *", "0 4 * * *", berlin, "2026-10-25T01:30:00Z", true, "2026-10-25T03:00:00Z"},
		{"New York's own day", "0 8 * * *", "0 20 * * *", newYork, "2026-03-08T12:00:00Z", true, "2026-03-09T00:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			open, until := window(t, c.start, c.end, c.zone).At(when(t, c.now))
			if open != c.open || !until.Equal(when(t, c.until)) {
				t.Errorf("open %v until %s, want %v until %s", open, until.UTC().Format(time.RFC3339), c.open, c.until)
			}
		})
	}
}

// TestUntilIsTrue: nothing changes before Until, and at Until everything does, through two years of clock changes.
func TestUntilIsTrue(t *testing.T) {
	for _, w := range []*schedule.Window{
		window(t, "30 2 * * *", "15 3 * * *", "Europe/Berlin"),
		window(t, "0 1 * * *", "30 2 * * *", "America/New_York"),
		window(t, "0 22 * * 1-5", "0 6 * * *", "Australia/Lord_Howe"),
		window(t, "0 0 * * *", "30 0 * * *", "America/Santiago"),
	} {
		now := when(t, "2026-01-01T00:00:00Z")
		for end := now.AddDate(2, 0, 0); now.Before(end); {
			open, until := w.At(now)
			if !until.After(now) {
				t.Fatalf("%v: until %v is not later", now, until)
			}
			if still, _ := w.At(until.Add(-time.Second)); still != open {
				t.Fatalf("%v: open is %v before the announced change at %v", now, still, until)
			}
			if after, _ := w.At(until); after == open {
				t.Fatalf("%v: still open=%v at the announced change at %v", now, open, until)
			}
			now = until
		}
	}
}

func TestWindowErrors(t *testing.T) {
	for _, c := range []struct{ start, end, zone, want string }{
		{"0 8 * *", "0 20 * * *", "UTC", `start "0 8 * *": expected exactly 5 fields, found 4: [0 8 * *]`},
		{"0 8 * * *", "0 25 * * *", "UTC", `end "0 25 * * *": end of range (25) above maximum (23): "25"`},
		{"@daily", "0 20 * * *", "UTC", `start "@daily": want five fields; a word with @ or a zone cannot stand here`},
		{"TZ=UTC 0 8 * * *", "0 20 * * *", "UTC", `start "TZ=UTC 0 8 * * *": want five fields; a word with @ or a zone cannot stand here`},
		{"0 0 30 2 *", "0 20 * * *", "UTC", `start "0 0 30 2 *": no such day ever comes`},
		{"0 8 * * *", "0 20 * * *", "Berlin", `timezone "Berlin": want a name of the IANA database such as Europe/Berlin or UTC`},
		{"0 8 * * *", "0 20 * * *", "Local", `timezone "Local": want a name of the IANA database such as Europe/Berlin or UTC`},
		{"0 8 * * *", "0 20 * * *", "", `timezone "": want a name of the IANA database such as Europe/Berlin or UTC`},
	} {
		if _, err := schedule.NewWindow(c.start, c.end, c.zone); err == nil || err.Error() != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
}

func n(x int32) *int32 { return &x }

func TestCalendar(t *testing.T) {
	c := schedule.Calendar{
		{Name: "office", Window: window(t, "0 8 * * *", "0 20 * * *", "UTC"), Min: n(5), Max: n(20)},
		{Name: "lunch", Window: window(t, "0 12 * * *", "0 13 * * *", "UTC"), Min: n(2), Max: n(30)},
		{Name: "freeze", Window: window(t, "0 22 * * *", "0 23 * * *", "UTC"), Max: n(3)},
	}
	always := schedule.Bounds{Min: 1, Max: 10}
	for now, want := range map[string]schedule.Bounds{
		"2026-03-02T07:00:00Z": {Min: 1, Max: 10, Until: when(t, "2026-03-02T08:00:00Z")},
		"2026-03-02T09:00:00Z": {Min: 5, Max: 20, Schedule: "office", Until: when(t, "2026-03-02T12:00:00Z")},
		"2026-03-02T12:30:00Z": {Min: 5, Max: 30, Schedule: "lunch, office", Until: when(t, "2026-03-02T13:00:00Z")},
		"2026-03-02T22:30:00Z": {Min: 1, Max: 3, Schedule: "freeze", Until: when(t, "2026-03-02T23:00:00Z")},
	} {
		got := c.At(when(t, now), always)
		if got.Min != want.Min || got.Max != want.Max || got.Schedule != want.Schedule || !got.Until.Equal(want.Until) {
			t.Errorf("%s: got %+v, want %+v", now, got, want)
		}
	}
	if got := (schedule.Calendar)(nil).At(when(t, "2026-03-02T07:00:00Z"), always); got != always {
		t.Errorf("without windows: got %+v", got)
	}
}

func BenchmarkWindowAt(b *testing.B) {
	w, err := schedule.NewWindow("0 8 * * 1-5", "0 20 * * 1-5", "Europe/Berlin")
	if err != nil {
		b.Fatal(err)
	}
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for b.Loop() {
		w.At(now)
	}
}

func TestOpens(t *testing.T) {
	for _, c := range []struct {
		start, end string
		want       bool
	}{
		{"0 8 * * 1-5", "0 20 * * 1-5", true},
		{"* * * * *", "*/1 * * * *", false},
		{"*/2 * * * *", "* * * * *", false},
		{"* * * * *", "*/2 * * * *", true},
		{"0 8 * * *", "0 */4 * * *", false},
		{"0 9 * * *", "0 */4 * * *", true},
		{"0 8 * * 0", "0 8 * * 7", false},
		{"0 8 * * sun", "0 8 * * sat,sun", false},
		{"0 8 * * *", "0 8 * * 1-6", true},
		{"0 8 * * *", "0 8 * 1-11 *", true},
		{"0 8 29 2 *", "0 8 28,29 * *", false},
		{"0 8 29 2 *", "0 8 28 * *", true},
		// A day matches by date or by weekday where neither is a *.
		{"0 8 1 * 1", "0 8 1 * *", true},
		{"0 8 1 * *", "0 8 1 * 1", false},
		{"0 8 * * 1", "0 8 1 * 1", false},
		{"not cron", "0 8 * * *", true},
		{"0 8 * * *", "not cron", true},
	} {
		if got := schedule.Opens(c.start, c.end); got != c.want {
			t.Errorf("%q to %q: got %v, want %v", c.start, c.end, got, c.want)
		}
	}
}

// TestAWindowThatNeverOpensIsRemembered: it is closed until a time that is far enough away to cost nothing.
func TestAWindowThatNeverOpensIsRemembered(t *testing.T) {
	now := when(t, "2026-03-02T07:59:30Z")
	for _, c := range []struct{ start, end, until string }{
		{"* * * * *", "*/1 * * * *", "2026-03-02T09:03:00Z"},
		{"*/2 * * * *", "* * * * *", "2026-03-02T10:06:00Z"},
		{"0 8 * * *", "0 8 * * *", "2026-05-04T08:00:00Z"},
	} {
		open, until := window(t, c.start, c.end, "UTC").At(now)
		if open || !until.Equal(when(t, c.until)) {
			t.Errorf("%q to %q: got %v until %s, want closed until %s", c.start, c.end, open, until, c.until)
		}
	}
}
