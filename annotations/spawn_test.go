package annotations_test

import (
	"testing"

	"autoscale.io/annotations"
)

// spawning are good annotations of a template, with more.
func spawning(pairs ...string) map[string]string {
	return with(append([]string{"job-mode", "spawn"}, pairs...)...)
}

func TestDecodeSpawn(t *testing.T) {
	w := wantFaults(t, spawning())
	wantEqual(t, "the default floor", w.MinReplicas, 0)
	wantEqual(t, "no strategy", w.JobStrategy, nil)
	succeeded, failed := w.HistoryLimits()
	wantEqual(t, "history limits", [2]int{succeeded, failed}, [2]int{100, 100})

	w = wantFaults(t, spawning("min-replicas", "1", "job-strategy", "accurate", "job-rollout", "replace",
		"successful-jobs-history-limit", "0", "failed-jobs-history-limit", "3"))
	wantEqual(t, "floor", w.MinReplicas, 1)
	wantEqual(t, "strategy", w.JobStrategy, &annotations.JobStrategy{Strategy: annotations.JobsAccurate})
	wantEqual(t, "rollout", w.JobRollout, annotations.RolloutReplace)
	succeeded, failed = w.HistoryLimits()
	wantEqual(t, "history limits", [2]int{succeeded, failed}, [2]int{0, 3})
	if read := annotations.Decode(w.Annotations(), types{}); len(read.Faults) > 0 || !read.Workload.Equal(w) {
		t.Errorf("written as %q, read with %s", w.Annotations(), read.Faults)
	}

	w = wantFaults(t, spawning("job-strategy", "{strategy: custom, customScalingQueueLengthDeduction: 2, customScalingRunningJobPercentage: '0.5', pendingPodConditions: [Ready, PodScheduled]}"))
	wantEqual(t, "strategy in KEDA's spelling", w.JobStrategy, &annotations.JobStrategy{
		Strategy: annotations.JobsCustom, QueueLengthDeduction: 2, RunningJobPercentage: 0.5, PendingPodConditions: []string{"Ready", "PodScheduled"},
	})
	if read := annotations.Decode(w.Annotations(), types{}); len(read.Faults) > 0 || !read.Workload.Equal(w) {
		t.Errorf("written as %q, read with %s", w.Annotations(), read.Faults)
	}
}

// A program that writes min-replicas 1 means 1, in either mode.
func TestEncodeTheFloorOfSpawn(t *testing.T) {
	for _, floor := range []int32{0, 1, 2} {
		w := annotations.New(floor, 5, annotations.NewTrigger("orders", "clock", 1, map[string]string{"start": "a"}))
		w.JobMode = annotations.JobSpawn
		read := annotations.Decode(w.Annotations(), types{})
		if len(read.Faults) > 0 || read.Workload.MinReplicas != floor {
			t.Errorf("%q was read with the floor %d and %v, want %d", w.Annotations(), read.Workload.MinReplicas, read.Faults, floor)
		}
	}
}

func TestDecodeWordsEveryFaultOfSpawn(t *testing.T) {
	const prefix = annotations.Prefix
	for _, c := range []struct {
		name  string
		given map[string]string
		want  []string
	}{
		{"strategy of another kind", spawning("job-strategy", "exact"), []string{prefix + `job-strategy: got "exact", want one of default, accurate, eager, custom, or a mapping such as {strategy: custom, runningJobPercentage: 0.5}`}},
		{"no strategy", spawning("job-strategy", ""), []string{prefix + `job-strategy: got "", want one of default, accurate, eager, custom, or a mapping such as {strategy: custom, runningJobPercentage: 0.5}`}},
		{"strategy of another kind in a mapping", spawning("job-strategy", "{strategy: exact}"), []string{prefix + `job-strategy: strategy: got "exact", want one of default, accurate, eager, custom`}},
		{"a list", spawning("job-strategy", "[eager]"), []string{prefix + "job-strategy: got a list, want a YAML mapping such as {}"}},
		{"percentage", spawning("job-strategy", "{strategy: custom, runningJobPercentage: half}"), []string{prefix + `job-strategy: runningJobPercentage: got "half", want a number ≥ 0 and ≤ 1`}},
		{"percentage of a hundred", spawning("job-strategy", "{strategy: custom, customScalingRunningJobPercentage: 50}"), []string{prefix + `job-strategy: customScalingRunningJobPercentage: got "50", want a number ≥ 0 and ≤ 1`}},
		{"custom without custom", spawning("job-strategy", "{queueLengthDeduction: 1, runningJobPercentage: 0.5}"), []string{
			prefix + "job-strategy: queueLengthDeduction: is for the strategy custom, not for default",
			prefix + "job-strategy: runningJobPercentage: is for the strategy custom, not for default",
		}},
		{"rollout", spawning("job-rollout", "gradual"), []string{prefix + `job-rollout: got "gradual", want one of keep, replace`}},
		{"history", spawning("failed-jobs-history-limit", "-1"), []string{prefix + `failed-jobs-history-limit: got "-1", want a whole number ≥ 0`}},
		{"misspelt", spawning("job-stratgy", "eager"), []string{prefix + "job-stratgy: unknown annotation autoscale.io/job-stratgy; did you mean autoscale.io/job-strategy?"}},
		{"without spawn", with("job-mode", "resize", "job-strategy", "eager", "job-rollout", "keep", "successful-jobs-history-limit", "1", "failed-jobs-history-limit", "1"), []string{
			prefix + "failed-jobs-history-limit: is for autoscale.io/job-mode spawn only", prefix + "job-rollout: is for autoscale.io/job-mode spawn only",
			prefix + "job-strategy: is for autoscale.io/job-mode spawn only", prefix + "successful-jobs-history-limit: is for autoscale.io/job-mode spawn only",
		}},
		{"what means nothing", spawning("min-replicas", "2", "idle-replicas", "1", "behavior", "{}", "cooldown", "1m", "initial-cooldown", "1m", "force-active", "true", "on-removal", "keep"), []string{
			prefix + "behavior: has no meaning with job-mode spawn: there is no ramp or window where each Job is started for a piece of work",
			prefix + "cooldown: has no meaning with job-mode spawn: a Job ends by itself when its work is done",
			prefix + "force-active: has no meaning with job-mode spawn: min-replicas is the number of Jobs that always run",
			prefix + "idle-replicas: has no meaning with job-mode spawn: without work no Job is started beyond min-replicas",
			prefix + "initial-cooldown: has no meaning with job-mode spawn: a Job ends by itself when its work is done",
			prefix + "on-removal: has no meaning with job-mode spawn: a template has no count to restore",
		}},
		{"a level", spawning("trigger.level", "{type: clock, start: a, target: 1, metricType: Value}"), []string{
			prefix + `trigger.level: metricType: got "Value", want AverageValue with job-mode spawn, since more Jobs do not bring a level down`,
		}},
		{"a formula that is a level", spawning("formula", "{expression: orders, target: 1, metricType: Value}"), []string{
			prefix + `formula: metricType: got "Value", want AverageValue with job-mode spawn, since more Jobs do not bring a level down`,
		}},
		{"a fallback on the present count", spawning("fallback", "{replicas: 3, behavior: currentReplicas}"), []string{
			prefix + `fallback: behavior: got "currentReplicas", want none with job-mode spawn, where the fallback is a number of Jobs altogether`,
		}},
		{"a floor above the ceiling", spawning("min-replicas", "11"), []string{prefix + `min-replicas: got "11", want at most max-replicas, which is 10`}},
	} {
		t.Run(c.name, func(t *testing.T) { wantFaults(t, c.given, c.want...) })
	}
}

func TestSpawnNeedsEvents(t *testing.T) {
	wantResourceFaults(t, only("job-mode", "spawn", "cpu", "70%"),
		annotations.Prefix+"cpu: cpu and memory cannot tell how many Jobs to start; want an event trigger with job-mode spawn")
}
