package decide

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Sentence explains d to a person: which trigger asked for what, and which limit, window or pause had the last word. It must
// be called with the Input that d was made from, before the next Step. It is built on demand, so that a decision nobody
// reads costs nothing. Times are in UTC.
func (d Decision) Sentence(in Input) string {
	w := &sentence{d: &d, in: &in}
	const usual = 192 // bytes
	w.Grow(usual)
	switch d.Reason {
	case Conflict:
		w.add(in.Rival, " scales this workload too; holding ", replicas(d.Replicas), " until one of the two is gone")
	case LeftAlone:
		w.add(in.LeftAlone)
	case ZeroByUser:
		w.add("scaled to zero by a person; raise it by hand (kubectl scale) to hand it back")
	case Paused:
		w.paused()
	case Idle:
		w.idle()
	case CoolingDown:
		w.coolingDown()
	case AtMaximum, RateLimited:
		if d.From > in.Bounds.Max {
			w.aboveMaximum()
			break
		}
		w.triggers()
		w.outcome()
	default:
		w.triggers()
		w.outcome()
	}
	return w.String()
}

// Repeats says that d has the same Sentence as o, a decision made before from the same Input.
func (d Decision) Repeats(o Decision) bool {
	return d.Replicas == o.Replicas && d.From == o.From && d.Reason == o.Reason && d.Active == o.Active && d.Unknown == o.Unknown &&
		d.Winner == o.Winner && d.Guard == o.Guard && d.Wanted == o.Wanted && d.IdleSince.Equal(o.IdleSince) &&
		d.Until.IsZero() && o.Until.IsZero() && // what is left of a time is told
		sameDay(d.At, o.At)
}

func sameDay(a, b time.Time) bool {
	const day = 24 * 60 * 60
	return a.Unix()/day == b.Unix()/day
}

// sentence puts clauses together.
type sentence struct {
	strings.Builder
	d  *Decision
	in *Input
}

func (w *sentence) add(parts ...string) {
	for _, part := range parts {
		w.WriteString(part)
	}
}

// clause begins the next clause.
func (w *sentence) clause() {
	if w.Len() > 0 {
		w.add("; ")
	}
}

// triggers says what each trigger asked for, the one that decided first.
func (w *sentence) triggers() {
	if len(w.d.Proposals) == 0 {
		w.add("no triggers are set")
		return
	}
	if w.d.Winner >= 0 {
		w.trigger(w.d.Winner)
	}
	for i := range w.d.Proposals {
		if i != w.d.Winner && !w.silent(i) && (w.d.Proposals[i].Known || w.d.Proposals[i].Fallback) {
			w.trigger(i)
		}
	}
	for i := range w.d.Proposals {
		if !w.d.Proposals[i].Known && !w.d.Proposals[i].Fallback && !w.silent(i) {
			w.clause()
			w.add("trigger ", w.in.Triggers[i].Name, " could not be read")
		}
	}
}

// silent leaves out what cpu and memory say beside an event trigger at zero, where there is nothing to measure and nobody asks them.
func (w *sentence) silent(i int) bool {
	return w.d.From == 0 && w.in.Triggers[i].Resource && slices.ContainsFunc(w.in.Triggers, func(t Trigger) bool { return !t.Resource })
}

// trigger is "trigger orders: 500 at a target of 10 each asks for 50 replicas".
func (w *sentence) trigger(i int) {
	t, p := &w.in.Triggers[i], w.d.Proposals[i]
	if p.Fallback {
		w.clause()
		w.add("trigger ", t.Name, " could not be read ", count(saturate(int64(t.Reading.Failures))), " times in a row; its fallback asks for ", replicas(p.Replicas))
		return
	}
	w.clause()
	w.add("trigger ", t.Name, ": ", t.levels())
	if p := &t.Reading.Pods; t.byPods() && p.Missing+p.Unready > 0 {
		w.add(", with ", uncounted(p), ",")
	}
	if t.Reading.Doubt {
		w.add(", a part of which could not be read,")
	}
	if t.Reading.Busy {
		w.add(", with work in progress,")
	}
	switch {
	case w.d.resting(w.in) && !t.Resource:
		w.add(" is not above its activation of ", number(t.Activation))
	case t.withinTolerance(w.d.From, &w.in.Behavior):
		w.add(" is within tolerance of ", replicas(p.Replicas))
	default:
		w.add(" asks for ", replicas(p.Replicas))
	}
}

// resting says that event triggers had no say in d, since there was no work and the bounds allow to rest.
func (d *Decision) resting(in *Input) bool {
	return !d.Active && (in.Bounds.Min <= 0 || in.Bounds.Idle >= 0 && in.Bounds.Idle < in.Bounds.Min)
}

// outcome says what limited the proposals.
func (w *sentence) outcome() {
	n := w.d.Replicas
	switch w.d.Reason {
	case AtMaximum:
		w.add("; cut to max-replicas ", count(n), w.schedule())
	case AtMinimum:
		w.raised()
	case Stabilizing:
		w.add("; ", w.going(), " for the stabilization window", w.until())
	case RateLimited:
		w.limited()
	case Waking:
		w.add("; waking from ", count(w.d.From), " to ", replicas(n))
	case ForcedActive:
		w.add("; force-active keeps at least ", replicas(n))
	case TriggerUnknown:
		w.add("; holding ", replicas(n))
	case Guarded:
		w.guarded()
	case RollingOut:
		w.add("; holding ", replicas(n), " until the rollout in progress is done")
	}
}

// guarded says which guard held back the count.
func (w *sentence) guarded() {
	g := &w.in.Guards[w.d.Guard]
	w.add("; guard ", g.Name)
	if g.usable() {
		w.add(": ", number(g.Reading.Value), " has reached its limit of ", number(g.Limit))
	} else {
		w.add(" could not be read and may have reached its limit of ", number(g.Limit))
	}
	w.add("; ", w.going())
}

// aboveMaximum speaks of a count that a person or an edit of the bounds left above the maximum.
func (w *sentence) aboveMaximum() {
	w.add(replicas(w.d.From), " are above max-replicas ", count(w.in.Bounds.Max), w.schedule(), "; ")
	if w.d.Reason == RateLimited {
		w.add(w.going(), " by the scale-down policies", w.until())
		return
	}
	w.add("lowering to ", count(w.d.Replicas))
}

// schedule names the schedule that a bound comes from.
func (w *sentence) schedule() string {
	if w.in.Bounds.Schedule == "" {
		return ""
	}
	return " (schedule " + w.in.Bounds.Schedule + ")"
}

// raised says which floor a count was raised to.
func (w *sentence) raised() {
	switch n := w.d.Replicas; {
	case w.in.Bounds.Min >= 1:
		w.add("; raised to min-replicas ", count(n), w.schedule())
	case w.d.Active:
		w.add("; raised to ", replicas(n), ", the least while there is work")
	default:
		w.add("; raised to ", replicas(n), ", since cpu and memory alone never scale to zero")
	}
}

// limited says which policies held back the change.
func (w *sentence) limited() {
	name, rules := "scale-up", &w.in.Behavior.ScaleUp
	if w.d.Wanted < w.d.From {
		name, rules = "scale-down", &w.in.Behavior.ScaleDown
	}
	if rules.Select == SelectDisabled {
		w.add("; holding ", replicas(w.d.Replicas), " since behavior disables ", name)
		return
	}
	w.add("; ", w.going(), " by the ", name, " policies", w.until())
}

// going is "holding 9" or "going to 8 only".
func (w *sentence) going() string {
	if w.d.Replicas == w.d.From {
		return "holding " + count(w.d.Replicas)
	}
	return "going from " + count(w.d.From) + " to " + count(w.d.Replicas) + " only"
}

// until is " until 12:00:05Z (4m30s)", or nothing when there is no end.
func (w *sentence) until() string {
	if w.d.Until.IsZero() {
		return ""
	}
	return " until " + w.clock(w.d.Until) + " (" + span(w.d.Until.Sub(w.d.At)) + ")"
}

func (w *sentence) paused() {
	switch w.in.Pause.Mode {
	case PauseScaleIn, PauseScaleOut:
		w.triggers()
		direction := "scaling out"
		if w.in.Pause.Mode == PauseScaleIn {
			direction = "scaling in"
		}
		w.add("; ", direction, " is paused; holding ", replicas(w.d.Replicas))
	case PauseAt:
		w.add("paused at ", replicas(w.d.Replicas))
	default:
		w.add("paused; holding ", replicas(w.d.Replicas))
	}
	w.add(w.until())
}

// idle speaks of the step to rest and of the rest.
func (w *sentence) idle() {
	w.noWork()
	switch {
	case w.d.Replicas < w.d.From:
		w.add("; the cooldown is over; scaling from ", count(w.d.From), " to ", w.rest())
	case w.d.Replicas > w.d.From:
		w.add("; raising to ", w.rest())
	default:
		w.add("; staying at ", w.rest())
	}
}

func (w *sentence) coolingDown() {
	w.noWork()
	cooldown, name := w.in.Cooldown, "cooldown"
	if !w.d.Until.Equal(w.d.IdleSince.Add(cooldown)) {
		cooldown, name = w.in.InitialCooldown, "initial cooldown"
	}
	rest := "zero"
	if w.in.Bounds.Idle > 0 {
		rest = "idle-replicas " + count(w.in.Bounds.Idle)
	}
	w.add("; ", rest, " after the ", name, " of ", cooldown.String(), ", at ", w.clock(w.d.Until))
}

func (w *sentence) noWork() {
	w.add("no work seen")
	if !w.d.IdleSince.IsZero() {
		w.add(" since ", w.clock(w.d.IdleSince))
	}
}

// rest names the count d goes to.
func (w *sentence) rest() string {
	if w.d.Replicas > 0 {
		return "idle-replicas " + count(w.d.Replicas)
	}
	return "zero"
}

// clock is the time of day, with the date if it is not that of the decision.
func (w *sentence) clock(t time.Time) string {
	t = t.UTC()
	if sameDay(t, w.d.At) {
		return t.Format("15:04:05Z")
	}
	return t.Format(time.RFC3339)
}

// span is a duration in whole seconds, never shorter than one.
func span(d time.Duration) string {
	return max(d.Round(time.Second), time.Second).String()
}

func count(n int32) string { return strconv.Itoa(int(n)) }

func replicas(n int32) string {
	if n == 1 {
		return "1 replica"
	}
	return count(n) + " replicas"
}

// number writes a value with at most three decimals and without an exponent, unless it is too small or too large for that.
func number(x float64) string {
	if x != 0 && x < 0.001 || x > huge {
		return strconv.FormatFloat(x, 'g', 4, 64)
	}
	s := strconv.FormatFloat(x, 'f', 3, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// levels is "500 at a target of 10 each", "85% at a target of 70%" or "450Mi a pod at a target of 400Mi".
func (t *Trigger) levels() string {
	value, target := number(t.Reading.Value), number(t.Target)
	switch {
	case t.MetricType == Utilization:
		return value + "% at a target of " + target + "%"
	case t.MetricType == Value:
		return value + " at a target of " + target
	case t.byPods():
		return t.quantity(t.Reading.Value) + " a pod at a target of " + t.quantity(t.Target)
	}
	return value + " at a target of " + target + " each"
}

// quantity writes cores or bytes as Kubernetes does, with at most three decimals.
func (t *Trigger) quantity(x float64) string {
	const kibi = 1024
	if !t.Bytes {
		if isWhole(x) {
			return number(x)
		}
		return number(x*milli) + "m"
	}
	units := [...]string{"", "Ki", "Mi", "Gi", "Ti"}
	i := 0
	for x >= kibi && i < len(units)-1 {
		x, i = x/kibi, i+1
	}
	return number(x) + units[i]
}

// uncounted is "1 pod not measured and 2 pods not ready".
func uncounted(p *Pods) string {
	var parts []string
	if p.Missing > 0 {
		parts = append(parts, pods(p.Missing)+" not measured")
	}
	if p.Unready > 0 {
		parts = append(parts, pods(p.Unready)+" not ready")
	}
	return strings.Join(parts, " and ")
}

func pods(n int) string {
	if n == 1 {
		return "1 pod"
	}
	return strconv.Itoa(n) + " pods"
}
