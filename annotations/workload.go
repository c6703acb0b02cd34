package annotations

import (
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"autoscale.io/annotations/schema"
)

// Workload is what the annotations of one object ask for.
type Workload struct {
	Settings
	// Triggers are in the order of their names. A decoded workload without faults has at least one.
	Triggers []Trigger
	// Guards are in the order of their names. Their Target is the guard's limit; the other common parameters but Interval and Timeout mean nothing.
	Guards []Trigger
	// Schedules are in the order of their names.
	Schedules []Schedule
}

// Ceiling is the largest count that the bounds ever allow, schedules included.
func (w Workload) Ceiling() int32 {
	most := w.MaxReplicas
	for _, s := range w.Schedules {
		if s.Max != nil {
			most = max(most, *s.Max)
		}
	}
	return most
}

// Settings are the annotations with one fixed key each: bounds, tempo and brakes. The name tags are the keys below the prefix.
type Settings struct {
	MinReplicas  int32  `name:"min-replicas" default:"1" min:"0" doc:"The floor while the workload is active. 0 allows scaling to zero; zero is always opted into. In the job-mode spawn it is the number of Jobs that always run, and 0 when it is absent."`
	MaxReplicas  int32  `name:"max-replicas" required:"true" min:"1" doc:"The ceiling."`
	IdleReplicas *int32 `name:"idle-replicas" min:"0" doc:"The count while every event trigger is idle; less than min-replicas. When absent, the idle count is 0 if min-replicas is 0, and min-replicas otherwise."`

	PollingInterval time.Duration  `name:"polling-interval" default:"5s" min:"1s" max:"24h" doc:"How often the triggers are read. A trigger's own interval overrides it."`
	Cooldown        time.Duration  `name:"cooldown" default:"5m" min:"0s" max:"168h" doc:"How long every event trigger must be seen idle before the step to zero or to the idle count. It counts from the first reading that saw no work."`
	InitialCooldown *time.Duration `name:"initial-cooldown" min:"0s" max:"168h" doc:"The same, counted from adoption, until activity has been seen once. When absent, the cooldown."`

	ForceActive bool      `name:"force-active" default:"false" doc:"Treat the workload as active whatever the triggers say."`
	Behavior    *Behavior `name:"behavior" doc:"Windows, rate policies and tolerance of both directions: the behavior field of the HorizontalPodAutoscaler v2, in YAML, with its limits and defaults."`

	Pause      Pause      `name:"pause" doc:"A brake: true holds the present count, a number goes there and holds, scale-in or scale-out holds that direction, false is off."`
	PauseUntil *time.Time `name:"pause-until" doc:"When the pause ends by itself."`
	DryRun     bool       `name:"dry-run" default:"false" doc:"Decide and report, but write no replicas."`

	JobMode string `name:"job-mode" enum:"resize,spawn" doc:"For Jobs and CronJobs only. resize, the default of a Job, changes its parallelism and ends no pod; spawn takes the Job, or a suspended CronJob, as the template of one Job for each unit of work."`

	JobRollout                 string `name:"job-rollout" enum:"keep,replace" doc:"In the job-mode spawn: what an edit of the template does to Jobs of the template before. keep, the default, leaves them alone; replace deletes those that have not started, so that new ones take their place. One that runs is never ended."`
	SuccessfulJobsHistoryLimit *int32 `name:"successful-jobs-history-limit" min:"0" doc:"In the job-mode spawn: how many Jobs that succeeded are kept; older ones are deleted. When absent, 100."`
	FailedJobsHistoryLimit     *int32 `name:"failed-jobs-history-limit" min:"0" doc:"In the job-mode spawn: how many Jobs that failed are kept; older ones are deleted. When absent, 100."`

	OnRemoval string `name:"on-removal" default:"keep" enum:"keep,restore" doc:"What happens to the count when the annotations are removed: keep leaves it (a zero made by the autoscaler becomes the count from before adoption, at least 1); restore puts back the count from before adoption."`
	Class     string `name:"class" doc:"Which install manages this workload, when several share a cluster; compared with the flag --class."`
	// Fallback, Formula and JobStrategy are nil when they are not set.
	Fallback    *Fallback
	Formula     *Formula
	JobStrategy *JobStrategy

	EnvContainer string `name:"env-container" doc:"The container whose environment is read for parameters given as …FromEnv. When absent, the first."`
}

// The modes of Jobs.
const (
	// JobResize follows the decision with the parallelism of the Job itself.
	JobResize = "resize"
	// JobSpawn takes the annotated object as the template of Jobs.
	JobSpawn = "spawn"
)

// Fallback is what a trigger asks for once it could not be read several times in a row.
type Fallback struct {
	After    int32  `name:"after" alias:"failureThreshold" default:"3" min:"1" doc:"The number of failed reads in a row, of one trigger, from which on the fallback applies. The count starts anew with the process and with an edit of the trigger."`
	Replicas int32  `name:"replicas" required:"true" min:"1" doc:"The count to ask for. Never 0: not being able to read is no sign of having nothing to do."`
	Behavior string `name:"behavior" default:"currentReplicasIfHigher" enum:"currentReplicasIfHigher,static,currentReplicas,currentReplicasIfLower" doc:"currentReplicasIfHigher asks for the present count or replicas, whichever is higher, and so never lowers; static for replicas; currentReplicas for the present count; currentReplicasIfLower for the present count or replicas, whichever is lower."`
}

// Formula makes one trigger of several.
type Formula struct {
	Expression string  `name:"expression" alias:"formula" required:"true" doc:"An expression over the triggers' names (with _ for -) that gives a number ≥ 0: numbers, arithmetic, comparisons, and, or, not, ?:, ??, min, max, abs, ceil, floor, round, and sum, count, any and all over a list such as [orders, payments], in the words of expr-lang.org. A trigger that cannot be read is nil: orders ?? 0."`
	Target     float64 `name:"target" required:"true" above:"0" doc:"What one replica is meant to carry of the result."`
	Activation float64 `name:"activation" alias:"activationTarget" default:"0" min:"0" doc:"The workload is active while the result is greater than this."`
	MetricType string  `name:"metricType" default:"AverageValue" enum:"AverageValue,Value" doc:"As for a trigger."`
}

// Schedule replaces bounds inside a window of time.
type Schedule struct {
	// Name is a DNS label; it is what follows schedule. in the key.
	Name     string
	Start    string `name:"start" required:"true" doc:"When the window opens: a cron expression of five fields (minute, hour, day of month, month, day of week)."`
	End      string `name:"end" required:"true" doc:"When it closes: likewise. What came last counts, so a window may cross midnight or last for days."`
	Timezone string `name:"timezone" default:"UTC" doc:"The zone of both, by its IANA name, such as Europe/Berlin. A time that a clock change skips comes at the change; one that it repeats comes once."`
	Min      *int32 `name:"min" min:"0" doc:"min-replicas inside the window. When absent, min-replicas stays."`
	Max      *int32 `name:"max" min:"1" doc:"max-replicas inside the window. When absent, max-replicas stays."`
}

// Trigger is one source of demand.
type Trigger struct {
	// Name is a DNS label; it is what follows trigger. in the key, and labels metrics and reports.
	Name string
	// Given holds the direct parameters as they were written, the common ones included, under the names of the documentation. An alias of KEDA's is
	// already renamed.
	Given schema.Values
	// Refs holds the parameters whose values are kept elsewhere.
	Refs schema.Refs
	// Common is what the host itself reads of Given. A parameter that is given by reference has its zero value here.
	Common
}

// Common are the parameters that every trigger has, with one spelling everywhere.
type Common struct {
	Type       string        `name:"type" required:"true" doc:"The kind of source."`
	Target     float64       `name:"target" required:"true" above:"0" doc:"What one replica is meant to carry, in the unit of the value."`
	Activation float64       `name:"activation" default:"0" min:"0" doc:"The trigger is active while its value is greater than this. 0 means that any work activates."`
	MetricType string        `name:"metricType" default:"AverageValue" enum:"AverageValue,Value" doc:"AverageValue asks for value/target replicas; Value for the present count times value/target."`
	Interval   time.Duration `name:"interval" min:"1s" max:"24h" doc:"How often this trigger is read. When absent, the workload's polling-interval, or a slower default of the source."`
	Timeout    time.Duration `name:"timeout" above:"0s" max:"1m" doc:"The deadline of one read. When absent, 3s or four fifths of the interval, whichever is shorter; never longer than that share of the interval."`
}

// Behavior is the HPA v2 field; its YAML is decoded strictly.
type Behavior autoscalingv2.HorizontalPodAutoscalerBehavior
