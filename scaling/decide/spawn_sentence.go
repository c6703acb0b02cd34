package decide

// JobsSentence explains a decision of [Spawn] to a person, as Decision.Sentence does one of [Step]. It must be called with the arguments that d was made
// from.
func (d Decision) JobsSentence(in Input, jobs Jobs) string {
	w := &sentence{d: &d, in: &in}
	switch d.Reason {
	case JobsUnknown:
		w.add(jobs.Unknown, "; no Job is started until it is known how many run")
	case Conflict:
		w.add(in.Rival, " scales this workload too; starting no Job until one of the two is gone")
	case LeftAlone:
		w.add(in.LeftAlone)
	case Paused:
		w.pausedJobs()
		w.running(jobs)
		w.starting()
	default:
		w.demands()
		w.running(jobs)
		w.jobsOutcome()
		w.starting()
		if in.Pause.Mode == PauseScaleIn && (in.Pause.Until.IsZero() || d.At.Before(in.Pause.Until)) {
			w.add("; the pause of scaling in changes nothing, since Jobs end by themselves")
		}
	}
	return w.String()
}

// demands says what each trigger asks for, the one that decided first.
func (w *sentence) demands() {
	if len(w.d.Proposals) == 0 {
		w.add("no triggers are set")
	}
	if w.d.Winner >= 0 {
		w.demand(w.d.Winner)
	}
	for i := range w.d.Proposals {
		if i != w.d.Winner {
			w.demand(i)
		}
	}
}

// demand is "trigger orders: 42 at a target of 1 each asks for 42 Jobs".
func (w *sentence) demand(i int) {
	t, p := &w.in.Triggers[i], w.d.Proposals[i]
	w.clause()
	w.add("trigger ", t.Name)
	switch {
	case p.Fallback:
		w.add(" could not be read ", count(saturate(int64(t.Reading.Failures))), " times in a row; its fallback asks for ", jobsOf(p.Replicas))
		return
	case !p.Known:
		w.add(" could not be read")
		return
	}
	w.add(": ", t.levels())
	if t.Reading.Doubt {
		w.add(", a part of which could not be read,")
	}
	if t.Reading.Busy {
		w.add(", with work in progress,")
	}
	if p.Active {
		w.add(" asks for ", jobsOf(p.Replicas))
		return
	}
	w.add(" is not above its activation of ", number(t.Activation))
}

// running is "10 run, 3 of them not started".
func (w *sentence) running(jobs Jobs) {
	switch w.clause(); w.d.From {
	case 0:
		w.add("none runs")
	case 1:
		w.add("1 runs")
	default:
		w.add(count(w.d.From), " run")
	}
	if pending := max(min(jobs.Pending, w.d.From), 0); pending > 0 {
		w.add(", ", count(pending), " of them not started")
	}
}

// jobsOutcome says what limited the demand.
func (w *sentence) jobsOutcome() {
	switch w.d.Reason {
	case AtMaximum:
		w.add("; max-replicas is ", count(w.in.Bounds.Max), w.schedule())
	case AtMinimum:
		w.add("; min-replicas is ", count(w.in.Bounds.Min), w.schedule())
	case Guarded:
		g := &w.in.Guards[w.d.Guard]
		w.add("; guard ", g.Name)
		if g.usable() {
			w.add(": ", number(g.Reading.Value), " has reached its limit of ", number(g.Limit))
		} else {
			w.add(" could not be read and may have reached its limit of ", number(g.Limit))
		}
	}
}

func (w *sentence) starting() {
	if n := w.d.Replicas - w.d.From; n > 0 {
		w.add("; starting ", count(n))
	}
}

func (w *sentence) pausedJobs() {
	switch w.in.Pause.Mode {
	case PauseAt:
		w.add("paused at ", jobsOf(max(w.in.Pause.Replicas, 0)))
	case PauseScaleOut:
		w.demands()
		w.add("; scaling out is paused, so no Job is started")
	default:
		w.add("paused; no Job is started")
	}
	w.add(w.until())
}

func jobsOf(n int32) string {
	if n == 1 {
		return "1 Job"
	}
	return count(n) + " Jobs"
}
