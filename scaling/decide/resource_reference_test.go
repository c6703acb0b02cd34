package decide

import (
	"math"
	"math/rand/v2"
)

// pod is one pod as the reference sees it: a state and amounts in thousandths.
type pod struct {
	state          byte // m measured, - missing, u unready
	usage, request int64
}

// crowdProposal is the replica count of a Resource metric from its published rules: pod by pod, with a table of what each is taken to use.
func (r *reference) crowdProposal(t Trigger, in Input) int32 {
	type sample struct{ usage, request int64 }
	var counted []sample
	missing, unready := 0, 0
	for _, p := range r.crowds[t.Name] {
		switch p.state {
		case 'm':
			counted = append(counted, sample{p.usage, p.request})
		case '-':
			missing++
		case 'u':
			unready++
		}
	}
	level := func() float64 {
		usage, request := int64(0), int64(0)
		for _, s := range counted {
			usage, request = usage+s.usage, request+s.request
		}
		if t.MetricType == Utilization {
			return float64(usage*100/request) / t.Target
		}
		return float64(usage/int64(len(counted))) / math.Round(t.Target*1e3)
	}
	within := func(ratio float64) bool {
		return ratio >= 1-in.Behavior.ScaleDown.Tolerance && ratio <= 1+in.Behavior.ScaleUp.Tolerance
	}
	first := level()
	if missing == 0 && (unready == 0 || first <= 1) {
		if within(first) {
			return in.Current
		}
		return int32(min(math.Ceil(first*float64(len(counted))), math.MaxInt32))
	}
	for _, p := range r.crowds[t.Name] {
		switch {
		case p.state == '-' && first < 1 && t.MetricType == Utilization:
			counted = append(counted, sample{p.request * int64(math.Max(100, t.Target)) / 100, p.request})
		case p.state == '-' && first < 1:
			counted = append(counted, sample{int64(math.Round(t.Target * 1e3)), p.request})
		case p.state != 'm' && first > 1:
			counted = append(counted, sample{0, p.request})
		}
	}
	second := level()
	n := int32(min(math.Ceil(second*float64(len(counted))), math.MaxInt32))
	switch {
	case within(second), first < 1 && second > 1, first > 1 && second < 1, second < 1 && n > in.Current, second > 1 && n < in.Current:
		return in.Current
	}
	return n
}

// measure gives most resource triggers a crowd of pods, and the sums of it to the trigger. Requests are multiples of what makes a share of
// each a whole number, since Step rounds the sum and the HPA each pod.
func (r *reference) measure(t *Trigger, rng *rand.Rand) {
	if !t.Resource || rng.IntN(8) == 0 {
		return
	}
	if r.crowds == nil {
		r.crowds = map[string][]pod{}
	}
	var crowd []pod
	var sums Pods
	unit := math.Exp(rng.Float64() * 4)
	for range rng.IntN(12) {
		p := pod{"mmmm-u"[rng.IntN(6)], int64(unit * math.Exp(rng.Float64()*3) * t.Target), 100 * int64(1+rng.IntN(20))}
		crowd = append(crowd, p)
		switch p.state {
		case 'm':
			sums.Measured++
			sums.Usage += p.usage
			sums.Requests += p.request
		case '-':
			sums.Missing++
			sums.MissingRequests += p.request
		case 'u':
			sums.Unready++
			sums.UnreadyRequests += p.request
		}
	}
	if sums.Measured > 0 {
		r.crowds[t.Name], t.Reading.Pods = crowd, sums
	}
}
