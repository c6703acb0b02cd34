package report

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	appsv1 "k8s.io/api/apps/v1"

	"autoscale.io/scaling/decide"
	"autoscale.io/scaling/decisions"
)

var worker = decisions.Key{Resource: appsv1.SchemeGroupVersion.WithResource("deployments"), Namespace: "shop", Name: "worker"}

// decided is when the entries of the tests were.
var decided = time.Unix(1772452800, 250e6)

func shown(t *testing.T, m *Metrics, want string, names ...string) {
	t.Helper()
	if err := testutil.CollectAndCompare(m, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

func TestMetricsShowTheDecisions(t *testing.T) {
	b := decisions.New(func(decisions.Key) {})
	m := NewMetrics(b)
	b.Put(worker, working(), decided)
	shown(t, m, `
# HELP autoscale_adoptions_total Objects adopted by the loop because the webhook had missed them.
# TYPE autoscale_adoptions_total counter
autoscale_adoptions_total 0
# HELP autoscale_autoscaler_replicas Replicas of the autoscaler that this one sees alive, itself among them.
# TYPE autoscale_autoscaler_replicas gauge
autoscale_autoscaler_replicas 0
# HELP autoscale_buckets_held Buckets that this replica holds, of 16; it scales the workloads in them.
# TYPE autoscale_buckets_held gauge
autoscale_buckets_held 0
# HELP autoscale_trigger_known 1 when the latest read worked, 0 while the trigger is UNKNOWN.
# TYPE autoscale_trigger_known gauge
autoscale_trigger_known{kind="deployments.apps",name="worker",namespace="shop",trigger="orders",type="redis-streams"} 1
# HELP autoscale_trigger_target Value that one replica is meant to carry.
# TYPE autoscale_trigger_target gauge
autoscale_trigger_target{kind="deployments.apps",name="worker",namespace="shop",trigger="orders",type="redis-streams"} 10
# HELP autoscale_trigger_value Latest value of the trigger; absent while it cannot be read.
# TYPE autoscale_trigger_value gauge
autoscale_trigger_value{kind="deployments.apps",name="worker",namespace="shop",trigger="orders",type="redis-streams"} 45
# HELP autoscale_workload_active 1 while an event trigger is active.
# TYPE autoscale_workload_active gauge
autoscale_workload_active{kind="deployments.apps",name="worker",namespace="shop"} 1
# HELP autoscale_workload_decision_timestamp_seconds When the latest decision was made, in seconds since 1970.
# TYPE autoscale_workload_decision_timestamp_seconds gauge
autoscale_workload_decision_timestamp_seconds{kind="deployments.apps",name="worker",namespace="shop"} 1.77245280025e+09
# HELP autoscale_workload_desired_replicas Replicas that the latest decision asks for; of a template of Jobs, unfinished Jobs.
# TYPE autoscale_workload_desired_replicas gauge
autoscale_workload_desired_replicas{kind="deployments.apps",name="worker",namespace="shop",reason="AboveTarget"} 5
# HELP autoscale_workload_replicas Replicas in the workload's spec at the latest decision; of a template of Jobs, its unfinished Jobs.
# TYPE autoscale_workload_replicas gauge
autoscale_workload_replicas{kind="deployments.apps",name="worker",namespace="shop"} 2
`)
}

// A guard and a trigger of one name are two things.
func TestMetricsOfGuards(t *testing.T) {
	b := decisions.New(func(decisions.Key) {})
	e := working()
	e.Triggers = append(e.Triggers, decisions.Trigger{Name: "orders", Type: "redis-streams", Guard: true, Target: 80, Known: true, Value: 85})
	b.Put(worker, e, decided)
	shown(t, NewMetrics(b), `
# HELP autoscale_guard_known 1 when the latest read worked, 0 while the guard is UNKNOWN.
# TYPE autoscale_guard_known gauge
autoscale_guard_known{guard="orders",kind="deployments.apps",name="worker",namespace="shop",type="redis-streams"} 1
# HELP autoscale_guard_limit Value from which on the count does not rise.
# TYPE autoscale_guard_limit gauge
autoscale_guard_limit{guard="orders",kind="deployments.apps",name="worker",namespace="shop",type="redis-streams"} 80
# HELP autoscale_guard_value Latest value of the guard; absent while it cannot be read.
# TYPE autoscale_guard_value gauge
autoscale_guard_value{guard="orders",kind="deployments.apps",name="worker",namespace="shop",type="redis-streams"} 85
`, "autoscale_guard_known", "autoscale_guard_limit", "autoscale_guard_value")
}

func TestMetricsFollowTheDecisions(t *testing.T) {
	b := decisions.New(func(decisions.Key) {})
	m := NewMetrics(b)
	other := worker
	other.Name = "mailer"
	b.Put(worker, working(), decided)
	b.Put(other, working(), decided)
	m.Adoptions.Inc()
	m.Scales.WithLabelValues("up", "ok").Inc()
	m.Share(8, 2)
	if n := testutil.CollectAndCount(m); n != 2*7+2+2 {
		t.Errorf("got %d series, want seven a workload, two counters and what the replica holds", n)
	}
	e := working()
	e.Reason = decide.AtTarget
	b.Put(worker, e, decided)
	if n := testutil.CollectAndCount(m, "autoscale_workload_desired_replicas"); n != 2 {
		t.Errorf("got %d series of desired replicas, want no series of an earlier reason", n)
	}
	b.Delete(other)
	b.Delete(worker)
	shown(t, m, `
# HELP autoscale_adoptions_total Objects adopted by the loop because the webhook had missed them.
# TYPE autoscale_adoptions_total counter
autoscale_adoptions_total 1
# HELP autoscale_autoscaler_replicas Replicas of the autoscaler that this one sees alive, itself among them.
# TYPE autoscale_autoscaler_replicas gauge
autoscale_autoscaler_replicas 2
# HELP autoscale_buckets_held Buckets that this replica holds, of 16; it scales the workloads in them.
# TYPE autoscale_buckets_held gauge
autoscale_buckets_held 8
# HELP autoscale_scales_total Writes of replicas, by direction (up, down) and outcome (ok, conflict, error).
# TYPE autoscale_scales_total counter
autoscale_scales_total{direction="up",outcome="ok"} 1
`)
}

func TestUnknownHasNoValue(t *testing.T) {
	b := decisions.New(func(decisions.Key) {})
	m := NewMetrics(b)
	e := working()
	e.Triggers[0] = decisions.Trigger{Name: "orders", Type: "redis-streams", Error: "refused", Since: time.Unix(9, 0)}
	b.Put(worker, e, decided)
	shown(t, m, `
# HELP autoscale_trigger_known 1 when the latest read worked, 0 while the trigger is UNKNOWN.
# TYPE autoscale_trigger_known gauge
autoscale_trigger_known{kind="deployments.apps",name="worker",namespace="shop",trigger="orders",type="redis-streams"} 0
`, "autoscale_trigger_known", "autoscale_trigger_value", "autoscale_trigger_target")
}

// TestOddNames proves that a name is a label and nothing else, and that two which differ in little are two.
func TestOddNames(t *testing.T) {
	b := decisions.New(func(decisions.Key) {})
	m := NewMetrics(b)
	for _, name := range []string{"a-1.b", "a-1-b", `q"uo\te`, "new\nline", "größe", ""} {
		key := worker
		key.Name = name
		b.Put(key, working(), decided)
	}
	shown(t, m, `
# HELP autoscale_workload_replicas Replicas in the workload's spec at the latest decision; of a template of Jobs, its unfinished Jobs.
# TYPE autoscale_workload_replicas gauge
autoscale_workload_replicas{kind="deployments.apps",name="",namespace="shop"} 2
autoscale_workload_replicas{kind="deployments.apps",name="a-1-b",namespace="shop"} 2
autoscale_workload_replicas{kind="deployments.apps",name="a-1.b",namespace="shop"} 2
autoscale_workload_replicas{kind="deployments.apps",name="größe",namespace="shop"} 2
autoscale_workload_replicas{kind="deployments.apps",name="new\nline",namespace="shop"} 2
autoscale_workload_replicas{kind="deployments.apps",name="q\"uo\\te",namespace="shop"} 2
`, "autoscale_workload_replicas")
}

func TestMetricsRegisterAndLint(t *testing.T) {
	b := decisions.New(func(decisions.Key) {})
	b.Put(worker, working(), decided)
	m := NewMetrics(b)
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(m); err != nil {
		t.Fatal(err)
	}
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("got problems %v, error %v, want none", problems, err)
	}
}

// TestUnknownNumberOfJobs: what is not known has no series, least of all one of 0.
func TestUnknownNumberOfJobs(t *testing.T) {
	b := decisions.New(func(decisions.Key) {})
	m := NewMetrics(b)
	b.Put(worker, &decisions.Entry{Reason: decide.JobsUnknown}, decided)
	m.Jobs.WithLabelValues("created").Add(3)
	shown(t, m, `
# HELP autoscale_jobs_total Jobs of templates, by what was done: created, replaced or pruned; failed counts batches that could not be created as a whole.
# TYPE autoscale_jobs_total counter
autoscale_jobs_total{what="created"} 3
`, "autoscale_jobs_total", "autoscale_workload_replicas", "autoscale_workload_desired_replicas")
}
