package poll

import (
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schedule"
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
	if w.Fallback != nil {
		in.Fallback = newFallback(*w.Fallback)
	}
	return in
}

func newFallback(f annotations.Fallback) decide.Fallback {
	behaviors := map[string]decide.FallbackBehavior{
		"currentReplicasIfHigher": decide.CurrentReplicasIfHigher,
		"static":                  decide.Static,
		"currentReplicas":         decide.CurrentReplicas,
		"currentReplicasIfLower":  decide.CurrentReplicasIfLower,
	}
	return decide.Fallback{After: int(f.After), Replicas: f.Replicas, Behavior: behaviors[f.Behavior]}
}

// newCalendar compiles the schedules, in which the decoder found no fault.
func newCalendar(schedules []annotations.Schedule) schedule.Calendar {
	var calendar schedule.Calendar
	for _, s := range schedules {
		window, err := schedule.NewWindow(s.Start, s.End, s.Timezone)
		if err != nil {
			continue // a program's workload that nobody decoded; the bounds of always hold
		}
		calendar = append(calendar, schedule.Entry{Name: s.Name, Window: window, Min: s.Min, Max: s.Max})
	}
	return calendar
}

// setBounds sets what the calendar says of now.
func setBounds(b *decide.Bounds, calendar schedule.Calendar, now time.Time, w annotations.Settings) {
	at := calendar.At(now, schedule.Bounds{Min: w.MinReplicas, Max: w.MaxReplicas})
	b.Min, b.Max, b.Schedule, b.Until = at.Min, at.Max, at.Schedule, at.Until
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
	resource := annotations.ResourceOf(c.Type)
	t := decide.Trigger{Name: name, Target: c.Target, Activation: c.Activation, Resource: resource != "", Bytes: resource == corev1.ResourceMemory}
	switch c.MetricType {
	case "Value":
		t.MetricType = decide.Value
	case annotations.Utilization:
		t.MetricType = decide.Utilization
	}
	return t
}
