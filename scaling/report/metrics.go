package report

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"autoscale.io/scaling/decide"
	"autoscale.io/scaling/decisions"
)

// Metrics shows the decisions and counts what the controller does. Gauges are read from the store at each scrape, so a workload that goes takes its
// series with it.
type Metrics struct {
	decisions *decisions.Store

	desired, current, active, decided *prometheus.Desc
	trigger, guard                    series

	// Scales counts writes of replicas by direction and outcome; Adoptions counts objects that were adopted without the webhook.
	Scales    *prometheus.CounterVec
	Adoptions prometheus.Counter
	// Jobs counts what is done to Jobs of templates: created, failed (a batch that could not be created as a whole), replaced, pruned.
	Jobs *prometheus.CounterVec

	buckets, replicas prometheus.Gauge
}

var _ prometheus.Collector = (*Metrics)(nil)

// series are the gauges of one trigger or guard.
type series struct{ value, target, known *prometheus.Desc }

// NewMetrics returns the collector of a store of decisions; the caller registers it.
func NewMetrics(b *decisions.Store) *Metrics {
	workload := []string{"kind", "namespace", "name"}
	trigger := append(workload[:len(workload):len(workload)], "trigger", "type")
	guard := append(workload[:len(workload):len(workload)], "guard", "type")
	desc := func(name, help string, labels []string) *prometheus.Desc {
		return prometheus.NewDesc("autoscale_"+name, help, labels, nil)
	}
	return &Metrics{
		decisions: b,
		desired:   desc("workload_desired_replicas", "Replicas that the latest decision asks for; of a template of Jobs, unfinished Jobs.", append(workload[:len(workload):len(workload)], "reason")),
		current:   desc("workload_replicas", "Replicas in the workload's spec at the latest decision; of a template of Jobs, its unfinished Jobs.", workload),
		active:    desc("workload_active", "1 while an event trigger is active.", workload),
		decided:   desc("workload_decision_timestamp_seconds", "When the latest decision was made, in seconds since 1970.", workload),
		trigger: series{
			value:  desc("trigger_value", "Latest value of the trigger; absent while it cannot be read.", trigger),
			target: desc("trigger_target", "Value that one replica is meant to carry.", trigger),
			known:  desc("trigger_known", "1 when the latest read worked, 0 while the trigger is UNKNOWN.", trigger),
		},
		guard: series{
			value:  desc("guard_value", "Latest value of the guard; absent while it cannot be read.", guard),
			target: desc("guard_limit", "Value from which on the count does not rise.", guard),
			known:  desc("guard_known", "1 when the latest read worked, 0 while the guard is UNKNOWN.", guard),
		},
		Scales: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "autoscale_scales_total", Help: "Writes of replicas, by direction (up, down) and outcome (ok, conflict, error).",
		}, []string{"direction", "outcome"}),
		Jobs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "autoscale_jobs_total", Help: "Jobs of templates, by what was done: created, replaced or pruned; failed counts batches that could not be created as a whole.",
		}, []string{"what"}),
		buckets: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "autoscale_buckets_held", Help: "Buckets that this replica holds, of 16; it scales the workloads in them.",
		}),
		replicas: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "autoscale_autoscaler_replicas", Help: "Replicas of the autoscaler that this one sees alive, itself among them.",
		}),
		Adoptions: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "autoscale_adoptions_total", Help: "Objects adopted by the loop because the webhook had missed them.",
		}),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.desired, m.current, m.active, m.decided, m.trigger.value, m.trigger.target, m.trigger.known, m.guard.value, m.guard.target, m.guard.known} {
		ch <- d
	}
	m.Scales.Describe(ch)
	m.Adoptions.Describe(ch)
	m.Jobs.Describe(ch)
	m.buckets.Describe(ch)
	m.replicas.Describe(ch)
}

// Share shows what this replica holds of the buckets, and how many replicas share them.
func (m *Metrics) Share(buckets, replicas int) {
	m.buckets.Set(float64(buckets))
	m.replicas.Set(float64(replicas))
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	m.decisions.All(func(key decisions.Key, e *decisions.Entry, at time.Time) {
		kind := key.Resource.GroupResource().String()
		if e.Reason != decide.JobsUnknown { // then there is no number to show
			gauge(m.desired, float64(e.Replicas), kind, key.Namespace, key.Name, string(e.Reason))
			gauge(m.current, float64(e.From), kind, key.Namespace, key.Name)
		}
		gauge(m.active, number(e.Active), kind, key.Namespace, key.Name)
		gauge(m.decided, float64(at.UnixMilli())/1e3, kind, key.Namespace, key.Name)
		for _, t := range e.Triggers {
			s := m.trigger
			if t.Guard {
				s = m.guard
			}
			gauge(s.known, number(t.Known), kind, key.Namespace, key.Name, t.Name, t.Type)
			if t.Target > 0 {
				gauge(s.target, t.Target, kind, key.Namespace, key.Name, t.Name, t.Type)
			}
			if t.Known {
				gauge(s.value, t.Value, kind, key.Namespace, key.Name, t.Name, t.Type)
			}
		}
	})
	m.Scales.Collect(ch)
	m.Adoptions.Collect(ch)
	m.Jobs.Collect(ch)
	m.buckets.Collect(ch)
	m.replicas.Collect(ch)
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
