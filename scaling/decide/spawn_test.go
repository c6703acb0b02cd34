package decide

import (
	"math"
	"testing"
	"time"
)

// jobsCase is one line of arithmetic: queue is the value, at a target of target (1 when it is 0).
type jobsCase struct {
	name               string
	jobs               Jobs
	queue, target      float64
	running            int32
	minimum, maximum   int32
	want               int32
	reason             Reason
	activation         float64
	unknown, spent     bool
	failures, fallback int
}

func (c *jobsCase) input() Input {
	in := Input{
		Current: c.running,
		Bounds:  Bounds{Min: c.minimum, Max: c.maximum, Idle: NoIdle},
		Triggers: []Trigger{{
			Name: "orders", Target: c.target, Activation: c.activation,
			Reading: Reading{Known: !c.unknown, Value: c.queue, Spent: c.spent, Failures: c.failures},
		}},
	}
	if c.target == 0 {
		in.Triggers[0].Target = 1
	}
	if c.fallback > 0 {
		in.Fallback = Fallback{After: 3, Replicas: int32(c.fallback)}
	}
	return in
}

// TestJobsArithmetic has worked numbers for the four formulas of KEDA: with R the Jobs that run beyond min, P those of them that have not started, Q the value and
// M = min(ceil(Q/target), max−min).
func TestJobsArithmetic(t *testing.T) {
	accurate, eager := Jobs{Strategy: StrategyAccurate}, Jobs{Strategy: StrategyEager}
	custom := Jobs{Strategy: StrategyCustom, Deduction: 1, RunningShare: 0.5}
	pending := func(j Jobs, n int32) Jobs { j.Pending = n; return j }
	for _, c := range []jobsCase{
		// default: M − R
		{name: "one Job a message", queue: 42, maximum: 100, want: 42, reason: AboveTarget},
		{name: "those that run are counted", queue: 42, running: 10, maximum: 100, want: 32, reason: AboveTarget},
		{name: "whether they have started or not", jobs: pending(Jobs{}, 10), queue: 42, running: 10, maximum: 100, want: 32, reason: AboveTarget},
		{name: "as many as work", queue: 10, running: 10, maximum: 100, reason: AtTarget},
		{name: "more than work", queue: 3, running: 10, maximum: 100, reason: AtTarget},
		{name: "a target of 5", queue: 42, target: 5, running: 2, maximum: 100, want: 7, reason: AboveTarget},
		{name: "a target below 1 makes no more Jobs than messages", queue: 3, target: 0.5, maximum: 100, want: 3, reason: AboveTarget},
		{name: "the maximum cuts", queue: 42, running: 10, maximum: 30, want: 20, reason: AtMaximum},
		{name: "the maximum is reached", queue: 42, running: 30, maximum: 30, reason: AtMaximum},
		{name: "more than the maximum run", queue: 42, running: 35, maximum: 30, reason: AtMaximum},
		{name: "no work", maximum: 30, reason: Idle},
		{name: "no work, some run", running: 3, maximum: 30, reason: AtTarget},
		{name: "below the activation", queue: 5, activation: 5, maximum: 30, reason: Idle},
		{name: "a spent reading", queue: 42, maximum: 30, spent: true, reason: AtTarget},

		// accurate: M − P, or max − R where that would be too many
		{name: "accurate: nothing runs", jobs: accurate, queue: 42, maximum: 100, want: 42, reason: AboveTarget},
		{name: "accurate: those that have started hold their message", jobs: accurate, queue: 42, running: 10, maximum: 100, want: 42, reason: AboveTarget},
		{name: "accurate: those that have not are about to take one", jobs: pending(accurate, 4), queue: 42, running: 10, maximum: 100, want: 38, reason: AboveTarget},
		{name: "accurate: all are pending", jobs: pending(accurate, 42), queue: 42, running: 42, maximum: 100, reason: AtTarget},
		{name: "accurate: up to the maximum", jobs: pending(accurate, 3), queue: 42, running: 90, maximum: 100, want: 10, reason: AtMaximum},
		{name: "accurate: near the maximum pending counts (keda#1222)", jobs: pending(accurate, 5), queue: 4, running: 8, maximum: 10, reason: AtTarget},

		// eager: min(max − R − P, M), limited by max instead of Q
		{name: "eager: nothing runs", jobs: eager, queue: 3, maximum: 10, want: 3, reason: AboveTarget},
		{name: "eager: what runs does not count against work", jobs: eager, queue: 3, running: 5, maximum: 10, want: 3, reason: AboveTarget},
		{name: "eager: the room", jobs: eager, queue: 8, running: 5, maximum: 10, want: 5, reason: AtMaximum},
		{name: "eager: pending counts twice, as in KEDA", jobs: pending(eager, 3), queue: 8, running: 5, maximum: 10, want: 2, reason: AboveTarget},
		{name: "eager: more Jobs than messages", jobs: eager, queue: 3, target: 0.5, maximum: 10, want: 6, reason: AboveTarget},

		// custom: M − deduction − int(R × share)
		{name: "custom: nothing runs", jobs: custom, queue: 10, maximum: 100, want: 9, reason: AboveTarget},
		{name: "custom: half of those that run, without the fraction", jobs: custom, queue: 10, running: 5, maximum: 100, want: 7, reason: AboveTarget},
		{name: "custom: nothing is left", jobs: custom, queue: 2, running: 5, maximum: 100, reason: AtTarget},
		{name: "custom: the maximum cuts", jobs: custom, queue: 100, running: 8, maximum: 10, want: 2, reason: AtMaximum},

		// min: the formulas see what runs beyond it (keda#4554)
		{name: "min 2, 5 messages, nothing runs", queue: 5, minimum: 2, maximum: 10, want: 7, reason: AboveTarget},
		{name: "min 2, 5 messages, 7 run", queue: 5, running: 7, minimum: 2, maximum: 10, reason: AtTarget},
		{name: "min 2, nothing to do", minimum: 2, maximum: 10, want: 2, reason: AtMinimum},
		{name: "min 2, one is missing", running: 1, minimum: 2, maximum: 10, want: 1, reason: AtMinimum},
		{name: "min 2, never above max", queue: 50, minimum: 2, maximum: 10, want: 10, reason: AtMaximum},
		{name: "max 350 is reached (keda#6148)", queue: 1000, running: 220, maximum: 350, want: 130, reason: AtMaximum},
		{name: "accurate, min 2: those missing to it are pending too", jobs: accurate, queue: 5, minimum: 2, maximum: 10, want: 5, reason: AboveTarget},
		{name: "min 2, source down (FB-07)", unknown: true, minimum: 2, maximum: 10, want: 2, reason: AtMinimum},
		{name: "min 2, source down, 2 run", unknown: true, running: 2, minimum: 2, maximum: 10, reason: TriggerUnknown},

		// fallback: so many altogether
		{name: "not yet", unknown: true, failures: 2, fallback: 6, maximum: 10, reason: TriggerUnknown},
		{name: "fallback", unknown: true, failures: 3, fallback: 6, running: 2, maximum: 10, want: 4, reason: FallbackInUse},
		{name: "fallback is met", unknown: true, failures: 9, fallback: 6, running: 6, maximum: 10, reason: FallbackInUse},
		{name: "fallback and accurate do not add up", jobs: accurate, unknown: true, failures: 9, fallback: 6, running: 6, maximum: 10, reason: FallbackInUse},
		{name: "fallback beyond min", unknown: true, failures: 3, fallback: 6, minimum: 2, maximum: 10, want: 6, reason: FallbackInUse},
		{name: "fallback beyond max", unknown: true, failures: 3, fallback: 60, running: 2, maximum: 10, want: 8, reason: AtMaximum},

		// numbers that are none
		{name: "not a number", queue: math.NaN(), maximum: 10, reason: TriggerUnknown},
		{name: "endless", queue: math.Inf(1), maximum: 10, reason: TriggerUnknown},
		{name: "negative", queue: -1, maximum: 10, reason: TriggerUnknown},
		{name: "huge", queue: 1e300, maximum: math.MaxInt32, want: math.MaxInt32, reason: AboveTarget},
		{name: "a share that is no number deducts all", jobs: Jobs{Strategy: StrategyCustom, RunningShare: math.NaN()}, queue: 10, running: 10, maximum: 100, reason: AtTarget},
		{name: "the list failed", jobs: Jobs{Unknown: "cannot list Jobs"}, queue: 10, minimum: 2, maximum: 10, reason: JobsUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Spawn(time.Unix(0, 0), c.input(), c.jobs)
			if got := d.Replicas - d.From; got != c.want || d.From != c.running || d.Reason != c.reason {
				t.Errorf("got %d new Jobs beside %d, %s; want %d beside %d, %s", got, d.From, d.Reason, c.want, c.running, c.reason)
			}
		})
	}
}

// TestJobsGrid is JB-07 and JB-13 for every small number: never less than 0 nor above the maximum, the floor always, no more with a smaller queue or a
// smaller maximum.
func TestJobsGrid(t *testing.T) {
	const most = 7
	spawned := func(c jobsCase) int32 {
		d := Spawn(time.Unix(0, 0), c.input(), c.jobs)
		return d.Replicas - d.From
	}
	for _, strategy := range []Strategy{StrategyDefault, StrategyAccurate, StrategyEager, StrategyCustom} {
		for i := range most * most * most * most * most {
			n := func(place int) int32 { return int32(i / place % most) }
			c := jobsCase{queue: float64(n(1)), running: n(most), minimum: n(most * most), maximum: n(most*most*most) + 1}
			c.jobs = Jobs{Strategy: strategy, Pending: min(n(most*most*most*most), c.running), Deduction: 1, RunningShare: 0.5}
			if c.minimum > c.maximum {
				continue
			}
			got := spawned(c)
			if room := max(c.maximum-c.running, 0); got < min(max(c.minimum-c.running, 0), room) || got > room {
				t.Fatalf("%+v: got %d new Jobs, want %d to %d", c, got, max(c.minimum-c.running, 0), room)
			}
			more := c
			more.queue++
			if spawned(more) < got {
				t.Fatalf("%+v: got %d new Jobs, fewer with one message more", c, got)
			}
			more = c
			more.maximum++
			if spawned(more) < got {
				t.Fatalf("%+v: got %d new Jobs, fewer with a greater maximum", c, got)
			}
		}
	}
}

// TestJobsOfSeveralTriggers: the trigger that asks for the most new Jobs wins, whatever the others do.
func TestJobsOfSeveralTriggers(t *testing.T) {
	trigger := func(name string, value, target float64) Trigger {
		return Trigger{Name: name, Target: target, Reading: Reading{Known: true, Value: value}}
	}
	in := Input{Bounds: Bounds{Max: 50}, Triggers: []Trigger{trigger("fine", 1, 0.1), trigger("orders", 5, 1), trigger("idle", 0, 1), {Name: "down", Target: 1}}}
	d := Spawn(time.Unix(0, 0), in, Jobs{})
	if d.Replicas != 5 || d.Winner != 1 || d.Unknown != 1 || !d.Active {
		t.Errorf("got %+v, want 5 Jobs for the second", d)
	}
	const want = "trigger orders: 5 at a target of 1 each asks for 5 Jobs; trigger fine: 1 at a target of 0.1 each asks for 10 Jobs; " +
		"trigger idle: 0 at a target of 1 each is not above its activation of 0; trigger down could not be read; none runs; starting 5"
	if got := d.JobsSentence(in, Jobs{}); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestJobsSentences(t *testing.T) {
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name   string
		edit   func(*Input, *Jobs)
		want   string
		jobs   int32
		reason Reason
	}{
		{
			"demand", func(*Input, *Jobs) {},
			"trigger orders: 42 at a target of 1 each asks for 42 Jobs; 10 run, 3 of them not started; starting 32", 32, AboveTarget,
		},
		{
			"maximum of a schedule", func(in *Input, _ *Jobs) { in.Current, in.Bounds = 20, Bounds{Max: 20, Schedule: "night"} },
			"trigger orders: 42 at a target of 1 each asks for 42 Jobs; 20 run, 3 of them not started; max-replicas is 20 (schedule night)", 0, AtMaximum,
		},
		{
			"floor", func(in *Input, j *Jobs) {
				in.Current, in.Bounds.Min, j.Pending, in.Triggers[0].Reading = 1, 2, 0, Reading{}
			}, "trigger orders could not be read; 1 runs; min-replicas is 2; starting 1", 1, AtMinimum,
		},
		{
			"guard", func(in *Input, _ *Jobs) {
				in.Guards = []Guard{{Name: "database", Limit: 80, Reading: Reading{Known: true, Value: 85}}}
			},
			"trigger orders: 42 at a target of 1 each asks for 42 Jobs; 10 run, 3 of them not started; guard database: 85 has reached its limit of 80", 0, Guarded,
		},
		{
			"guard does not stop the floor", func(in *Input, _ *Jobs) {
				in.Bounds.Min, in.Guards = 12, []Guard{{Name: "database", Limit: 80}}
			},
			"trigger orders: 42 at a target of 1 each asks for 42 Jobs; 10 run, 3 of them not started; guard database could not be read and may have reached its limit of 80; starting 2",
			2, Guarded,
		},
		{
			"fallback", func(in *Input, _ *Jobs) {
				in.Fallback, in.Triggers[0].Reading = Fallback{After: 2, Replicas: 12}, Reading{Failures: 2}
			},
			"trigger orders could not be read 2 times in a row; its fallback asks for 12 Jobs; 10 run, 3 of them not started; starting 2", 2, FallbackInUse,
		},
		{
			"paused", func(in *Input, _ *Jobs) {
				in.Bounds.Min, in.Pause = 20, Pause{Mode: PauseHold, Until: noon.Add(time.Hour)}
			},
			"paused; no Job is started until 13:00:00Z (1h0m0s); 10 run, 3 of them not started", 0, Paused,
		},
		{
			"paused at a number beyond the maximum", func(in *Input, _ *Jobs) { in.Bounds.Max, in.Pause = 11, Pause{Mode: PauseAt, Replicas: 12} },
			"paused at 12 Jobs; 10 run, 3 of them not started; starting 2", 2, Paused,
		},
		{
			"paused at fewer than run", func(in *Input, _ *Jobs) { in.Pause = Pause{Mode: PauseAt, Replicas: 1} },
			"paused at 1 Job; 10 run, 3 of them not started", 0, Paused,
		},
		{
			"scaling out is paused", func(in *Input, _ *Jobs) { in.Pause = Pause{Mode: PauseScaleOut} },
			"trigger orders: 42 at a target of 1 each asks for 42 Jobs; scaling out is paused, so no Job is started; 10 run, 3 of them not started", 0, Paused,
		},
		{
			"scaling in is paused", func(in *Input, _ *Jobs) { in.Pause = Pause{Mode: PauseScaleIn} },
			"trigger orders: 42 at a target of 1 each asks for 42 Jobs; 10 run, 3 of them not started; starting 32; the pause of scaling in changes nothing, since Jobs end by themselves",
			32, AboveTarget,
		},
		{
			"a pause that is over", func(in *Input, _ *Jobs) { in.Pause = Pause{Mode: PauseHold, Until: noon} },
			"trigger orders: 42 at a target of 1 each asks for 42 Jobs; 10 run, 3 of them not started; starting 32", 32, AboveTarget,
		},
		{"left alone", func(in *Input, _ *Jobs) { in.LeftAlone = "the CronJob is not suspended" }, "the CronJob is not suspended", 0, LeftAlone},
		{
			"a rival", func(in *Input, _ *Jobs) { in.Rival = "HorizontalPodAutoscaler web" },
			"HorizontalPodAutoscaler web scales this workload too; starting no Job until one of the two is gone", 0, Conflict,
		},
		{
			"unknown", func(_ *Input, j *Jobs) { j.Unknown = "cannot list Jobs: forbidden" },
			"cannot list Jobs: forbidden; no Job is started until it is known how many run", 0, JobsUnknown,
		},
		{"no triggers", func(in *Input, _ *Jobs) { in.Triggers = nil }, "no triggers are set; 10 run, 3 of them not started", 0, TriggerUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := Input{Current: 10, Bounds: Bounds{Max: 50}, Triggers: []Trigger{{Name: "orders", Target: 1, Reading: Reading{Known: true, Value: 42}}}}
			jobs := Jobs{Pending: 3}
			c.edit(&in, &jobs)
			d := Spawn(noon, in, jobs)
			if got := d.JobsSentence(in, jobs); got != c.want || d.Replicas-d.From != c.jobs || d.Reason != c.reason {
				t.Errorf("got  %d Jobs, %s: %s\nwant %d Jobs, %s: %s", d.Replicas-d.From, d.Reason, got, c.jobs, c.reason, c.want)
			}
		})
	}
}

func TestJobsAreLookedAtAgain(t *testing.T) {
	now := time.Unix(0, 0)
	in := Input{Bounds: Bounds{Max: 5, Until: now.Add(time.Hour)}, Pause: Pause{Mode: PauseHold, Until: now.Add(time.Minute)}}
	if d := Spawn(now, in, Jobs{}); !d.Recheck.Equal(now.Add(time.Minute)) || !d.Until.Equal(now.Add(time.Minute)) {
		t.Errorf("got a recheck at %s and an end at %s, want the end of the pause", d.Recheck, d.Until)
	}
	if d := Spawn(now.Add(time.Minute), in, Jobs{}); !d.Recheck.Equal(now.Add(time.Hour)) || !d.Until.IsZero() {
		t.Errorf("got a recheck at %s and an end at %s, want the end of the schedule's window and none", d.Recheck, d.Until)
	}
}

// FuzzSpawn holds for all inputs: the same arguments give the same answer, the count never falls and never passes the maximum, and what is not known starts
// nothing.
func FuzzSpawn(f *testing.F) {
	f.Add(uint8(0), int32(10), int32(3), int32(0), int32(50), 42.0, 1.0, 0.5, true)
	f.Add(uint8(3), int32(-1), int32(math.MaxInt32), int32(math.MaxInt32), int32(math.MaxInt32), 1e300, 1e-300, math.Inf(1), true)
	f.Add(uint8(2), int32(math.MaxInt32), int32(math.MaxInt32), int32(1), int32(1), 7.0, math.NaN(), -1.0, false)
	f.Fuzz(func(t *testing.T, strategy uint8, running, pending, minimum, maximum int32, value, target, share float64, known bool) {
		running = max(running, 0)
		in := Input{
			Current: running, Bounds: Bounds{Min: minimum, Max: maximum},
			Triggers: []Trigger{{Name: "a", Target: target, Reading: Reading{Known: known, Value: value}}},
		}
		jobs := Jobs{Strategy: Strategy(strategy % 5), Pending: pending, Deduction: pending, RunningShare: share}
		d := Spawn(time.Unix(0, 0), in, jobs)
		if again := Spawn(time.Unix(0, 0), in, jobs); again.Replicas != d.Replicas || again.Reason != d.Reason {
			t.Fatalf("%d %s, then %d %s", d.Replicas, d.Reason, again.Replicas, again.Reason)
		}
		if d.Replicas < running || d.Replicas > max(maximum, running) || d.Reason == "" {
			t.Fatalf("got %d %q beside %d, maximum %d", d.Replicas, d.Reason, running, maximum)
		}
		if floor := min(max(minimum, running), max(maximum, running)); !known && d.Replicas != floor {
			t.Fatalf("got %d on the ground of nothing, want the floor %d", d.Replicas, floor)
		}
		_ = d.JobsSentence(in, jobs)
	})
}
