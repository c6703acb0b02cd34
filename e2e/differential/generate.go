package differential

import (
	"fmt"
	"math"
	"math/rand/v2"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
)

// A theme makes scenarios about one rule. Each is run rounds times, with other numbers.
type theme struct {
	name string
	make func(*maker)
}

const rounds = 2

// themes are what the comparison is about. What keeps the phase of the two loops out of it:
//
//   - Windows and periods either outlast the scenario or are waited for; within one scenario all periods that end are the same, so that each
//     ends before the next change and none is cut in two.
//   - A metric of type Value has a proposal for each count that it leads to, so it has no period and no window that ends.
//   - With two metrics a step changes one: two reads cannot be made at the same moment.
//   - Metrics are broken only where the scale-down window is none or outlasts the scenario; what happens when it runs empty is a listed difference.
func themes() []theme {
	return []theme{
		{"fractional targets", func(*maker) {}},
		{"value", (*maker).value},
		{"value in small steps", (*maker).gentleValue},
		{"tolerance", (*maker).aroundTolerance},
		{"tolerance by direction", (*maker).ownTolerance},
		{"value and tolerance", (*maker).valueTolerance},
		{"bounds", (*maker).beyondBounds},
		{"long window up", func(m *maker) { m.windows(true, false, 600); m.s.Start = m.s.Max }},
		{"long window down", func(m *maker) { m.windows(false, true, 600); m.s.Start = m.s.Min }},
		{"long window down and a short one up", func(m *maker) { m.windows(true, false, 8); m.windows(false, true, 3600); m.cut(4); m.s.Start = m.s.Min }},
		{"short window up", func(m *maker) { m.windows(true, false, 8); m.cut(4) }},
		{"short window down", func(m *maker) { m.windows(false, true, 8); m.cut(4) }},
		{"policy of pods", func(m *maker) { m.policies(900, pods) }},
		{"policy of percent", func(m *maker) { m.policies(900, percent) }},
		{"policies, the greatest change", func(m *maker) { m.policies(900, pods, percent); m.choose(autoscalingv2.MaxChangePolicySelect) }},
		{"policies, the smallest change", func(m *maker) { m.policies(900, pods, percent); m.choose(autoscalingv2.MinChangePolicySelect) }},
		{"periods that end", func(m *maker) { m.policies(8, pods, percent); m.cut(4) }},
		{"a disabled direction", (*maker).disabled},
		{"value and policies", func(m *maker) { m.value(); m.policies(900, pods, percent) }},
		{"default rules", (*maker).defaults},
		{"two metrics", (*maker).twoMetrics},
		{"a broken metric of two", (*maker).brokenOfTwo},
		{"a broken metric", (*maker).brokenMetric},
		{"cpu utilization", uses(cpuShare, (*maker).plain)},
		{"cpu utilization of a container", uses(of(worker, cpuShare), (*maker).plain)},
		{"cpu average", uses(cpuAmount, (*maker).plain)},
		{"cpu average of a container", uses(of(sidecar, cpuAmount), (*maker).plain)},
		{"memory utilization", uses(memoryShare, (*maker).plain)},
		{"memory average", uses(memoryAmount, (*maker).plain)},
		{"memory average of a container", uses(of(worker, memoryAmount), (*maker).plain)},
		{"cpu and tolerance", uses(cpuShare, (*maker).aroundUse)},
		{"cpu with pods that are not measured", uses(cpuShare, (*maker).unmeasured)},
		{"memory with pods that are not measured", uses(memoryAmount, (*maker).unmeasured)},
		{"cpu by the default rules", uses(cpuShare, (*maker).defaults)},
		{"cpu beside a queue", (*maker).besideQueue},
	}
}

// Scenarios makes all scenarios of a seed. The same seed makes the same ones, and the number of a scenario is the same in all seeds.
func Scenarios(seed uint64) []Scenario {
	var all []Scenario
	for round := range rounds {
		for _, t := range themes() {
			m := newMaker(rand.New(rand.NewPCG(seed, uint64(len(all)))))
			t.make(m)
			m.s.Name = fmt.Sprintf("%02d %s %c", len(all), t.name, 'a'+round)
			all = append(all, m.s)
		}
	}
	return all
}

// maker makes one scenario: a plain one first, to which a theme then does something.
type maker struct {
	rng *rand.Rand
	s   Scenario
}

const plainSteps = 6

func newMaker(rng *rand.Rand) *maker {
	m := &maker{rng: rng}
	m.s.Min = m.between(1, 3)
	m.s.Max = m.s.Min + m.between(5, 9)
	m.s.Start = m.between(m.s.Min, m.s.Max)
	m.s.Metrics = []Metric{{Type: autoscalingv2.AverageValueMetricType, Target: m.pick("0.5", "0.75", "1", "1.3", "2.5", "3.333", "7", "10")}}
	m.s.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleUp: unlimited(), ScaleDown: unlimited()}
	for range plainSteps {
		m.s.Steps = append(m.s.Steps, Step{m.load(0)})
	}
	return m
}

// unlimited are rules that get in nobody's way: the HPA has no "no policy".
func unlimited() *autoscalingv2.HPAScalingRules {
	return &autoscalingv2.HPAScalingRules{
		StabilizationWindowSeconds: new(int32(0)),
		Policies:                   []autoscalingv2.HPAScalingPolicy{{Type: autoscalingv2.PodsScalingPolicy, Value: 1000, PeriodSeconds: 1}},
	}
}

func (m *maker) between(low, high int32) int32 { return low + m.rng.Int32N(high-low+1) }

func (m *maker) pick(texts ...string) string { return texts[m.rng.IntN(len(texts))] }

func (m *maker) target(i int) float64 {
	return m.s.Metrics[i].each()
}

// load is one that asks for some count around the bounds, by any share of the last replica.
func (m *maker) load(i int) Load {
	return Load(math.Round(m.rng.Float64() * float64(m.s.Max+2) * m.target(i)))
}

// loadFor is one that asks for a count and a little, in hundredths of it.
func (m *maker) loadFor(count int32, hundredths float64) Load {
	return Load(math.Round(float64(count) * m.target(0) * hundredths / 100))
}

func (m *maker) cut(steps int) { m.s.Steps = m.s.Steps[:steps] }

func (m *maker) steps(loads ...Load) {
	m.s.Steps = nil
	for _, load := range loads {
		m.s.Steps = append(m.s.Steps, Step{load})
	}
}

// value makes the metric a level, with loads that lie a lot over or under the target.
func (m *maker) value() {
	m.s.Metrics[0] = Metric{Type: autoscalingv2.ValueMetricType, Target: m.pick("4", "7.5", "10", "12.25")}
	for i := range m.s.Steps {
		m.s.Steps[i] = Step{m.loadFor(1, []float64{20, 45, 60, 100, 104, 130, 190, 400}[m.rng.IntN(8)])}
	}
}

// gentleValue comes to rest between the bounds on the way down, where rounding up keeps the last replicas.
func (m *maker) gentleValue() {
	m.value()
	m.s.Start, m.s.Max = m.s.Max, m.s.Max+4
	m.s.Metrics[0].Target = "20"
	m.steps(20, m.loadFor(1, float64(m.between(76, 88))), 20, m.loadFor(1, float64(m.between(60, 75))), 22, m.loadFor(1, float64(m.between(111, 140))))
}

// aroundTolerance has loads just inside and just outside the tolerance around a count that a step has led to.
func (m *maker) aroundTolerance() { m.around(10, 10) }

// around goes over the edge upwards at a low count and downwards at a high one: there the tolerance is a whole replica, and rounding up cannot hide it.
func (m *maker) around(up, down float64) {
	m.s.Metrics[0].Target, m.s.Min, m.s.Max = "20", 1, 14
	m.s.Start = 1
	low, high := m.between(3, 4), m.between(10, 12)
	m.steps(m.loadFor(low, 100), m.loadFor(low, 100+up), m.loadFor(low, 100+up)+1,
		m.loadFor(high, 100), m.loadFor(high, 100-down), m.loadFor(high, 100-down)-1)
}

func (m *maker) ownTolerance() {
	up, down := m.between(0, 6)*5, m.between(2, 6)*5
	if up == down {
		up += 5 // or one could stand for the other
	}
	m.tolerate(up, down)
	m.around(float64(up), float64(down))
}

func (m *maker) tolerate(up, down int32) {
	m.s.Behavior.ScaleUp.Tolerance = resource.NewMilliQuantity(int64(up)*10, resource.DecimalSI)
	m.s.Behavior.ScaleDown.Tolerance = resource.NewMilliQuantity(int64(down)*10, resource.DecimalSI)
}

func (m *maker) valueTolerance() {
	m.value()
	up, down := m.between(1, 5)*5, m.between(1, 5)*5
	m.tolerate(up, down)
	m.s.Metrics[0].Target, m.s.Min, m.s.Max, m.s.Start = "100", 2, 12, 8
	m.steps(Load(100+up), Load(100-down), Load(100+up+1), Load(100-down), Load(100-down-1), Load(100+up))
}

func (m *maker) beyondBounds() {
	m.s.Min = max(m.s.Min, 2)
	m.s.Start = max(m.s.Start, 2)
	m.steps(m.loadFor(m.s.Max, 300), 0, m.load(0), m.loadFor(m.s.Max, 105), m.loadFor(m.s.Min, 50), m.loadFor(m.s.Max, 98))
}

func (m *maker) windows(up, down bool, seconds int32) {
	if up {
		m.s.Behavior.ScaleUp.StabilizationWindowSeconds = &seconds
	}
	if down {
		m.s.Behavior.ScaleDown.StabilizationWindowSeconds = &seconds
	}
}

// A limit makes a policy.
type limit func(*maker, int32) autoscalingv2.HPAScalingPolicy

func pods(m *maker, period int32) autoscalingv2.HPAScalingPolicy {
	return autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PodsScalingPolicy, Value: m.between(2, 4), PeriodSeconds: period}
}

func percent(m *maker, period int32) autoscalingv2.HPAScalingPolicy {
	return autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PercentScalingPolicy, Value: m.between(25, 80), PeriodSeconds: period}
}

func (m *maker) policies(period int32, limits ...limit) {
	for _, rules := range []*autoscalingv2.HPAScalingRules{m.s.Behavior.ScaleUp, m.s.Behavior.ScaleDown} {
		rules.Policies = nil
		for _, l := range limits {
			rules.Policies = append(rules.Policies, l(m, period))
		}
	}
}

func (m *maker) choose(policy autoscalingv2.ScalingPolicySelect) {
	m.s.Behavior.ScaleUp.SelectPolicy, m.s.Behavior.ScaleDown.SelectPolicy = &policy, &policy
}

func (m *maker) disabled() {
	never := autoscalingv2.DisabledPolicySelect
	if m.rng.IntN(2) == 0 {
		m.s.Behavior.ScaleUp.SelectPolicy = &never
	} else {
		m.s.Behavior.ScaleDown.SelectPolicy = &never
	}
}

// defaults leaves most of the rules to their defaults: up by 4 pods or 100 % in 15 s, a window of 5 minutes on the way down.
func (m *maker) defaults() {
	m.s.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{
		ScaleUp: &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: new(int32(0))},
	}
	m.s.Start, m.s.Max = m.s.Min, m.s.Min+9
	m.steps(m.load(0), m.loadFor(m.s.Max, 100), m.load(0))
}

// twoMetrics adds a second metric; each step changes one of the two loads.
func (m *maker) twoMetrics() {
	m.s.Metrics = append(m.s.Metrics, Metric{Type: autoscalingv2.AverageValueMetricType, Target: m.pick("0.4", "2", "5")})
	step := Step{m.load(0), m.load(1)}
	m.s.Steps = []Step{step}
	for i := range plainSteps {
		step = Step{step[0], step[1]}
		step[i%2] = m.load(i % 2)
		m.s.Steps = append(m.s.Steps, step)
	}
}

// brokenMetric breaks the only metric, twice.
func (m *maker) brokenMetric() {
	m.maybeHoldDown()
	m.steps(m.load(0), Broken, m.load(0), Broken, m.load(0), m.load(0))
}

// brokenOfTwo breaks one of two metrics while the other rises and falls, then the other; each step changes one.
func (m *maker) brokenOfTwo() {
	m.twoMetrics()
	m.maybeHoldDown()
	low, high := m.load(0)/3, m.loadFor(m.s.Max, 90)
	one, two := m.load(1), m.load(1)
	m.s.Steps = []Step{{low, one}, {low, Broken}, {high, Broken}, {low, Broken}, {low, two}, {Broken, two}, {Broken, m.load(1)}, {Broken, Broken}}
}

// maybeHoldDown gives half of the scenarios a scale-down window that outlasts them.
func (m *maker) maybeHoldDown() {
	if m.rng.IntN(2) == 0 {
		m.windows(false, true, 900)
	}
}
