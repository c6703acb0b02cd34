package differential

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
)

// uses makes a scenario about one resource in place of a queue. The first request of the proportions above is 300 thousandths and 320 Mi a pod.
func uses(metric func(*maker) Metric, then func(*maker)) func(*maker) {
	return func(m *maker) {
		m.s.Metrics[0] = metric(m)
		m.s.Min, m.s.Start = m.s.Min+1, max(m.s.Start, m.s.Min+1)
		m.s.Steps = nil
		for range 4 {
			m.s.Steps = append(m.s.Steps, Step{m.load(0)})
		}
		then(m)
	}
}

func cpuShare(m *maker) Metric {
	return Metric{Type: autoscalingv2.UtilizationMetricType, Resource: corev1.ResourceCPU, Target: m.pick("35", "50", "80", "140")}
}

func cpuAmount(m *maker) Metric {
	return Metric{Type: autoscalingv2.AverageValueMetricType, Resource: corev1.ResourceCPU, Target: m.pick("90", "250", "333", "1200")}
}

func memoryShare(m *maker) Metric {
	return Metric{Type: autoscalingv2.UtilizationMetricType, Resource: corev1.ResourceMemory, Target: m.pick("60", "75", "90")}
}

func memoryAmount(m *maker) Metric {
	return Metric{Type: autoscalingv2.AverageValueMetricType, Resource: corev1.ResourceMemory, Target: m.pick("100", "200", "333")}
}

// of measures one container instead of all.
func of(container string, metric func(*maker) Metric) func(*maker) Metric {
	return func(m *maker) Metric {
		one := metric(m)
		one.Container = container
		return one
	}
}

func (m *maker) plain() {}

// aroundUse is aroundTolerance with the numbers of a resource.
func (m *maker) aroundUse() {
	m.s.Min, m.s.Max, m.s.Start = 1, 14, 1
	m.s.Metrics[0].Target = "50"
	low, high := m.between(3, 4), m.between(10, 12)
	m.steps(m.loadFor(low, 100), m.loadFor(low, 109), m.loadFor(low, 112), m.loadFor(high, 100), m.loadFor(high, 92), m.loadFor(high, 88))
}

func (m *maker) unmeasured() {
	m.s.Unmeasured = int(m.between(1, m.s.Min))
	m.s.Min += 2
	m.s.Start = max(m.s.Start, m.s.Min)
	m.s.Max += 4
}

// besideQueue has the use of cpu as its second metric.
func (m *maker) besideQueue() {
	m.s.Metrics = append(m.s.Metrics, cpuShare(m))
	m.s.Min, m.s.Start = m.s.Min+1, max(m.s.Start, m.s.Min+1)
	low, high := m.load(0)/3, m.loadFor(m.s.Max, 90)
	one, two := m.load(1), m.load(1)
	m.s.Steps = []Step{{low, one}, {high, one}, {low, one}, {low, two}, {low, m.load(1)}}
}
