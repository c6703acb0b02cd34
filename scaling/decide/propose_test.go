package decide

import (
	"fmt"
	"math"
	"testing"
)

// proposalCase is what one trigger asks for.
type proposalCase struct {
	metric        MetricType
	value, target float64
	current, want int32
}

func (tt proposalCase) run(t *testing.T) {
	in := workload(tt.current, Trigger{Name: "x", MetricType: tt.metric, Target: tt.target, Reading: Reading{Known: true, Value: tt.value}})
	d := once(in)
	if !d.Proposals[0].Known || d.Proposals[0].Replicas != tt.want {
		t.Errorf("got %+v, want %d", d.Proposals[0], tt.want)
	}
}

func TestProposals(t *testing.T) {
	tests := []proposalCase{
		// AverageValue: the value is shared
		{AverageValue, 500, 10, 1, 50},
		{AverageValue, 500, 10, 0, 50},
		{AverageValue, 501, 10, 1, 51},
		{AverageValue, 0, 10, 5, 0},
		{AverageValue, 1, 10, 0, 1},
		{AverageValue, 0.001, 10, 0, 1},
		{AverageValue, 55, 10, 5, 5}, // 10 % above is within tolerance
		{AverageValue, 55.1, 10, 5, 6},
		{AverageValue, 45, 10, 5, 5}, // 10 % below as well
		{AverageValue, 44.9, 10, 5, 5},
		{AverageValue, 40, 10, 5, 4},
		{AverageValue, 1.1, 0.1, 1, 11}, // 1.1/0.1 is 11.000000000000002 in binary
		{AverageValue, 0.3, 0.1, 0, 3},
		{AverageValue, 0.1 + 0.2, 0.1, 0, 3},
		{AverageValue, 0.7, 0.1, 0, 7},
		// finer than a thousandth
		{AverageValue, 0.003, 0.0015, 0, 2},
		{AverageValue, 1, 1e-12, 1, 1_000_000_000},
		{AverageValue, 1, math.SmallestNonzeroFloat64, 1, 1_000_000_000},
		{AverageValue, math.SmallestNonzeroFloat64, 1, 0, 1},
		// HA-06: saturation at each boundary
		{AverageValue, 1 << 31, 1, 1, math.MaxInt32},
		{AverageValue, 1<<31 - 1, 1, 1, math.MaxInt32},
		{AverageValue, 1<<31 - 2, 1, 1, math.MaxInt32 - 1},
		{AverageValue, 1<<53 + 1, 0.001, 1, math.MaxInt32},
		{AverageValue, 9.3e15, 10, 1, math.MaxInt32},
		{AverageValue, 9.3e18, 1e10, 1, 930_000_000},
		{AverageValue, 1e19, 0.001, 1, math.MaxInt32},
		{AverageValue, 1e308, 1e307, 1, 10},
		{AverageValue, 1e308, 1e-300, 1, math.MaxInt32},
		{AverageValue, math.MaxFloat64, math.MaxFloat64, 1, 1},
		// Value: the level moves with the count
		{Value, 900, 300, 3, 9},
		{Value, 900, 300, 0, 3},
		{Value, 300, 300, 0, 1}, // at zero nothing is within tolerance
		{Value, 0, 300, 3, 0},
		{Value, 330, 300, 3, 3},
		{Value, 331, 300, 3, 4},
		{Value, 150, 300, 4, 2},
		{Value, 1e308, 1, math.MaxInt32, math.MaxInt32},
		// Utilization: as Value, in percent
		{Utilization, 85, 50, 4, 7},
		{Utilization, 50, 50, 4, 4},
		{Utilization, 200, 50, 3, 12},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%v at %v from %d", tt.value, tt.target, tt.current), tt.run)
	}
}

func TestTolerancePerDirection(t *testing.T) {
	in := workload(10, event("orders", 0))
	in.Behavior.ScaleUp.Tolerance, in.Behavior.ScaleDown.Tolerance = 0.05, 0.5
	for value, want := range map[float64]int32{105: 10, 106: 11, 50: 10, 49: 5} {
		in.Triggers[0].Reading.Value = value
		if d := once(in); d.Proposals[0].Replicas != want {
			t.Errorf("%v: got %d, want %d", value, d.Proposals[0].Replicas, want)
		}
	}
	in.Behavior.ScaleUp.Tolerance, in.Behavior.ScaleDown.Tolerance = 0, 0
	for value, want := range map[float64]int32{100: 10, 100.001: 11, 99.9: 10, 90: 9} {
		in.Triggers[0].Reading.Value = value
		if d := once(in); d.Proposals[0].Replicas != want {
			t.Errorf("%v without tolerance: got %d, want %d", value, d.Proposals[0].Replicas, want)
		}
	}
}

// TestUnusableReadings has HA-05, HA-07 and what SZ-02 turns into: nothing that is not a finite number ≥ 0 reaches arithmetic.
func TestUnusableReadings(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	good := event("good", 100)
	tests := map[string]func(*Trigger){
		"HA-05 NaN":          func(tr *Trigger) { tr.Reading.Value = nan },
		"HA-05 Inf":          func(tr *Trigger) { tr.Reading.Value = inf },
		"HA-05 negative Inf": func(tr *Trigger) { tr.Reading.Value = -inf },
		"HA-05 target 0":     func(tr *Trigger) { tr.Target = 0 },
		"target NaN":         func(tr *Trigger) { tr.Target = nan },
		"target Inf":         func(tr *Trigger) { tr.Target = inf },
		"target negative":    func(tr *Trigger) { tr.Target = -1 },
		"activation NaN":     func(tr *Trigger) { tr.Activation = nan },
		"activation Inf":     func(tr *Trigger) { tr.Activation = inf },
		"HA-07 negative":     func(tr *Trigger) { tr.Reading.Value = -1 },
		"SZ-02 not known":    func(tr *Trigger) { tr.Reading.Known = false },
		"busy but not known": func(tr *Trigger) { tr.Reading = Reading{Busy: true} },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			bad := good
			spoil(&bad)
			for _, current := range []int32{1, 8, 20} {
				d := once(workload(current, bad))
				if d.Replicas != current || d.Reason != TriggerUnknown || d.Unknown != 1 || d.Active || d.Winner != -1 || d.Proposals[0] != (Proposal{}) {
					t.Errorf("from %d: got %+v", current, d)
				}
			}
			if d := once(with(workload(0, bad), minimum(0))); d.Replicas != 0 || d.Reason != TriggerUnknown {
				t.Errorf("at zero: got %+v", d)
			}
		})
	}
}

func TestActivation(t *testing.T) {
	tests := []struct {
		reading Reading
		want    bool
	}{
		{Reading{Known: true, Value: 5}, false}, // strictly above
		{Reading{Known: true, Value: 5.001}, true},
		{Reading{Known: true, Busy: true}, true},
		{Reading{Value: 100, Busy: true}, false},
	}
	for _, tt := range tests {
		tr := event("orders", 0)
		tr.Activation, tr.Reading = 5, tt.reading
		if d := once(workload(1, tr)); d.Proposals[0].Active != tt.want || d.Active != tt.want {
			t.Errorf("%+v: got %v, want %v", tt.reading, d.Active, tt.want)
		}
	}
	if d := once(workload(1, cpu(90))); d.Active || !d.Proposals[0].Active {
		t.Errorf("cpu must not activate a workload: %+v", d)
	}
}
