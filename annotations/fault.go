package annotations

import (
	"slices"
	"strings"

	"autoscale.io/annotations/schema"
)

// Fault is one thing that is wrong with one annotation. Two faults are the same when they are equal, which is how an
// admission request tells a new fault from one that was there before.
type Fault struct {
	// Key is the whole annotation key.
	Key string
	schema.Problem
}

// Error implements error: "autoscale.io/trigger.orders: target: got "abc", want a number > 0".
func (f Fault) Error() string { return f.Key + ": " + f.Problem.String() }

// Faults are in the order of key and text.
type Faults []Fault

// Error implements error, one fault a line.
func (f Faults) Error() string { return strings.Join(f.Texts(), "\n") }

// Texts returns the text of each fault.
func (f Faults) Texts() []string {
	texts := make([]string, 0, len(f))
	for _, fault := range f {
		texts = append(texts, fault.Error())
	}
	return texts
}

// Except returns the faults that are not in known.
func (f Faults) Except(known Faults) Faults {
	var left Faults
	for _, fault := range f {
		if !slices.Contains(known, fault) {
			left = append(left, fault)
		}
	}
	return left
}

func (f Faults) sorted() Faults {
	slices.SortFunc(f, func(a, b Fault) int { return strings.Compare(a.Error(), b.Error()) })
	return slices.Compact(f)
}
