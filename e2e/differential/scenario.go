package differential

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"autoscale.io/annotations"
)

// The Deployments of a scenario, and the label that tells their pods apart.
const (
	theirs = "hpa"
	ours   = "annotated"
	app    = "app"
)

// forever is where windows and periods begin that do not end before a scenario does; shorter ones are waited for.
const forever = 60 * time.Second

// Scenario is a workload, the rules it is scaled by, and a series of loads.
type Scenario struct {
	Name            string
	Start, Min, Max int32
	Metrics         []Metric
	// Behavior is given to both. It says something about scaleUp, unless the missing ramp of event triggers is what is shown.
	Behavior *autoscalingv2.HorizontalPodAutoscalerBehavior
	Steps    []Step

	// Unready keeps the pods from ever becoming Ready, and shows the HPA the loads as soon as they are created.
	Unready bool
	// Unmeasured is the number of pods of which the resource metrics API knows nothing.
	Unmeasured int
	// Settings are more annotations of ours, without their prefix.
	Settings map[string]string
	// Patience is waited without a change before a step ends, if the rules do not ask for more.
	Patience time.Duration
}

// Metric is an external metric of the HPA and a trigger of ours, or with a Resource what pods use of it.
type Metric struct {
	Type autoscalingv2.MetricTargetType
	// Target is a number, a percentage for Utilization.
	Target string
	// Resource is cpu or memory, of all containers together or of the one named.
	Resource  corev1.ResourceName
	Container string
}

// Load is the value of a metric, or Broken. Of a Resource it is what all measured pods use together, in thousandths of a core or in Mi.
type Load int

// Broken is a metric that cannot be read.
const Broken Load = -1

// Step holds one load for each metric.
type Step []Load

func metricName(i int) string { return "m" + strconv.Itoa(i) }

// hpa is the HPA of a scenario.
func (s *Scenario) hpa() *autoscalingv2.HorizontalPodAutoscaler {
	h := &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: theirs},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: theirs},
			MinReplicas:    &s.Min, MaxReplicas: s.Max, Behavior: s.Behavior,
		},
	}
	for i, m := range s.Metrics {
		if m.Resource != "" {
			h.Spec.Metrics = append(h.Spec.Metrics, m.resourceSpec())
			continue
		}
		target := autoscalingv2.MetricTarget{Type: m.Type}
		quantity := resource.MustParse(m.Target)
		if m.Type == autoscalingv2.ValueMetricType {
			target.Value = &quantity
		} else {
			target.AverageValue = &quantity
		}
		h.Spec.Metrics = append(h.Spec.Metrics, autoscalingv2.MetricSpec{
			Type: autoscalingv2.ExternalMetricSourceType,
			External: &autoscalingv2.ExternalMetricSource{
				Metric: autoscalingv2.MetricIdentifier{Name: metricName(i)}, Target: target,
			},
		})
	}
	return h
}

// annotations are the same rules for ours. The stream of a metric is at redis, under the key that stream gives.
func (s *Scenario) annotations(redis string, stream func(int) string) (map[string]string, error) {
	settings := map[string]string{
		"min-replicas":     strconv.Itoa(int(s.Min)),
		"max-replicas":     strconv.Itoa(int(s.Max)),
		"polling-interval": syncPeriod.String(),
	}
	if s.Behavior != nil {
		text, err := yaml.Marshal(s.Behavior)
		if err != nil {
			return nil, err
		}
		settings["behavior"] = string(text)
	}
	for i, m := range s.Metrics {
		if m.Resource != "" {
			settings["trigger."+metricName(i)] = m.resourceTrigger()
			continue
		}
		settings["trigger."+metricName(i)] = fmt.Sprintf("{type: redis-streams, address: %q, stream: %q, measure: length, target: %s, metricType: %s}",
			redis, stream(i), m.Target, m.Type)
	}
	for key, value := range s.Settings {
		settings[key] = value
	}
	full := map[string]string{}
	for key, value := range settings {
		full[annotations.Prefix+key] = value
	}
	return full, nil
}

func (s *Scenario) deployment(name string, notes map[string]string) *appsv1.Deployment {
	labels := map[string]string{app: name}
	pod := corev1.PodSpec{Containers: containers()}
	if s.Unready {
		pod.NodeSelector = map[string]string{"no-such": "node"}
	}
	start := s.Start
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: notes},
		Spec: appsv1.DeploymentSpec{
			Replicas: &start,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod},
		},
	}
}

// dwell is how long nothing must change before a step has ended: longer than any window or period that ends.
func (s *Scenario) dwell() time.Duration {
	longest := time.Duration(0)
	note := func(seconds int32) {
		if d := time.Duration(seconds) * time.Second; d < forever {
			longest = max(longest, d)
		}
	}
	for _, rules := range s.rules() {
		if rules.StabilizationWindowSeconds != nil {
			note(*rules.StabilizationWindowSeconds)
		}
		if rules.Policies == nil {
			note(defaultPeriodSeconds)
		}
		for _, p := range rules.Policies {
			note(p.PeriodSeconds)
		}
	}
	if longest <= syncPeriod {
		return s.Patience // a look takes as long
	}
	return max(s.Patience, longest+2*syncPeriod)
}

// defaultPeriodSeconds is the period of the HPA's own policies, in both directions.
const defaultPeriodSeconds = 15

func (s *Scenario) rules() []*autoscalingv2.HPAScalingRules {
	var rules []*autoscalingv2.HPAScalingRules
	if s.Behavior == nil || s.Behavior.ScaleUp == nil {
		rules = append(rules, &autoscalingv2.HPAScalingRules{})
	}
	if s.Behavior != nil {
		for _, r := range []*autoscalingv2.HPAScalingRules{s.Behavior.ScaleUp, s.Behavior.ScaleDown} {
			if r != nil {
				rules = append(rules, r)
			}
		}
	}
	return rules
}

// String is what a person needs to see a scenario that failed.
func (s *Scenario) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "starts at %d, between %d and %d; metrics %v; loads", s.Start, s.Min, s.Max, s.Metrics)
	for _, step := range s.Steps {
		fmt.Fprintf(&b, " %v", step)
	}
	b.WriteString("; behavior:\n")
	text, err := yaml.Marshal(s.Behavior)
	if err != nil {
		return err.Error()
	}
	b.Write(text)
	return b.String()
}
