package differential

import (
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
)

// Difference is one that docs/differences.md lists under its name, with a scenario that shows it.
type Difference struct {
	Name     string
	Scenario Scenario
	// HPA and Ours are the counts that each gives its workload.
	HPA, Ours []int32
	// Later is how much later, at least, ours makes its last change, where it is no count that differs.
	Later time.Duration
}

// Differences lists those that a scenario can show.
func Differences() []Difference {
	return []Difference{
		{
			Name: "Event triggers do not ramp",
			Scenario: Scenario{
				Start: 1, Min: 1, Max: 12, Metrics: average("1"), Behavior: rules(nil, unlimited()), Steps: loads(1, 12),
			},
			HPA: []int32{1, 5, 10, 12}, Ours: []int32{1, 12},
		},
		{
			Name: "A count below the minimum rises in one step",
			Scenario: Scenario{
				Start: 1, Min: 3, Max: 10, Metrics: average("1"), Behavior: rules(unlimited(), unlimited()), Steps: loads(6),
			},
			HPA: []int32{1, 3, 6}, Ours: []int32{1, 6},
		},
		{
			Name: "A count above the maximum comes down by the policies",
			Scenario: Scenario{
				Start: 9, Min: 1, Max: 4, Metrics: average("1"), Behavior: rules(unlimited(), limited(3, 900)), Steps: loads(4),
			},
			HPA: []int32{9, 4}, Ours: []int32{9, 6},
		},
		{
			Name: "Targets keep their digits",
			Scenario: Scenario{
				Start: 2, Min: 1, Max: 20, Metrics: average("0.9991"), Behavior: rules(unlimited(), unlimited()), Steps: loads(2, 10),
			},
			HPA: []int32{2, 10}, Ours: []int32{2, 11},
		},
		{
			Name: "After a blind time the scale-down window starts full",
			Scenario: Scenario{
				Start: 6, Min: 1, Max: 10, Metrics: average("1"), Behavior: rules(unlimited(), within(unlimited(), 10)), Steps: []Step{{6}, {Broken}, {2}},
				Patience: 16 * time.Second,
			},
			HPA: []int32{6, 2}, Ours: []int32{6, 2}, Later: 5 * time.Second,
		},
		{
			Name: "Replicas are counted, not pods",
			Scenario: Scenario{
				Start: 3, Min: 1, Max: 10, Metrics: []Metric{{Type: autoscalingv2.ValueMetricType, Target: "10"}}, Behavior: rules(unlimited(), unlimited()),
				Steps: loads(20), Unready: true,
			},
			HPA: []int32{3, 1}, Ours: []int32{3, 6, 10},
		},
		{
			Name: "Changes are remembered for every policy",
			Scenario: Scenario{
				Start: 2, Min: 1, Max: 10, Metrics: average("1"), Behavior: rules(unlimited(), limited(1, 900)), Steps: loads(2, 4, 6, 1),
			},
			HPA: []int32{2, 4, 6, 3}, Ours: []int32{2, 4, 6, 1},
		},
		{
			Name: "Zero comes after the cooldown",
			Scenario: Scenario{
				Start: 3, Min: 0, Max: 10, Metrics: average("1"), Behavior: rules(unlimited(), unlimited()), Steps: loads(3, 0, 4), Settings: map[string]string{"cooldown": "3s"}, Patience: 6 * time.Second,
			},
			HPA: []int32{3, 0, 4}, Ours: []int32{3, 1, 0, 4},
		},
	}
}

// Unshown are the listed differences that no scenario shows, with the reason.
func Unshown() map[string]string {
	return map[string]string{
		"A rollout holds the count up":                             "a comparison of its own, with pods that take their time",
		"Recommendations are remembered for every window":          "only an edit of the rules in the middle of a window could show it",
		"Measurements grow old":                                    "it would take minutes; the tests of the scalers have it",
		"Pods belong to a workload by their owners":                "the field case CM-02 shows it",
		"Sums saturate":                                            "no queue is that long",
		"Pauses, idle counts, fallbacks and guards are ours alone": "the HPA has nothing of the kind",
	}
}

func average(target string) []Metric {
	return []Metric{{Type: autoscalingv2.AverageValueMetricType, Target: target}}
}

func loads(values ...Load) []Step {
	var steps []Step
	for _, v := range values {
		steps = append(steps, Step{v})
	}
	return steps
}

func rules(up, down *autoscalingv2.HPAScalingRules) *autoscalingv2.HorizontalPodAutoscalerBehavior {
	return &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleUp: up, ScaleDown: down}
}

func within(r *autoscalingv2.HPAScalingRules, seconds int32) *autoscalingv2.HPAScalingRules {
	r.StabilizationWindowSeconds = &seconds
	return r
}

// limited lets some pods go in a period.
func limited(pods, period int32) *autoscalingv2.HPAScalingRules {
	r := unlimited()
	r.Policies[0].Value, r.Policies[0].PeriodSeconds = pods, period
	return r
}
