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
}

// Settings are the annotations with one fixed key each: bounds, tempo and brakes. The name tags are the keys below the prefix.
type Settings struct {
	MinReplicas  int32  `name:"min-replicas" default:"1" min:"0" doc:"The floor while the workload is active. 0 allows scaling to zero; zero is always opted into."`
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

	OnRemoval    string `name:"on-removal" default:"keep" enum:"keep,restore" doc:"What happens to the count when the annotations are removed: keep leaves it (a zero made by the autoscaler becomes the count from before adoption, at least 1); restore puts back the count from before adoption."`
	Class        string `name:"class" doc:"Which install manages this workload, when several share a cluster; compared with the flag --class."`
	EnvContainer string `name:"env-container" doc:"The container whose environment is read for parameters given as …FromEnv. When absent, the first."`
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
