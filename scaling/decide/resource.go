package decide

import (
	"math"
	"math/bits"
)

// Pods are sums over the pods that a cpu or memory trigger was read from: what they use and request, in thousandths of a core or of a
// byte. Pods that are being deleted, have failed or have finished are in none of them. The zero Pods stands for none.
type Pods struct {
	// Measured is how many pods count with what they use. While it is above 0, it and the fields below decide, and Reading.Value
	// only explains.
	Measured int
	// Usage and Requests are those of the measured pods. Requests mean something to a Utilization alone, and are > 0 there.
	Usage, Requests int64
	// Missing is how many pods run without a measurement. They are counted against the direction: as though they used what they may
	// on the way down, as though they used nothing on the way up.
	Missing         int
	MissingRequests int64
	// Unready is how many pods are not ready, or were started so lately that their cpu says nothing yet. They count on the way up
	// alone, as though they used nothing.
	Unready         int
	UnreadyRequests int64
}

// usable says whether p is a set of sums that arithmetic may touch.
func (p *Pods) usable(metric MetricType) bool {
	for _, n := range [...]int64{int64(p.Measured), p.Usage, p.Requests, int64(p.Missing), p.MissingRequests, int64(p.Unready), p.UnreadyRequests} {
		if n < 0 {
			return false
		}
	}
	return p.Measured == 0 || metric != Utilization || p.Requests > 0
}

// overPods is the count that a cpu or memory trigger asks for, by the rules of the HorizontalPodAutoscaler, and whether that is the
// present one because the pods are close to their target.
func (t *Trigger) overPods(current int32, b *Behavior) (replicas int32, tolerated bool) {
	p := &t.Reading.Pods
	pods, usage, requests := int64(p.Measured), p.Usage, p.Requests
	ratio := t.ratio(pods, usage, requests)
	unready := p.Unready > 0 && ratio > 1
	if p.Missing == 0 && !unready {
		if b.tolerates(ratio) {
			return current, true
		}
		return ceil(ratio * float64(pods)), false
	}
	if p.Missing > 0 && ratio != 1 {
		pods, requests = add(pods, int64(p.Missing)), add(requests, p.MissingRequests)
		if ratio < 1 {
			usage = add(usage, t.assumed(p))
		}
	}
	if unready {
		pods, requests = add(pods, int64(p.Unready)), add(requests, p.UnreadyRequests)
	}
	cautious := t.ratio(pods, usage, requests)
	if b.tolerates(cautious) {
		return current, true
	}
	if (cautious > 1) != (ratio > 1) {
		return current, false // the pods that are only guessed at must not turn the direction round
	}
	n := ceil(cautious * float64(pods))
	if (cautious > 1) != (n > current) {
		return current, false // nor may their number
	}
	return n, false
}

// ratio is how the pods stand to the target: 1 is on it.
func (t *Trigger) ratio(pods, usage, requests int64) float64 {
	if t.MetricType == Utilization {
		return percent(usage, requests) / t.Target
	}
	return float64(usage/pods) / t.targetInThousandths()
}

// assumed is what the pods without a measurement use at most: all that they request, or the target where that is more.
func (t *Trigger) assumed(p *Pods) int64 {
	switch {
	case t.MetricType != Utilization:
		return whole(float64(p.Missing) * t.targetInThousandths())
	case t.Target <= 100:
		return p.MissingRequests
	}
	return whole(float64(p.MissingRequests) * t.Target / 100)
}

func (t *Trigger) targetInThousandths() float64 { return max(roundUp(t.Target*milli), 1) }

// tolerates says whether a ratio is so close to 1 that the count stays.
func (b *Behavior) tolerates(ratio float64) bool {
	return 1-b.ScaleDown.Tolerance <= ratio && ratio <= 1+b.ScaleUp.Tolerance
}

// percent is the whole percentage that usage is of requests, both ≥ 0; exact also where a hundred times usage is more than an int64 holds.
func percent(usage, requests int64) float64 {
	high, low := bits.Mul64(uint64(usage), 100)
	if requests <= 0 || high >= uint64(requests) {
		return math.MaxInt32
	}
	quotient, _ := bits.Div64(high, low, uint64(requests))
	return float64(quotient)
}

// add is a + b, both ≥ 0, saturated.
func add(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// whole is x ≥ 0 without its fraction, saturated.
func whole(x float64) int64 {
	if x >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(x)
}
