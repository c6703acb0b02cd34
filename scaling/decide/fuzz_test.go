package decide

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// FuzzStep walks a workload through a random life: readings come, fail and lie, edits, pauses, rollouts, guards, rivals and
// persons happen, writes land or do not, and the State is lost. After every Step these hold; 1 to 5 are promises of the product:
//
//	a  (5) the count is within [max(min, 1), max], or the idle count or zero, or the number of a pause, or the present count, or
//	   between the present count and a maximum that it is above
//	b  (2) with any trigger UNKNOWN the count does not fall, unless it was above the maximum; a fallback lowers it only if it is one
//	   that a person chose for that
//	c  (4) a new State, and one after an edit, does not lower a count inside the scale-down window, but for the step to rest
//	d  (3) the step to rest comes only after every event trigger has been known and idle for the whole cooldown
//	e  the same input gives the same answer, from a copy of the State and when asked again at once
//	f  (1) NaN, infinite, negative and impossible readings are UNKNOWN (and so b holds for them)
//	g  a person's zero stays, unless a pause orders a count
//	h  a time to ask again is in the future, and there are a reason and a sentence
//	i  a paused direction is not taken, and a hold holds
//	j  histories do not grow without bound
//	k  a guard that is at its limit or UNKNOWN keeps the count from rising above the floor; a rollout keeps it from falling; beside
//	   a rival it does not move
//	l  a decision that repeats one made from the same input is put into the same words
func FuzzStep(f *testing.F) {
	f.Add([]byte("a quiet life"))
	f.Add([]byte{0, 0, 255, 1, 2, 3, 4, 5, 6, 7, 8, 9, 200, 100, 50, 25})
	f.Add([]byte(strings.Repeat("orders, payments and mail; ", 40)))
	f.Add([]byte(strings.Repeat("\x00\x10\x00\x20", 200)))
	f.Fuzz(func(t *testing.T, data []byte) {
		w := newWalk(t, data)
		for range 200 {
			if len(w.data) == 0 {
				return
			}
			w.change()
			w.step()
		}
	})
}

// walk is one random life and an independent memory of what the invariants need.
type walk struct {
	t    *testing.T
	data []byte

	now   time.Time
	in    Input
	state State

	seeded    time.Time // when the State was new
	first     int32     // the count that it met
	idleFrom  time.Time // the first Step of the present run of idle Steps
	worked    bool      // work, a pause or a person has been seen since the State was new
	asked     map[int32]bool
	lastPause PauseMode
	lastCount int32
}

func newWalk(t *testing.T, data []byte) *walk {
	w := &walk{t: t, data: data, now: noon}
	w.in = Input{Current: w.small(30), ZeroIsOurs: true}
	w.edit()
	w.in.Adopted = w.now.Add(time.Duration(w.small(120)-60) * time.Second)
	w.forget()
	return w
}

func (w *walk) byte() byte {
	if len(w.data) == 0 {
		return 0
	}
	b := w.data[0]
	w.data = w.data[1:]
	return b
}

func (w *walk) small(n int32) int32           { return int32(w.byte()) % n }
func (w *walk) oneIn(n byte) bool             { return w.byte()%n == n-1 }
func (w *walk) seconds(n int32) time.Duration { return time.Duration(w.small(n)) * time.Second }

func (w *walk) forget() {
	w.state, w.seeded, w.first = State{}, time.Time{}, 0
	w.idleFrom, w.worked = time.Time{}, false
	w.asked, w.lastPause = map[int32]bool{}, NotPaused
}

// edit gives the workload new annotations.
func (w *walk) edit() {
	in := &w.in
	in.Bounds = Bounds{Min: w.small(4), Idle: NoIdle}
	in.Bounds.Max = max(in.Bounds.Min, 1) + w.small(40)
	if in.Bounds.Min > 0 && w.oneIn(2) {
		in.Bounds.Idle = w.small(in.Bounds.Min)
	}
	in.Cooldown, in.InitialCooldown = w.seconds(90), w.seconds(90)
	in.Behavior = DefaultBehavior()
	in.Behavior.ScaleDown.Stabilization = w.seconds(100)
	in.Behavior.ScaleUp.Stabilization = w.seconds(4) * 10
	in.Behavior.ScaleDown.Select = SelectPolicy(w.small(3))
	in.Behavior.ScaleUp.Select = SelectPolicy(w.small(3))
	in.Behavior.ScaleDown.Policies = []Policy{{Value: 1 + w.small(200), Period: time.Minute, Percent: w.oneIn(2)}}
	in.Behavior.EventRamp = w.oneIn(2)
	in.Fallback = Fallback{After: int(w.small(4)), Replicas: 1 + w.small(30), Behavior: FallbackBehavior(w.small(4))}
	in.Guards = nil
	if w.oneIn(4) {
		in.Guards = []Guard{{Name: "g", Limit: 10}}
	}
	in.Triggers = nil
	for i := range w.small(4) {
		in.Triggers = append(in.Triggers, Trigger{
			Name:       string('a' + i),
			MetricType: MetricType(w.small(3)),
			Target:     []float64{10, 1, 0.1, 1e-12, 1e300, 0, math.NaN()}[w.small(7)],
			Activation: []float64{0, 0, 5, math.NaN()}[w.small(4)],
			Resource:   w.oneIn(3),
		})
	}
}

// change is what happens between two Steps.
func (w *walk) change() {
	w.now = w.now.Add(w.seconds(20))
	for i := range w.in.Triggers {
		failures := w.in.Triggers[i].Reading.Failures + 1
		r := w.reading()
		if !r.Known {
			r.Failures = failures
		}
		if w.in.Triggers[i].Resource && w.oneIn(2) {
			r.Pods = w.pods()
		}
		w.in.Triggers[i].Reading = r
	}
	for i := range w.in.Guards {
		w.in.Guards[i].Reading = w.reading()
	}
	switch w.byte() % 40 {
	case 1:
		w.edit()
		if w.seeded.IsZero() {
			break // before the first Step there is nothing that the edit could end
		}
		w.state = w.state.Edited()
		w.seeded, w.first = w.now, w.in.Current
		w.idleFrom, w.worked = time.Time{}, true
	case 12, 13, 14:
		w.in.RollingOut = !w.in.RollingOut
	case 15:
		w.in.Rival = "somebody"
	case 16, 17, 18:
		w.in.Rival, w.in.LeftAlone = "", ""
	case 19:
		w.in.LeftAlone = "it has finished"
	case 2:
		w.forget()
	case 3:
		w.in.Current, w.in.ZeroIsOurs = w.small(30), false
	case 4, 5:
		w.in.Pause = Pause{Mode: PauseMode(w.small(5)), Replicas: w.small(50)}
	case 6:
		w.in.Pause = Pause{Mode: PauseMode(w.small(5)), Replicas: w.small(3), Until: w.now.Add(w.seconds(60))}
	case 7, 8, 9, 10:
		w.in.Pause = Pause{}
	case 11:
		w.in.ForceActive = !w.in.ForceActive
	}
}

func (w *walk) reading() Reading {
	b := w.byte()
	switch {
	case b < 130: // mostly nothing to do, so that cooldowns get their chance
		return Reading{Known: true}
	case b > 240:
		return Reading{}
	case b > 230:
		return Reading{Known: true, Value: []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, -1e300}[w.small(5)]}
	case b > 220:
		return Reading{Known: true, Value: []float64{1e308, 1e19, 1 << 53, 1 << 31, math.SmallestNonzeroFloat64}[w.small(5)]}
	case b > 215:
		return Reading{Known: true, Busy: true}
	}
	return Reading{Known: true, Value: float64(w.small(250)), Replicas: w.small(3) * w.small(20)}
}

// pods are the sums over a few pods, now and then ones that cannot be.
func (w *walk) pods() Pods {
	p := Pods{Measured: int(w.small(9)), Missing: int(w.small(3)), Unready: int(w.small(3))}
	p.Usage, p.Requests = int64(w.small(250))*1000, int64(p.Measured)*int64(1+w.small(100))*1000
	p.MissingRequests, p.UnreadyRequests = int64(p.Missing)*1000, int64(p.Unready)*1000
	switch w.byte() {
	case 0:
		p.Usage = math.MaxInt64
	case 1:
		p.Missing, p.MissingRequests = math.MaxInt, math.MaxInt64
	case 2:
		p.Usage = -1
	}
	return p
}

func (w *walk) step() {
	copied := w.state.Clone()
	d, state := Step(w.now, w.in, w.state)
	sentence := d.Sentence(w.in)
	d.Proposals = nil
	w.check(d, sentence)
	twin, _ := Step(w.now, w.in, copied)
	w.same("a copy of the State", d, twin)
	again, state := Step(w.now, w.in, state)
	w.same("asking again", d, again)
	later, _ := Step(w.now.Add(7*time.Second), w.in, state.Clone())
	if words := later.Sentence(w.in); later.Repeats(d) && words != sentence {
		w.t.Fatalf("l: it repeats %q and says %q", sentence, words)
	}
	if len(state.highs) > 512 || len(state.lows) > 512 || len(state.added) > 512 || len(state.removed) > 512 {
		w.t.Fatalf("j: histories of %d, %d, %d and %d marks", len(state.highs), len(state.lows), len(state.added), len(state.removed))
	}
	w.state = state
	if d.Replicas != w.in.Current {
		w.asked[d.Replicas] = true
		if w.oneIn(5) {
			return // the write did not land
		}
		w.in.Current = d.Replicas
		w.in.ZeroIsOurs = true
	}
}

func (w *walk) same(what string, d, other Decision) {
	w.t.Helper()
	if other.Proposals = nil; d.Replicas != other.Replicas || d.Reason != other.Reason || !d.Recheck.Equal(other.Recheck) || !d.Until.Equal(other.Until) || d.Wanted != other.Wanted {
		w.t.Fatalf("e: %s gives\n%+v\ninstead of\n%+v\ninput %+v", what, other, d, w.in)
	}
}

// facts are read from the Input without Step's help.
func (w *walk) facts() (pause PauseMode, events, unknown, insane int, idle bool) {
	if p := w.in.Pause; p.Until.IsZero() || w.now.Before(p.Until) {
		pause = p.Mode
	}
	idle = !w.in.ForceActive
	for _, tr := range w.in.Triggers {
		v := tr.Reading.Value
		bad := math.IsNaN(v) || math.IsInf(v, 0) || v < 0 || math.IsNaN(tr.Target) || tr.Target <= 0 || math.IsNaN(tr.Activation)
		bad = bad || tr.Resource && tr.Reading.Pods.Usage < 0
		standIn := w.standsIn(tr)
		if bad && !standIn {
			insane++
		}
		if (bad || !tr.Reading.Known) && !standIn {
			unknown++
		}
		if tr.Resource {
			continue
		}
		events++
		idle = idle && !bad && tr.Reading.Known && !tr.Reading.Busy && v <= tr.Activation
	}
	return pause, events, unknown, insane, idle && events > 0
}

// standsIn says whether a fallback votes for a trigger.
func (w *walk) standsIn(tr Trigger) bool {
	f := w.in.Fallback
	voteless := w.in.Current == 0 && (f.Behavior == CurrentReplicas || f.Behavior == CurrentReplicasIfLower)
	return !tr.usable() && f.After > 0 && tr.Reading.Failures >= f.After && !voteless
}

// mayLower says whether the fallback in use is one that was chosen for lowering, or none is in use.
func (w *walk) mayLower() bool {
	return w.in.Fallback.Behavior == Static || w.in.Fallback.Behavior == CurrentReplicasIfLower || !slices.ContainsFunc(w.in.Triggers, w.standsIn)
}

// guarded says whether a guard is at its limit or UNKNOWN.
func (w *walk) guarded() bool {
	return slices.ContainsFunc(w.in.Guards, func(g Guard) bool {
		return !g.Reading.Known || !(g.Reading.Value >= 0 && g.Reading.Value < g.Limit)
	})
}

func (w *walk) check(d Decision, sentence string) {
	in, b := w.in, w.in.Bounds
	pause, _, unknown, insane, idle := w.facts()
	w.remember(pause, idle)
	floor, rest := max(b.Min, 1), int32(0)
	if b.Idle >= 0 {
		rest = b.Idle
	}
	n, ordered := d.Replicas, pause == PauseAt
	fail := func(invariant string) {
		w.t.Helper()
		w.t.Fatalf("%s: %d → %d (%s: %s)\nat %v, input %+v", invariant, in.Current, n, d.Reason, sentence, w.now.Sub(noon), in)
	}
	falls, toRest := n < in.Current, n < in.Current && n < floor && n == rest
	switch {
	case !(n >= floor && n <= b.Max || n > b.Max && n < in.Current || n == rest || n == 0 && rest == 0 || ordered && n == in.Pause.Replicas || n == in.Current):
		fail("a")
	case falls && (unknown > 0 || !w.mayLower()) && in.Current <= b.Max && !ordered:
		fail("b")
	case falls && !toRest && !ordered && in.Current <= b.Max && n < w.first && w.now.Sub(w.seeded) < in.Behavior.ScaleDown.Stabilization:
		fail("c")
	case toRest && !ordered && !(unknown == 0 && w.cooled()):
		fail("d")
	case d.Unknown != unknown || insane > unknown:
		fail("f")
	case in.Current == 0 && !in.ZeroIsOurs && n != 0 && !ordered:
		fail("g")
	case !d.Recheck.IsZero() && !d.Recheck.After(w.now) || d.Reason == "" || sentence == "" || strings.Contains(sentence, "NaN"):
		fail("h")
	case pause == PauseHold && n != in.Current || pause == PauseScaleIn && falls || pause == PauseScaleOut && n > in.Current:
		fail("i")
	case n > max(in.Current, floor) && w.guarded() && !ordered || falls && in.RollingOut && !ordered || n != in.Current && (in.Rival != "" || in.LeftAlone != ""):
		fail("k")
	}
}

// remember keeps what c and d need.
func (w *walk) remember(pause PauseMode, idle bool) {
	if w.seeded.IsZero() {
		w.seeded, w.first, w.lastCount = w.now, w.in.Current, w.in.Current
	}
	person := w.in.Current != w.lastCount && !w.asked[w.in.Current]
	braked := pause == PauseHold || pause == PauseAt || pause == PauseScaleIn
	if person || braked || pause != w.lastPause || w.active() {
		w.idleFrom, w.worked = time.Time{}, true
	}
	switch {
	case !idle || braked:
		w.idleFrom = time.Time{}
	case w.idleFrom.IsZero():
		w.idleFrom = w.now
	}
	w.lastPause, w.lastCount = pause, w.in.Current
}

func (w *walk) active() bool {
	for _, tr := range w.in.Triggers {
		if !tr.Resource && (tr.usable() && tr.active() || w.standsIn(tr)) {
			return true
		}
	}
	return w.in.ForceActive
}

// cooled says whether the cooldown has passed, as the annotations promise it.
func (w *walk) cooled() bool {
	if w.idleFrom.IsZero() {
		return false
	}
	adopted := w.in.Adopted
	if adopted.After(w.seeded) {
		adopted = w.seeded
	}
	prompt := !w.worked && w.idleFrom.Sub(adopted) <= 30*time.Second
	return w.now.Sub(w.idleFrom) >= w.in.Cooldown || prompt && w.now.Sub(adopted) >= w.in.InitialCooldown
}

// TestStepInRandomLives walks as FuzzStep does, with plain random numbers.
func TestStepInRandomLives(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 500 {
		data := make([]byte, 2000)
		for i := range data {
			data[i] = byte(rng.UintN(256))
		}
		w := newWalk(t, data)
		for len(w.data) > 0 {
			w.change()
			w.step()
		}
	}
}
