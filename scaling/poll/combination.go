package poll

import (
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"autoscale.io/annotations"
	"autoscale.io/annotations/formula"
	"autoscale.io/scaling/decide"
)

// combination is the one trigger that a formula makes of all event triggers.
type combination struct {
	spec    annotations.Formula
	formula *formula.Formula

	reading decide.Reading
	err     error
	// fresh says that every reading it is made of is.
	fresh bool
	// since is when the present run of errors began.
	since time.Time
}

// replaceFormula compiles the formula, in which the decoder found no fault, and says whether it is another one now.
func (w *workload) replaceFormula(wanted annotations.Workload) (changed bool) {
	if wanted.Formula == nil {
		changed = w.formula != nil
		w.formula = nil
		return changed
	}
	names := make([]string, 0, len(wanted.Triggers))
	for _, t := range wanted.Triggers {
		if annotations.ResourceOf(t.Type) == "" {
			names = append(names, t.Name)
		}
	}
	next := &combination{spec: *wanted.Formula}
	next.formula, next.err = formula.Compile(wanted.Formula.Expression, names)
	if old := w.formula; old != nil {
		changed = !equality.Semantic.DeepEqual(old.spec, next.spec)
		next.reading.Failures, next.since = old.reading.Failures, old.since
	} else {
		changed = true
	}
	w.formula = next
	w.evaluate()
	return changed
}

// combine evaluates the formula after a read, and counts how often in a row that gave no number. The caller holds w.mu.
func (w *workload) combine() {
	if w.formula == nil {
		return
	}
	failures := w.formula.reading.Failures
	w.evaluate()
	if w.formula.err != nil {
		w.formula.reading.Failures = failures + 1
	}
}

// evaluate computes the formula from the latest readings. Work in progress at any trigger is work, and a trigger that could not be read casts
// doubt on a result that does without it.
func (w *workload) evaluate() {
	f := w.formula
	if f.formula == nil {
		return
	}
	values := map[string]float64{}
	reading := decide.Reading{Failures: f.reading.Failures}
	for _, t := range w.triggers {
		switch {
		case t.guard, t.isResource():
		case !t.read || t.err != nil:
			reading.Doubt = true
		default:
			values[t.spec.Name] = t.reading.Value
			reading.Busy = reading.Busy || t.reading.Busy
			reading.Replicas = max(reading.Replicas, t.replicas)
		}
	}
	value, err := f.formula.Value(values)
	if err != nil {
		if f.err == nil {
			f.since = w.poller.deps.Now()
		}
		f.reading, f.err = decide.Reading{Failures: reading.Failures}, err
		return
	}
	reading.Known, reading.Value, reading.Failures = true, value, 0
	f.reading, f.err = reading, nil
}

// trigger is what the decision sees.
func (c *combination) trigger() decide.Trigger {
	t := newTrigger(annotations.FormulaName, annotations.Common{Target: c.spec.Target, Activation: c.spec.Activation, MetricType: c.spec.MetricType})
	t.Reading = c.reading
	t.Reading.Spent = !c.fresh
	return t
}
