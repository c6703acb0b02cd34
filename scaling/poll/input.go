package poll

import (
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"autoscale.io/annotations"
	"autoscale.io/scaling/decide"
)

// newInput translates what a workload's annotations ask for into the terms of the decision. Triggers are left to the caller.
func newInput(w annotations.Settings, adopted time.Time) decide.Input {
	in := decide.Input{
		Bounds:          decide.Bounds{Min: w.MinReplicas, Max: w.MaxReplicas, Idle: decide.NoIdle},
		Cooldown:        w.Cooldown,
		InitialCooldown: w.Cooldown,
		Adopted:         adopted,
		ForceActive:     w.ForceActive,
		Pause:           newPause(w),
		Behavior:        newBehavior(w.Behavior),
	}
	if w.IdleReplicas != nil {
		in.Bounds.Idle = *w.IdleReplicas
	}
	if w.InitialCooldown != nil {
		in.InitialCooldown = *w.InitialCooldown
	}
	return in
}

func newPause(w annotations.Settings) decide.Pause {
	modes := map[annotations.PauseMode]decide.PauseMode{
		annotations.PauseOff:      decide.NotPaused,
		annotations.PauseHold:     decide.PauseHold,
		annotations.PauseAt:       decide.PauseAt,
		annotations.PauseScaleIn:  decide.PauseScaleIn,
		annotations.PauseScaleOut: decide.PauseScaleOut,
	}
	p := decide.Pause{Mode: modes[w.Pause.Mode], Replicas: w.Pause.Replicas}
	if w.PauseUntil != nil {
		p.Until = *w.PauseUntil
	}
	return p
}

func newBehavior(b *annotations.Behavior) decide.Behavior {
	out := decide.DefaultBehavior()
	if b == nil {
		return out
	}
	if b.ScaleUp != nil {
		out.EventRamp = true
		override(&out.ScaleUp, b.ScaleUp)
	}
	if b.ScaleDown != nil {
		override(&out.ScaleDown, b.ScaleDown)
	}
	return out
}

// override replaces what is given and keeps the defaults of the rest, as the HPA does.
func override(rules *decide.Rules, given *autoscalingv2.HPAScalingRules) {
	if given.StabilizationWindowSeconds != nil {
		rules.Stabilization = time.Duration(*given.StabilizationWindowSeconds) * time.Second
	}
	if given.Tolerance != nil {
		rules.Tolerance = given.Tolerance.AsApproximateFloat64()
	}
	if given.SelectPolicy != nil {
		switch *given.SelectPolicy {
		case autoscalingv2.MinChangePolicySelect:
			rules.Select = decide.SelectMin
		case autoscalingv2.DisabledPolicySelect:
			rules.Select = decide.SelectDisabled
		default:
			rules.Select = decide.SelectMax
		}
	}
	if given.Policies == nil {
		return
	}
	rules.Policies = make([]decide.Policy, 0, len(given.Policies))
	for _, p := range given.Policies {
		rules.Policies = append(rules.Policies, decide.Policy{
			Percent: p.Type == autoscalingv2.PercentScalingPolicy, Value: p.Value, Period: time.Duration(p.PeriodSeconds) * time.Second,
		})
	}
}

func newTrigger(name string, c annotations.Common) decide.Trigger {
	t := decide.Trigger{Name: name, Target: c.Target, Activation: c.Activation}
	if c.MetricType == "Value" {
		t.MetricType = decide.Value
	}
	return t
}
