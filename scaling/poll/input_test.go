package poll

import (
	"reflect"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"

	"autoscale.io/annotations"
	"autoscale.io/scaling/decide"
)

var adopted = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func ptr[T any](v T) *T { return &v }

// plain are settings that give what must be given, and what newInput makes of them.
func plain() (annotations.Settings, decide.Input) {
	return annotations.Settings{MinReplicas: 2, MaxReplicas: 20, Cooldown: 5 * time.Minute}, decide.Input{
		Bounds: decide.Bounds{Min: 2, Max: 20, Idle: decide.NoIdle}, Cooldown: 5 * time.Minute, InitialCooldown: 5 * time.Minute,
		Adopted: adopted, Behavior: decide.DefaultBehavior(),
	}
}

func TestNewInput(t *testing.T) {
	until := adopted.Add(time.Hour)
	pause := func(p annotations.Pause) func(*annotations.Settings) {
		return func(s *annotations.Settings) { s.Pause = p }
	}
	rows := []struct {
		name string
		set  func(*annotations.Settings)
		want func(*decide.Input)
	}{
		{"nothing more", func(*annotations.Settings) {}, func(*decide.Input) {}},
		{"minimum of zero", func(s *annotations.Settings) { s.MinReplicas = 0 }, func(in *decide.Input) { in.Bounds.Min = 0 }},
		{"idle count", func(s *annotations.Settings) { s.IdleReplicas = ptr(int32(1)) }, func(in *decide.Input) { in.Bounds.Idle = 1 }},
		{"idle count of zero", func(s *annotations.Settings) { s.IdleReplicas = ptr(int32(0)) }, func(in *decide.Input) { in.Bounds.Idle = 0 }},
		{
			"no cooldown", func(s *annotations.Settings) { s.Cooldown = 0 },
			func(in *decide.Input) { in.Cooldown, in.InitialCooldown = 0, 0 },
		},
		{
			"no initial cooldown", func(s *annotations.Settings) { s.InitialCooldown = ptr(time.Duration(0)) },
			func(in *decide.Input) { in.InitialCooldown = 0 },
		},
		{"forced", func(s *annotations.Settings) { s.ForceActive = true }, func(in *decide.Input) { in.ForceActive = true }},
		{
			"hold", pause(annotations.Pause{Mode: annotations.PauseHold}),
			func(in *decide.Input) { in.Pause = decide.Pause{Mode: decide.PauseHold} },
		},
		{
			"pause at", pause(annotations.Pause{Mode: annotations.PauseAt, Replicas: 7}),
			func(in *decide.Input) { in.Pause = decide.Pause{Mode: decide.PauseAt, Replicas: 7} },
		},
		{
			"no scale-in", pause(annotations.Pause{Mode: annotations.PauseScaleIn}),
			func(in *decide.Input) { in.Pause = decide.Pause{Mode: decide.PauseScaleIn} },
		},
		{
			"no scale-out until", func(s *annotations.Settings) {
				s.Pause, s.PauseUntil = annotations.Pause{Mode: annotations.PauseScaleOut}, &until
			},
			func(in *decide.Input) { in.Pause = decide.Pause{Mode: decide.PauseScaleOut, Until: until} },
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			settings, want := plain()
			row.set(&settings)
			row.want(&want)
			if got := newInput(settings, adopted); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestNewBehavior(t *testing.T) {
	rows := []struct {
		name  string
		given *annotations.Behavior
		want  func(*decide.Behavior)
	}{
		{"absent", nil, func(*decide.Behavior) {}},
		{"empty", &annotations.Behavior{}, func(*decide.Behavior) {}},
		{
			"scale-up without a word keeps the defaults, and ramps", &annotations.Behavior{ScaleUp: &autoscalingv2.HPAScalingRules{}},
			func(b *decide.Behavior) { b.EventRamp = true },
		},
		{
			"scale-up", &annotations.Behavior{ScaleUp: &autoscalingv2.HPAScalingRules{
				StabilizationWindowSeconds: ptr(int32(30)),
				SelectPolicy:               ptr(autoscalingv2.MinChangePolicySelect),
				Policies: []autoscalingv2.HPAScalingPolicy{
					{Type: autoscalingv2.PercentScalingPolicy, Value: 50, PeriodSeconds: 60},
					{Type: autoscalingv2.PodsScalingPolicy, Value: 2, PeriodSeconds: 15},
				},
				Tolerance: ptr(resource.MustParse("50m")),
			}},
			func(b *decide.Behavior) {
				b.EventRamp = true
				b.ScaleUp = decide.Rules{
					Stabilization: 30 * time.Second, Select: decide.SelectMin, Tolerance: 0.05,
					Policies: []decide.Policy{{Percent: true, Value: 50, Period: time.Minute}, {Value: 2, Period: 15 * time.Second}},
				}
			},
		},
		{
			"scale-down off", &annotations.Behavior{ScaleDown: &autoscalingv2.HPAScalingRules{SelectPolicy: ptr(autoscalingv2.DisabledPolicySelect)}},
			func(b *decide.Behavior) { b.ScaleDown.Select = decide.SelectDisabled },
		},
		{
			"scale-down without a window and without a tolerance", &annotations.Behavior{ScaleDown: &autoscalingv2.HPAScalingRules{
				StabilizationWindowSeconds: ptr(int32(0)), Tolerance: ptr(resource.MustParse("0")), SelectPolicy: ptr(autoscalingv2.MaxChangePolicySelect),
			}},
			func(b *decide.Behavior) { b.ScaleDown.Stabilization, b.ScaleDown.Tolerance = 0, 0 },
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			want := decide.DefaultBehavior()
			row.want(&want)
			if got := newBehavior(row.given); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestNewTrigger(t *testing.T) {
	got := newTrigger("orders", annotations.Common{Target: 10, Activation: 3, MetricType: "AverageValue"})
	if want := (decide.Trigger{Name: "orders", Target: 10, Activation: 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	got = newTrigger("cpu", annotations.Common{Type: "cpu", Target: 70, MetricType: "Utilization"})
	if want := (decide.Trigger{Name: "cpu", MetricType: decide.Utilization, Target: 70, Resource: true}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	got = newTrigger("m", annotations.Common{Type: "memory", Target: 1 << 30, MetricType: "AverageValue"})
	if want := (decide.Trigger{Name: "m", Target: 1 << 30, Resource: true, Bytes: true}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	got = newTrigger("load", annotations.Common{Target: 0.5, MetricType: "Value"})
	if want := (decide.Trigger{Name: "load", Target: 0.5, MetricType: decide.Value}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTimeoutIsShorterThanTheInterval(t *testing.T) {
	rows := []struct{ interval, given, want time.Duration }{
		{time.Second, 0, 800 * time.Millisecond},
		{5 * time.Second, 0, 3 * time.Second},
		{time.Hour, 0, 3 * time.Second},
		{5 * time.Second, time.Second, time.Second},
		{5 * time.Second, time.Minute, 4 * time.Second},
	}
	for _, row := range rows {
		trig := trigger{interval: row.interval}
		trig.spec.Timeout = row.given
		if got := trig.timeout(); got != row.want {
			t.Errorf("interval %s, timeout %s: got %s, want %s", row.interval, row.given, got, row.want)
		}
	}
}
