package annotations

import (
	"slices"
	"strconv"
	"strings"

	"autoscale.io/annotations/schema"
)

// JobStrategy says how many Jobs a value asks for beside those that run. The names and the formulas are KEDA's.
type JobStrategy struct {
	Strategy             string   `name:"strategy" default:"default" enum:"default,accurate,eager,custom" doc:"default is for a source that counts a piece of work until it is done, accurate for one that no longer counts what has been taken; eager fills the room below max-replicas while there is work; custom uses the next two parameters."`
	QueueLengthDeduction int32    `name:"queueLengthDeduction" alias:"customScalingQueueLengthDeduction" default:"0" min:"0" doc:"For custom: so many Jobs fewer than the value asks for."`
	RunningJobPercentage float64  `name:"runningJobPercentage" alias:"customScalingRunningJobPercentage" default:"0" min:"0" max:"1" doc:"For custom: this share, 0 to 1, of the Jobs that run is deducted too."`
	PendingPodConditions []string `name:"pendingPodConditions" doc:"A Job counts as not started until one of its pods has all of these conditions, such as Ready. When absent, until one of its pods runs."`
}

// The strategies.
const (
	JobsDefault  = "default"
	JobsAccurate = "accurate"
	JobsEager    = "eager"
	JobsCustom   = "custom"
)

// jobStrategy reads a word or a mapping.
func (d *decoder) jobStrategy(key, text string) *JobStrategy {
	word := strings.TrimSpace(text)
	if field, _ := strategySchema.Field("strategy"); slices.Contains(field.Enum, word) {
		text = "{strategy: " + word + "}"
	} else if word == "" || !strings.ContainsAny(word, ":{[") {
		d.fault(key, schema.Problem{Text: "got " + quoted(word) + ", want one of " + strings.Join(field.Enum, ", ") + ", or a mapping such as {strategy: custom, runningJobPercentage: 0.5}"})
		return nil
	}
	s := decodeMapping[JobStrategy](d, strategySchema, key, text)
	if s == nil {
		return nil
	}
	if s.Strategy != JobsCustom && s.QueueLengthDeduction != 0 {
		d.fault(key, schema.Problem{Param: "queueLengthDeduction", Text: "is for the strategy custom, not for " + s.Strategy})
	}
	if s.Strategy != JobsCustom && s.RunningJobPercentage != 0 {
		d.fault(key, schema.Problem{Param: "runningJobPercentage", Text: "is for the strategy custom, not for " + s.Strategy})
	}
	return s
}

// HistoryLimits are how many Jobs that succeeded and that failed are kept in the job-mode spawn.
func (s Settings) HistoryLimits() (succeeded, failed int) {
	const usual = 100
	succeeded, failed = usual, usual
	if s.SuccessfulJobsHistoryLimit != nil {
		succeeded = int(*s.SuccessfulJobsHistoryLimit)
	}
	if s.FailedJobsHistoryLimit != nil {
		failed = int(*s.FailedJobsHistoryLimit)
	}
	return succeeded, failed
}

// The values of job-rollout.
const (
	RolloutKeep    = "keep"
	RolloutReplace = "replace"
)

func quoted(text string) string { return strconv.Quote(schema.Short(text)) }

// spawnKeys are the keys that have a meaning in the job-mode spawn only.
func spawnKeys() []string {
	return []string{strategyKey, "job-rollout", "successful-jobs-history-limit", "failed-jobs-history-limit"}
}

// notInSpawn says why a key means nothing there.
func notInSpawn() []struct{ key, why string } {
	return []struct{ key, why string }{
		{"behavior", "there is no ramp or window where each Job is started for a piece of work"},
		{"cooldown", "a Job ends by itself when its work is done"},
		{"force-active", "min-replicas is the number of Jobs that always run"},
		{"idle-replicas", "without work no Job is started beyond min-replicas"},
		{"initial-cooldown", "a Job ends by itself when its work is done"},
		{"on-removal", "a template has no count to restore"},
	}
}

// jobs finds what is said of Jobs where none are spawned, and what means nothing where they are.
func (d *decoder) jobs(annotations map[string]string) {
	if d.result.Workload.JobMode != JobSpawn {
		for _, name := range spawnKeys() {
			if _, given := annotations[Prefix+name]; given {
				d.fault(Prefix+name, schema.Problem{Text: "is for " + Prefix + "job-mode spawn only"})
			}
		}
		return
	}
	for _, no := range notInSpawn() {
		if _, given := annotations[Prefix+no.key]; given {
			d.fault(Prefix+no.key, schema.Problem{Text: "has no meaning with job-mode spawn: " + no.why})
		}
	}
	for key, resource := range d.resources {
		if !resource {
			continue
		}
		d.fault(key, schema.Problem{Text: "cpu and memory cannot tell how many Jobs to start; want an event trigger with job-mode spawn"})
	}
	d.jobMetrics()
}

// jobMetrics finds the types of metric and the fallback that need a count which follows the decision.
func (d *decoder) jobMetrics() {
	const why = "want AverageValue with job-mode spawn, since more Jobs do not bring a level down"
	w := &d.result.Workload
	for _, t := range w.Triggers {
		if !d.resources[Prefix+triggerPrefix+t.Name] && t.MetricType == "Value" {
			d.fault(Prefix+triggerPrefix+t.Name, schema.Problem{Param: "metricType", Text: `got "Value", ` + why})
		}
	}
	if w.Formula != nil && w.Formula.MetricType == "Value" {
		d.fault(Prefix+formulaKey, schema.Problem{Param: "metricType", Text: `got "Value", ` + why})
	}
	if f := w.Fallback; f != nil && strings.HasPrefix(f.Behavior, "currentReplicas") && f.Behavior != "currentReplicasIfHigher" {
		d.fault(Prefix+fallbackKey, schema.Problem{Param: "behavior", Text: "got " + quoted(f.Behavior) + ", want none with job-mode spawn, where the fallback is a number of Jobs altogether"})
	}
}
