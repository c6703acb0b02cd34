package decide

import (
	"testing"
	"time"
)

// noon is when every test begins.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// at is noon plus d.
func at(d time.Duration) time.Time { return noon.Add(d) }

// event is an event trigger that reads value at a target of 10 each.
func event(name string, value float64) Trigger {
	return Trigger{Name: name, Target: 10, Reading: Reading{Known: true, Value: value}}
}

// broken is an event trigger that could not be read.
func broken(name string) Trigger { return Trigger{Name: name, Target: 10} }

// cpu is a resource trigger at percent of a target of 50 %.
func cpu(percent float64) Trigger {
	return Trigger{Name: "cpu", MetricType: Utilization, Target: 50, Resource: true, Reading: Reading{Known: true, Value: percent}}
}

// workload is an Input with the defaults of the annotations, but bounds 1 to 20, no scale-down window and a cooldown of a
// minute, so that a table row names what it is about.
func workload(current int32, triggers ...Trigger) Input {
	b := DefaultBehavior()
	b.ScaleDown.Stabilization = 0
	return Input{
		Current:         current,
		ZeroIsOurs:      true,
		Bounds:          Bounds{Min: 1, Max: 20, Idle: NoIdle},
		Cooldown:        time.Minute,
		InitialCooldown: time.Minute,
		Behavior:        b,
		Triggers:        triggers,
	}
}

// with returns in after edits.
func with(in Input, edits ...func(*Input)) Input {
	for _, edit := range edits {
		edit(&in)
	}
	return in
}

func minimum(n int32) func(*Input)   { return func(in *Input) { in.Bounds.Min = n } }
func maximum(n int32) func(*Input)   { return func(in *Input) { in.Bounds.Max = n } }
func idleCount(n int32) func(*Input) { return func(in *Input) { in.Bounds.Idle = n } }
func window(d time.Duration) func(*Input) {
	return func(in *Input) { in.Behavior.ScaleDown.Stabilization = d }
}
func paused(p Pause) func(*Input)          { return func(in *Input) { in.Pause = p } }
func forceActive(in *Input)                { in.ForceActive = true }
func zeroByPerson(in *Input)               { in.Current, in.ZeroIsOurs = 0, false }
func adopted(t time.Time) func(*Input)     { return func(in *Input) { in.Adopted = t } }
func initial(d time.Duration) func(*Input) { return func(in *Input) { in.InitialCooldown = d } }
func cooldown(d time.Duration) func(*Input) {
	return func(in *Input) { in.Cooldown = d }
}

func downPolicies(p ...Policy) func(*Input) {
	return func(in *Input) { in.Behavior.ScaleDown.Policies = p }
}

func upPolicies(p ...Policy) func(*Input) {
	return func(in *Input) { in.Behavior.ScaleUp.Policies, in.Behavior.EventRamp = p, true }
}

// film plays Steps one after another, as a loop does that writes every decision.
type film struct {
	t     *testing.T
	in    Input
	state State
	last  Decision
}

func play(t *testing.T, in Input) *film { return &film{t: t, in: in} }

// step takes the triggers' new readings, decides, and compares count and reason.
func (f *film) step(after time.Duration, replicas int32, reason Reason, triggers ...Trigger) {
	f.t.Helper()
	if triggers != nil {
		f.in.Triggers = triggers
	}
	f.last, f.state = Step(at(after), f.in, f.state)
	if f.last.Replicas != replicas || f.last.Reason != reason {
		f.t.Fatalf("at %v: got %d (%s), want %d (%s): %s", after, f.last.Replicas, f.last.Reason, replicas, reason, f.last.Sentence(f.in))
	}
	f.in.Current = f.last.Replicas
	f.in.ZeroIsOurs = f.in.ZeroIsOurs || f.last.Replicas == 0 && f.last.From > 0
}

// says compares the sentence of the last decision.
func (f *film) says(want string) {
	f.t.Helper()
	in := f.in
	in.Current = f.last.From
	if got := f.last.Sentence(in); got != want {
		f.t.Errorf("sentence\n got: %s\nwant: %s", got, want)
	}
}

// scaledByHand sets the count as a person would.
func (f *film) scaledByHand(n int32) { f.in.Current, f.in.ZeroIsOurs = n, false }

// once is the decision of a new State.
func once(in Input) Decision {
	d, _ := Step(noon, in, State{})
	return d
}
