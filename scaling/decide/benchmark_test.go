package decide

import (
	"testing"
	"time"
)

// steady is a workload with three triggers and every rule in use.
func steady() Input {
	in := workload(9, event("orders", 85), event("payments", 20), cpu(40))
	in.Triggers[2].Reading.Pods = Pods{Measured: 7, Usage: 2000, Requests: 7000, Missing: 1, MissingRequests: 1000, Unready: 1, UnreadyRequests: 1000}
	in.Bounds.Min = 0
	in.Behavior = DefaultBehavior()
	in.Behavior.EventRamp = true
	return in
}

func TestStepAllocatesNothingOnceWarm(t *testing.T) {
	in, now := steady(), noon
	var st State
	for i := range 2000 { // warm up: rises, falls, idle times and failures
		now = now.Add(5 * time.Second)
		in.Triggers[0].Reading = Reading{Known: i%50 != 0, Value: float64(i * 7 % 400)}
		var d Decision
		d, st = Step(now, in, st)
		in.Current = d.Replicas
	}
	i := 0
	allocations := testing.AllocsPerRun(2000, func() {
		i++
		now = now.Add(5 * time.Second)
		in.Triggers[0].Reading = Reading{Known: i%50 != 0, Value: float64(i * 7 % 400)}
		var d Decision
		d, st = Step(now, in, st)
		in.Current = d.Replicas
	})
	if allocations != 0 {
		t.Errorf("Step allocates %v times, want 0", allocations)
	}
}

func BenchmarkStepThreeTriggers(b *testing.B) {
	in, now := steady(), noon
	var st State
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		now = now.Add(5 * time.Second)
		in.Triggers[0].Reading.Value = float64(80 + i*7%40)
		var d Decision
		d, st = Step(now, in, st)
		in.Current = d.Replicas
	}
}

func BenchmarkSentence(b *testing.B) {
	in := steady()
	d, _ := Step(noon, in, State{})
	b.ReportAllocs()
	for b.Loop() {
		_ = d.Sentence(in)
	}
}
