package decide

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// reference is the HorizontalPodAutoscaler written down from its published rules, as plainly as possible: full histories,
// no reuse of memory, no early answers. It shares no code with Step and knows only workloads that stay at one replica or
// more. The lines marked "differs" are the differences that the package comment lists.
type reference struct {
	recommendations []stamped
	up, down        []stamped
	failing         bool
	// crowds are the pods that resource triggers were read from, by the trigger's name.
	crowds map[string][]pod
}

type stamped struct {
	when     time.Time
	n        int32
	downOnly bool
}

func (r *reference) reconcile(now time.Time, in Input) int32 {
	if r.recommendations == nil {
		r.recommendations = []stamped{{now, in.Current, false}}
	}
	desired, desiredByEvents, failed := int32(-1), int32(-1), 0
	for _, t := range in.Triggers {
		if !t.Reading.Known || math.IsNaN(t.Reading.Value) || math.IsInf(t.Reading.Value, 0) || t.Reading.Value < 0 {
			failed++
			continue
		}
		n := r.proposal(t, in)
		desired = max(desired, n)
		if !t.Resource {
			desiredByEvents = max(desiredByEvents, n)
		}
	}
	if desired < 0 || failed > 0 && desired < in.Current {
		r.failing = true
		if in.Current > in.Bounds.Max {
			return r.lowerToMaximum(now, in)
		}
		return max(in.Current, in.Bounds.Min)
	}
	r.refill(now, in)
	stabilized := r.stabilize(now, in, desired)
	if in.Current > in.Bounds.Max {
		return r.lowerToMaximum(now, in) // differs: the recommendation was remembered
	}
	result := r.rateLimit(now, in, stabilized)
	if stabilized > in.Current && !in.Behavior.EventRamp && in.Behavior.ScaleUp.Select != SelectDisabled {
		result = max(result, min(stabilized, desiredByEvents)) // differs: event triggers are reached in one step
	}
	return min(max(result, in.Bounds.Min), in.Bounds.Max) // differs: below the minimum it may go on rising
}

// lowerToMaximum differs: the policies say how fast, where they allow to scale down at all.
func (r *reference) lowerToMaximum(now time.Time, in Input) int32 {
	if in.Behavior.ScaleDown.Select == SelectDisabled {
		return in.Bounds.Max
	}
	return r.rateLimit(now, in, in.Bounds.Max)
}

// refill differs: a scale-down window that ran empty while metrics failed starts full.
func (r *reference) refill(now time.Time, in Input) {
	empty := true
	for _, rec := range r.recommendations {
		empty = empty && !rec.when.After(now.Add(-in.Behavior.ScaleDown.Stabilization))
	}
	if r.failing && empty {
		r.recommendations = append(r.recommendations, stamped{now, in.Current, true})
	}
	r.failing = false
}

// proposal is desiredReplicas = ceil(currentReplicas × currentMetricValue / desiredMetricValue), in thousandths.
func (r *reference) proposal(t Trigger, in Input) int32 {
	value := math.Ceil(math.Round(t.Reading.Value*1e6) / 1e3)
	target := math.Round(t.Target * 1e3)
	if t.Resource && t.Reading.Pods.Measured > 0 {
		return r.crowdProposal(t, in)
	}
	var ratio, desired float64
	if t.MetricType == AverageValue {
		ratio, desired = value/(target*float64(in.Current)), math.Ceil(value/target)
	} else {
		ratio = value / target
		desired = math.Ceil(ratio * float64(in.Current))
	}
	if ratio >= 1-in.Behavior.ScaleDown.Tolerance && ratio <= 1+in.Behavior.ScaleUp.Tolerance {
		return in.Current
	}
	return int32(min(desired, math.MaxInt32))
}

func (r *reference) stabilize(now time.Time, in Input, desired int32) int32 {
	lowest, highest := desired, desired
	for _, rec := range r.recommendations {
		if rec.when.After(now.Add(-in.Behavior.ScaleUp.Stabilization)) && !rec.downOnly {
			lowest = min(lowest, rec.n)
		}
		if rec.when.After(now.Add(-in.Behavior.ScaleDown.Stabilization)) {
			highest = max(highest, rec.n)
		}
	}
	r.recommendations = append(r.recommendations, stamped{now, desired, false})
	if in.Current < lowest {
		return lowest
	}
	if in.Current > highest {
		return highest
	}
	return in.Current
}

func (r *reference) rateLimit(now time.Time, in Input, desired int32) int32 {
	rules, sign := in.Behavior.ScaleUp, 1.0
	if desired < in.Current {
		rules, sign = in.Behavior.ScaleDown, -1.0
	}
	if desired == in.Current || len(rules.Policies) == 0 {
		return desired
	}
	if rules.Select == SelectDisabled {
		return in.Current
	}
	var allowed []float64 // changes from the present count, in the direction asked for
	for _, p := range rules.Policies {
		start := float64(in.Current) - changed(r.up, now, p.Period) + changed(r.down, now, p.Period)
		limit := start + sign*float64(p.Value)
		if p.Percent && sign > 0 {
			limit = math.Ceil(start * (1 + float64(p.Value)/100))
		} else if p.Percent {
			limit = math.Trunc(start * (1 - float64(p.Value)/100))
		}
		allowed = append(allowed, max(0, sign*(limit-float64(in.Current))))
	}
	change := allowed[0]
	for _, a := range allowed {
		if rules.Select == SelectMin {
			change = min(change, a)
		} else {
			change = max(change, a)
		}
	}
	change = min(change, math.Abs(float64(desired)-float64(in.Current)))
	return in.Current + int32(sign*change)
}

func changed(events []stamped, now time.Time, period time.Duration) (sum float64) {
	for _, e := range events {
		if e.when.After(now.Add(-period)) {
			sum += float64(e.n)
		}
	}
	return sum
}

// scaled tells the reference that its answer was written.
func (r *reference) scaled(now time.Time, from, to int32) {
	if to > from {
		r.up = append(r.up, stamped{now, to - from, false})
	} else if to < from {
		r.down = append(r.down, stamped{now, from - to, false})
	}
}

func TestStepAgreesWithTheHPA(t *testing.T) {
	const scenarios, steps = 10_000, 30
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	raised, lowered, held := 0, 0, 0
	for scenario := range scenarios {
		in, now := randomHPA(rng), noon
		var ref reference
		var st State
		for i := range steps {
			for j := range in.Triggers {
				in.Triggers[j].Reading = randomReading(rng)
				ref.measure(&in.Triggers[j], rng)
			}
			if rng.IntN(40) == 0 {
				in.Behavior = randomBehavior(rng) // an edit, which must not cost the history
			}
			want := ref.reconcile(now, in)
			var d Decision
			d, st = Step(now, in, st)
			if d.Replicas != want {
				t.Fatalf("seed %d, scenario %d, step %d: Step says %d (%s), the HPA %d\ninput: %+v",
					seed, scenario, i, d.Replicas, d.Sentence(in), want, in)
			}
			switch {
			case want > in.Current:
				raised++
			case want < in.Current:
				lowered++
			default:
				held++
			}
			ref.scaled(now, in.Current, want)
			if want == in.Current && rng.IntN(20) == 0 { // somebody else scales, which is nobody's event
				want = 1 + rng.Int32N(60)
			}
			in.Current = want
			now = now.Add(time.Duration(1+rng.IntN(30_000)) * time.Millisecond)
		}
	}
	if raised < scenarios || lowered < scenarios || held < scenarios {
		t.Errorf("the scenarios are too tame: %d rises, %d falls, %d holds", raised, lowered, held)
	}
}

func randomHPA(rng *rand.Rand) Input {
	in := Input{Current: 1 + rng.Int32N(40), ZeroIsOurs: true, Behavior: randomBehavior(rng)}
	in.Bounds = Bounds{Min: 1 + rng.Int32N(5), Idle: NoIdle}
	in.Bounds.Max = in.Bounds.Min + rng.Int32N(50)
	for range 1 + rng.IntN(3) {
		in.Triggers = append(in.Triggers, Trigger{
			Name:       string(rune('a' + len(in.Triggers))),
			MetricType: MetricType(rng.IntN(3)),
			Target:     []float64{0.1, 1, 2.5, 10, 70, 150}[rng.IntN(6)],
			Resource:   rng.IntN(3) == 0,
		})
	}
	return in
}

func randomReading(rng *rand.Rand) Reading {
	switch rng.IntN(25) {
	case 0:
		return Reading{}
	case 1:
		return Reading{Known: true, Value: []float64{math.NaN(), math.Inf(1), -1}[rng.IntN(3)]}
	case 2:
		return Reading{Known: true, Value: 1e12}
	case 3:
		return Reading{Known: true}
	}
	return Reading{Known: true, Value: math.Round(math.Exp(rng.Float64()*7)*1000) / 1000}
}

func randomBehavior(rng *rand.Rand) Behavior {
	if rng.IntN(4) == 0 {
		return DefaultBehavior()
	}
	return Behavior{ScaleUp: randomRules(rng), ScaleDown: randomRules(rng), EventRamp: rng.IntN(3) > 0}
}

func randomRules(rng *rand.Rand) Rules {
	r := Rules{
		Stabilization: []time.Duration{0, 0, 30 * time.Second, 2 * time.Minute, 5 * time.Minute}[rng.IntN(5)],
		Tolerance:     []float64{0, 0.05, 0.1, 0.5}[rng.IntN(4)],
	}
	if rng.IntN(8) == 0 {
		r.Select = SelectDisabled
	} else if rng.IntN(2) == 0 {
		r.Select = SelectMin
	}
	for range 1 + rng.IntN(3) {
		r.Policies = append(r.Policies, Policy{
			Percent: rng.IntN(2) == 0,
			Value:   1 + rng.Int32N(60),
			Period:  time.Duration(1+rng.IntN(90)) * time.Second,
		})
	}
	return r
}
