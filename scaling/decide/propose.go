package decide

import "math"

const (
	// none stands for "no proposal" where a count is expected.
	none int32 = -1
	// milli and nano are the units in which the HPA compares, and the finest that a Kubernetes quantity can hold.
	milli = 1e3
	nano  = 1e9
	// huge is where a float64 no longer has room for thousandths; from there on values are used as they are.
	huge = 1e15
	// noise is the relative error that decimal fractions pick up in binary; what is this close to a whole number is one.
	noise = 1e-12
)

// usable says whether t has a reading that arithmetic may touch. Everything else is UNKNOWN.
func (t *Trigger) usable() bool {
	return t.Reading.Known &&
		finite(t.Reading.Value) && t.Reading.Value >= 0 &&
		finite(t.Target) && t.Target > 0 &&
		finite(t.Activation) &&
		(!t.Resource || t.Reading.Pods.usable(t.MetricType))
}

// byPods says whether t is decided by what pods use.
func (t *Trigger) byPods() bool { return t.Resource && t.Reading.Pods.Measured > 0 }

// active says whether a usable trigger has work.
func (t *Trigger) active() bool {
	return t.Reading.Busy || t.Reading.Value > t.Activation
}

// propose is the count that a usable trigger asks for while current replicas are wanted.
func (t *Trigger) propose(current int32, b *Behavior) int32 {
	if t.byPods() {
		replicas, _ := t.overPods(current, b)
		return replicas
	}
	if t.withinTolerance(current, b) {
		return current
	}
	value, target := inUnits(t.Reading.Value, t.Target)
	ratio := value / target
	if t.MetricType == AverageValue || current == 0 {
		return ceil(ratio)
	}
	if t.Reading.Replicas > 0 {
		current = t.Reading.Replicas
	}
	return ceil(ratio * float64(current))
}

// withinTolerance says whether the value is so close to its target that the count stays. At zero nothing is close.
func (t *Trigger) withinTolerance(current int32, b *Behavior) bool {
	if current == 0 {
		return false
	}
	if t.byPods() {
		_, tolerated := t.overPods(current, b)
		return tolerated
	}
	value, target := inUnits(t.Reading.Value, t.Target)
	if t.MetricType == AverageValue {
		target *= float64(current)
	}
	return b.tolerates(value / target)
}

// vote is the count that f asks for in place of a trigger.
func (f *Fallback) vote(current int32) int32 {
	switch f.Behavior {
	case Static:
		return f.Replicas
	case CurrentReplicas:
		return current
	case CurrentReplicasIfLower:
		return min(current, f.Replicas)
	}
	return max(current, f.Replicas)
}

// closed says whether g forbids raising the count.
func (g *Guard) closed() bool {
	return !g.usable() || g.Reading.Value >= g.Limit
}

// usable says whether g has a reading that can be compared.
func (g *Guard) usable() bool {
	return g.Reading.Known && finite(g.Reading.Value) && g.Reading.Value >= 0
}

// inUnits expresses value and target in whole thousandths, rounded up, as the HPA does with its quantities; 1.1 at 0.1
// each is then 11 and not a hair more. A target that has finer digits is taken in billionths. Neither becomes zero.
func inUnits(value, target float64) (v, t float64) {
	if value > huge || target > huge {
		return value, target
	}
	unit := milli
	if !isWhole(target * milli) {
		unit = nano
	}
	return roundUp(value * unit), roundUp(target * unit)
}

// roundUp is the next whole number, unless x is a whole number but for noise.
func roundUp(x float64) float64 {
	if isWhole(x) {
		return math.Round(x)
	}
	return math.Ceil(x)
}

func isWhole(x float64) bool {
	whole := math.Round(x)
	return math.Abs(x-whole) <= whole*noise
}

// ceil is the next whole count, saturated at the largest int32. The range is checked before the conversion, since an
// out-of-range conversion gives different nonsense on every architecture.
func ceil(x float64) int32 {
	x = math.Ceil(x)
	if x >= math.MaxInt32 {
		return math.MaxInt32
	}
	if x > 0 {
		return int32(x)
	}
	return 0
}

// saturate brings a count into the range of an int32.
func saturate(n int64) int32 {
	return int32(min(max(n, math.MinInt32), math.MaxInt32))
}

func finite(x float64) bool {
	return !math.IsNaN(x) && !math.IsInf(x, 0)
}

// truncate is x without its fraction, saturated at the largest int32 and at zero.
func truncate(x float64) int32 {
	if x >= math.MaxInt32 {
		return math.MaxInt32
	}
	if x > 0 {
		return int32(x)
	}
	return 0
}
