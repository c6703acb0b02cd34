package decide

import (
	"math"
	"testing"
	"time"
)

// load is a trigger over pods, at a target of 50 % or 50.
func load(metric MetricType, p Pods) Trigger {
	return Trigger{Name: "cpu", MetricType: metric, Target: 50, Resource: true, Reading: Reading{Known: true, Value: 1, Pods: p}}
}

// TestPods has what the HPA makes of sums over pods. A pod requests 1000 where nothing else is said.
func TestPods(t *testing.T) {
	for _, tt := range []struct {
		name    string
		metric  MetricType
		pods    Pods
		current int32
		want    int32
	}{
		{"on target", Utilization, Pods{Measured: 4, Usage: 2000, Requests: 4000}, 4, 4},
		{"above", Utilization, Pods{Measured: 4, Usage: 4000, Requests: 4000}, 4, 8},
		{"below", Utilization, Pods{Measured: 4, Usage: 1000, Requests: 4000}, 4, 2},
		{"10 % above is tolerated", Utilization, Pods{Measured: 4, Usage: 2200, Requests: 4000}, 4, 4},
		{"the percentage is cut to a whole one", Utilization, Pods{Measured: 4, Usage: 2239, Requests: 4000}, 4, 4},
		{"and then is not tolerated any more", Utilization, Pods{Measured: 4, Usage: 2240, Requests: 4000}, 4, 5},
		{"idle", Utilization, Pods{Measured: 4, Requests: 4000}, 4, 0},
		{"pods of two sizes", Utilization, Pods{Measured: 2, Usage: 1125, Requests: 1500}, 2, 3},
		{"an average", AverageValue, Pods{Measured: 3, Usage: 300_000}, 3, 6},
		{"the average is cut to a thousandth", AverageValue, Pods{Measured: 3, Usage: 165_002}, 3, 3},
		{"more pods are there than asked for", Utilization, Pods{Measured: 8, Usage: 8000, Requests: 8000}, 4, 16},

		{"CM-06 missing, up: counted as using nothing", Utilization, Pods{Measured: 3, Usage: 3000, Requests: 3000, Missing: 1, MissingRequests: 1000}, 4, 6},
		{"CM-06 missing, up: not enough to act", Utilization, Pods{Measured: 3, Usage: 2100, Requests: 3000, Missing: 1, MissingRequests: 1000}, 4, 4},
		{"CM-06 missing, up: never turned round", Utilization, Pods{Measured: 1, Usage: 700, Requests: 1000, Missing: 5, MissingRequests: 5000}, 6, 6},
		{"CM-06 missing, down: counted as using all", Utilization, Pods{Measured: 9, Usage: 900, Requests: 9000, Missing: 1, MissingRequests: 1000}, 10, 4},
		{"CM-06 missing, down: never turned round", Utilization, Pods{Measured: 1, Usage: 100, Requests: 1000, Missing: 3, MissingRequests: 3000}, 4, 4},
		{"CM-06 missing, down: an average counts the target", AverageValue, Pods{Measured: 2, Usage: 20_000, Missing: 2}, 4, 3},
		{"missing, on target", Utilization, Pods{Measured: 2, Usage: 1000, Requests: 2000, Missing: 2, MissingRequests: 2000}, 4, 4},

		{"CM-07 unready, up: counted as using nothing", Utilization, Pods{Measured: 2, Usage: 2000, Requests: 2000, Unready: 1, UnreadyRequests: 1000}, 3, 4},
		{"CM-07 unready, down: left out", Utilization, Pods{Measured: 4, Usage: 400, Requests: 4000, Unready: 6, UnreadyRequests: 6000}, 10, 1},
		{"unready, up: fewer than there are is no answer", Utilization, Pods{Measured: 1, Usage: 2000, Requests: 1000, Unready: 2, UnreadyRequests: 2000}, 9, 9},
		{"both, up", Utilization, Pods{Measured: 2, Usage: 4000, Requests: 2000, Unready: 1, UnreadyRequests: 1000, Missing: 1, MissingRequests: 1000}, 4, 8},

		{"terabytes", AverageValue, Pods{Measured: 2, Usage: math.MaxInt64}, 2, math.MaxInt32},
		{"a percentage beyond 64 bits", Utilization, Pods{Measured: 2, Usage: math.MaxInt64, Requests: math.MaxInt64 / 7}, 2, 28},
		{"any number of them", Utilization, Pods{Measured: 1, Requests: 1, Missing: math.MaxInt, MissingRequests: math.MaxInt64, Unready: math.MaxInt, UnreadyRequests: math.MaxInt64}, 2, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := workload(tt.current, load(tt.metric, tt.pods))
			if d := once(in); !d.Proposals[0].Known || d.Proposals[0].Replicas != tt.want {
				t.Errorf("got %+v, want %d", d.Proposals[0], tt.want)
			}
		})
	}
}

// TestMissingPodsAboveATargetOfAHundred count as using the target.
func TestMissingPodsAboveATargetOfAHundred(t *testing.T) {
	tr := load(Utilization, Pods{Measured: 3, Usage: 1500, Requests: 3000, Missing: 1, MissingRequests: 1000})
	tr.Target = 200
	if d := once(workload(4, tr)); d.Proposals[0].Replicas != 2 { // 3500 of 4000 are 87 %, of four pods 1.74
		t.Errorf("got %+v, want 2", d.Proposals[0])
	}
}

func TestPodsThatCannotBe(t *testing.T) {
	for name, p := range map[string]Pods{
		"negative count":    {Measured: -1},
		"negative usage":    {Measured: 1, Usage: -1, Requests: 1},
		"negative requests": {Measured: 1, Requests: -1},
		"no requests":       {Measured: 1, Usage: 1},
		"negative missing":  {Measured: 1, Requests: 1, Missing: -1},
		"negative unready":  {Measured: 1, Requests: 1, UnreadyRequests: -1},
	} {
		if d := once(workload(3, load(Utilization, p))); d.Unknown != 1 || d.Replicas != 3 {
			t.Errorf("%s: got %+v", name, d)
		}
	}
	if d := once(workload(3, load(AverageValue, Pods{Measured: 1, Usage: 50_000}))); d.Unknown != 0 {
		t.Errorf("an average needs no requests: got %+v", d)
	}
}

func TestSentencesAboutPods(t *testing.T) {
	cpuLoad := load(Utilization, Pods{Measured: 3, Usage: 3000, Requests: 3000, Missing: 1, MissingRequests: 1000, Unready: 2, UnreadyRequests: 2000})
	cpuLoad.Reading.Value = 100
	cores := load(AverageValue, Pods{Measured: 2, Usage: 1500})
	cores.Target, cores.Reading.Value = 0.5, 0.75
	memory := load(AverageValue, Pods{Measured: 2, Usage: 900 << 20 * 1000})
	memory.Name, memory.Bytes, memory.Target, memory.Reading.Value = "memory", true, 400<<20, 450<<20
	for _, tt := range []struct {
		trigger Trigger
		want    string
	}{
		{cpuLoad, "trigger cpu: 100% at a target of 50%, with 1 pod not measured and 2 pods not ready, is within tolerance of 6 replicas"},
		{cores, "trigger cpu: 750m a pod at a target of 500m asks for 3 replicas"},
		{memory, "trigger memory: 450Mi a pod at a target of 400Mi asks for 3 replicas"},
	} {
		f := play(t, workload(6, tt.trigger))
		f.last = once(f.in)
		f.says(tt.want)
	}
}

// TestAtZeroResourcesAreNotMentioned beside an event trigger: there is nothing that they could say.
func TestAtZeroResourcesAreNotMentioned(t *testing.T) {
	silent := Trigger{Name: "cpu", MetricType: Utilization, Target: 50, Resource: true}
	f := play(t, with(workload(0, event("orders", 5), silent), minimum(0)))
	f.step(0, 1, Waking)
	f.says("trigger orders: 5 at a target of 10 each asks for 1 replica; waking from 0 to 1 replica")
	f.step(time.Second, 1, AtTarget)
	f.says("trigger orders: 5 at a target of 10 each asks for 1 replica; trigger cpu could not be read")
	f = play(t, workload(0, silent))
	f.step(0, 1, AtMinimum)
	f.says("trigger cpu could not be read; raised to min-replicas 1")
}
