package world

import (
	"math"
	"testing"
)

// Run is the make target that runs a case.
type Run string

// The runs. A case is in exactly one of them.
const (
	// Test is part of make test: it takes seconds, and shows what nothing in memory can.
	Test Run = "test"
	// Soak is make soak: long by nature, such as a thousand workloads or ten thousand Jobs, or the real version of a case
	// that make unit runs in memory.
	Soak Run = "soak"
)

// Everything is the weight of a case that a busy machine disturbs: nothing runs beside it.
const Everything = math.MaxInt

// Case is one field case.
type Case struct {
	// ID names the subtest.
	ID string
	// Symptom is what people saw.
	Symptom string
	// Holds is what must be true here, in a few words.
	Holds string
	// In is the run that the case belongs to. Required.
	In Run
	// Weight is the share of the machine that the case needs beside others, in units of which a processor has
	// four. Defaults to 1, for a case that mostly waits; at most Everything.
	Weight int
	// Own gives the case an autoscaler of its own, which it may stop, kill and restart. See [World.Class].
	Own bool
	// Alone marks a case that stops or restarts what others need, such as the API server. It runs while no other
	// case does. A case that disturbs only the autoscaler has one of its own instead.
	Alone bool
	// Refused marks a case in which the autoscaler asks for more than its permissions allow.
	Refused bool
	Run     func(*testing.T, *World)
}
