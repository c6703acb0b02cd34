package decide

import "time"

const (
	defaultTolerance     = 0.1
	defaultPeriod        = 15 * time.Second
	defaultDownStabilize = 5 * time.Minute
)

// DefaultBehavior is the behavior of a HorizontalPodAutoscaler that says nothing about it: up by at most 100 % or 4 pods
// in 15 seconds, whichever is more, without a window; down to the highest recommendation of the last 5 minutes; a
// tolerance of 10 % in both directions. EventRamp is off, so the ramp limits cpu and memory only. Each call returns slices
// of its own.
func DefaultBehavior() Behavior {
	return Behavior{
		ScaleUp: Rules{
			Policies: []Policy{
				{Percent: true, Value: 100, Period: defaultPeriod},
				{Value: 4, Period: defaultPeriod},
			},
			Tolerance: defaultTolerance,
		},
		ScaleDown: Rules{
			Stabilization: defaultDownStabilize,
			Policies:      []Policy{{Percent: true, Value: 100, Period: defaultPeriod}},
			Tolerance:     defaultTolerance,
		},
	}
}
