package decide

import (
	"math"
	"testing"
	"time"
)

func TestSentences(t *testing.T) {
	latency := Trigger{Name: "latency", MetricType: Value, Target: 300, Reading: Reading{Known: true, Value: 900}}
	tests := []struct {
		name string
		in   Input
		want string
	}{
		{"more", with(workload(1, event("orders", 500)), maximum(50)), "trigger orders: 500 at a target of 10 each asks for 50 replicas"},
		{"maximum", workload(1, event("orders", 500)), "trigger orders: 500 at a target of 10 each asks for 50 replicas; cut to max-replicas 20"},
		{"within tolerance", workload(5, event("orders", 52)), "trigger orders: 52 at a target of 10 each is within tolerance of 5 replicas"},
		{"a level", workload(3, latency), "trigger latency: 900 at a target of 300 asks for 9 replicas"},
		{"a share", workload(4, cpu(85)), "trigger cpu: 85% at a target of 50% asks for 7 replicas"},
		{
			"several, the winner first", workload(1, event("a", 20), event("b", 90), cpu(40)),
			"trigger b: 90 at a target of 10 each asks for 9 replicas; trigger a: 20 at a target of 10 each asks for 2 replicas; trigger cpu: 40% at a target of 50% asks for 1 replica",
		},
		{"unknown", workload(6, broken("orders")), "trigger orders could not be read; holding 6 replicas"},
		{
			"unknown beside a known one", workload(8, event("a", 5), broken("b")),
			"trigger a: 5 at a target of 10 each asks for 1 replica; trigger b could not be read; holding 8 replicas",
		},
		{"unknown, but more", workload(1, broken("b"), event("a", 50)), "trigger a: 50 at a target of 10 each asks for 5 replicas; trigger b could not be read"},
		{"no triggers", workload(1), "no triggers are set; holding 1 replica"},
		{"above the maximum", with(workload(30, event("orders", 50)), maximum(10)), "30 replicas are above max-replicas 10; lowering to 10"},
		{"minimum", with(workload(5, event("orders", 0)), minimum(3)), "trigger orders: 0 at a target of 10 each asks for 0 replicas; raised to min-replicas 3"},
		{"unknown below the minimum", with(workload(1, broken("orders")), minimum(3)), "trigger orders could not be read; raised to min-replicas 3"},
		{
			"cpu alone", with(workload(1, cpu(0)), minimum(0)),
			"trigger cpu: 0% at a target of 50% asks for 0 replicas; raised to 1 replica, since cpu and memory alone never scale to zero",
		},
		{
			"work in progress", with(workload(1, Trigger{Name: "x", Target: 10, Reading: Reading{Known: true, Busy: true}}), minimum(0)),
			"trigger x: 0 at a target of 10 each, with work in progress, asks for 0 replicas; raised to 1 replica, the least while there is work",
		},
		{
			"forced", with(workload(0, event("orders", 0)), minimum(0), forceActive),
			"trigger orders: 0 at a target of 10 each asks for 0 replicas; force-active keeps at least 1 replica",
		},
		{"up to the idle count", with(workload(0, event("orders", 0)), minimum(3), idleCount(2)), "no work seen since 12:00:00Z; raising to idle-replicas 2"},
		{"unknown at zero", with(workload(0, broken("orders")), minimum(0)), "trigger orders could not be read; holding 0 replicas"},
		{"a date when it is another day", with(workload(1, event("orders", 0)), minimum(0), cooldown(13*time.Hour)), "no work seen since 12:00:00Z; zero after the cooldown of 13h0m0s, at 2026-03-03T01:00:00Z"},
		{
			"readable numbers", workload(1, Trigger{Name: "x", Target: 0.25, Reading: Reading{Known: true, Value: 1234567.0004}}),
			"trigger x: 1234567 at a target of 0.25 each asks for 4938269 replicas; cut to max-replicas 20",
		},
		{
			"huge and tiny numbers", workload(1, Trigger{Name: "x", Target: 1e-9, Reading: Reading{Known: true, Value: math.MaxFloat64}}),
			"trigger x: 1.798e+308 at a target of 1e-09 each asks for 2147483647 replicas; cut to max-replicas 20",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := play(t, tt.in)
			f.last = once(tt.in)
			f.says(tt.want)
		})
	}
}

// TestTimesAreInUTC whatever the zone of the time that Step was given.
func TestTimesAreInUTC(t *testing.T) {
	in := with(workload(1, event("orders", 0)), minimum(0))
	d, _ := Step(noon.In(time.FixedZone("Berlin", 3600)), in, State{})
	const want = "no work seen since 12:00:00Z; zero after the cooldown of 1m0s, at 12:01:00Z"
	if got := d.Sentence(in); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestRepeats: what is told of a decision changes with what it decides, with midnight, and all the time while it waits for something.
func TestRepeats(t *testing.T) {
	idle := with(workload(0, event("orders", 0)), minimum(0))
	first, state := Step(noon, idle, State{})
	second, state := Step(noon.Add(time.Second), idle, state)
	night, _ := Step(noon.Add(13*time.Hour), idle, state)
	cooling, _ := Step(noon, with(workload(1, event("orders", 0)), minimum(0)), State{})
	for _, c := range []struct {
		name string
		d, o Decision
		want bool
	}{
		{"the same a second later", second, first, true},
		{"on the next day", night, second, false},
		{"with a time that runs", cooling, cooling, false},
		{"another one", cooling, first, false},
	} {
		if got := c.d.Repeats(c.o); got != c.want {
			t.Errorf("%s: got %v, want %v; %+v and %+v", c.name, got, c.want, c.d, c.o)
		}
	}
}
