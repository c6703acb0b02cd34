package annotations

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"autoscale.io/annotations/schema"
)

// Types are the trigger types that the decoder may meet. A scaler registry is one.
type Types interface {
	// TriggerType finds a type by its name or an alias.
	TriggerType(name string) (TriggerType, bool)
	// TriggerTypeNames lists the names, without aliases, in order.
	TriggerTypeNames() []string
}

// TriggerType is what the decoder must know of one kind of source.
type TriggerType struct {
	// Name is what `type` is set to.
	Name string
	// Implied are parameters that the spelling of the type stands for: KEDA's redis-cluster-streams is redis-streams with {mode: cluster}.
	Implied map[string]string
	// Params are the parameters beside the common ones.
	Params *schema.Schema
	// Aliases are other spellings of a parameter, the common ones included, that may also imply others.
	Aliases map[string]Alias
	// Resource is what of the workload's own pods the type measures; empty for an event source. Such a trigger neither wakes a workload nor holds it
	// above zero, and its target is a percentage or a quantity. The type has the name of the resource.
	Resource corev1.ResourceName
	// Interval is the default of `interval` when it is slower than the workload's polling-interval; 0 for none.
	Interval time.Duration
	// Check looks at the parameters as a whole, once each is right by itself. It may be nil. A parameter that is given by
	// reference has its zero value.
	Check func(CheckInput) (problems, warnings []schema.Problem)
}

// Alias says that a spelling stands for another parameter.
type Alias struct {
	// For is the parameter in our spelling.
	For string
	// Implies are further parameters that the spelling stands for, unless they are given.
	Implies map[string]string
}

// CheckInput is what TriggerType.Check sees.
type CheckInput struct {
	Settings Settings
	Common   Common
	// Params is a pointer to the struct of the type's schema.
	Params any
	// Indirect tells which parameters are given by reference.
	Indirect schema.Refs
}
