package controller

import (
	"slices"
	"testing"
	"time"
)

// round is one thing that happens to a count, and what is to be seen then.
type round struct {
	after    time.Duration
	from, to int32
	// by is empty for the loop itself.
	by string
	// rival and next are what the duel says right after it.
	rival string
	next  time.Duration
}

func TestDuel(t *testing.T) {
	const federation, stands = "federation (scale)", "the field manager federation (scale)"
	up := func(after time.Duration) round { return round{after: after, from: 1, to: 5} }
	down := func(after time.Duration, rival string, next time.Duration) round {
		return round{after: after, from: 5, to: 1, by: federation, rival: rival, next: next}
	}
	lost := []round{up(0), down(time.Second, "", 0), up(0), down(time.Second, "", 0), up(0), down(time.Second, stands, 30*time.Second)}
	tried := slices.Concat(lost, []round{{after: 30 * time.Second, from: 1, to: 5, next: duelRound + 1}})
	for name, rounds := range map[string][]round{
		"three writes taken back":                    lost,
		"two are not enough":                         lost[:4],
		"a try after the pause is taken back":        slices.Concat(tried, []round{down(time.Second, stands, time.Minute)}),
		"a try that stands ends it":                  slices.Concat(tried, []round{up(duelRound + time.Second), down(time.Second, "", 0)}),
		"slowly taken back":                          {up(0), down(duelRound+1, "", 0), up(0), down(duelRound+1, "", 0), up(0), down(duelRound+1, "", 0)},
		"a write in between that nobody takes back":  {up(0), down(time.Second, "", 0), up(0), down(time.Second, "", 0), up(0), up(time.Second), down(time.Second, "", 0)},
		"pushed on in the same direction":            {up(0), {from: 5, to: 9, by: federation}, up(0), {from: 5, to: 9, by: federation}, up(0), {from: 5, to: 9, by: federation}},
		"scaled by others while the loop writes not": {down(0, "", 0), down(0, "", 0), down(0, "", 0), down(0, "", 0)},
		"long ago": {up(0), down(time.Second, "", 0), up(0), down(time.Second, "", 0), up(time.Hour), down(time.Second, "", 0)},
	} {
		t.Run(name, func(t *testing.T) {
			var d duel
			now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
			for i, r := range rounds {
				now = now.Add(r.after)
				if r.by == "" {
					d.write(r.from, r.to, now)
				} else {
					d.other(r.from, r.to, r.by, now)
				}
				if rival, next := d.rival(now), d.next(now); rival != r.rival || next != r.next {
					t.Fatalf("step %d: rival %q and next %s, want %q and %s", i, rival, next, r.rival, r.next)
				}
			}
		})
	}
}

func TestTheAnonymousDuellistAndTheLongestPause(t *testing.T) {
	var d duel
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for range 60 {
		now = now.Add(d.next(now))
		d.write(1, 5, now)
		d.other(5, 1, "", now)
	}
	if got := d.rival(now); got != "another writer of the count" {
		t.Errorf("rival %q", got)
	}
	if got := d.next(now); got != duelPauseMax {
		t.Errorf("it stands back for %s, want %s", got, duelPauseMax)
	}
}
