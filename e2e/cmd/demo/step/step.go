// Package step owns the list of the demo's steps and their headings. It knows nothing of what happens in a step, so that
// the two programs of the demo count alike.
package step

import (
	"fmt"
	"io"
	"time"
)

// Step is a step of the demo, in the order of the constants.
type Step int

// The steps.
const (
	ControlPlane Step = iota + 1
	Autoscaler
	Start
	Install
	Story
	// Last is the number of steps.
	Last = Story
)

func (s Step) title() string {
	return map[Step]string{
		ControlPlane: "build the Kubernetes control plane",
		Autoscaler:   "build the autoscaler",
		Start:        "start the control plane",
		Install:      "install manifests/ and start the autoscaler with the rights that they grant",
		Story:        "watch the autoscaler",
	}[s]
}

// Begin prints the heading of the step, with the time since the demo began.
func (s Step) Begin(w io.Writer, began time.Time) {
	elapsed := time.Since(began).Round(time.Second)
	fmt.Fprintf(w, "\n▶ Step %d of %d, after %s: %s\n", s, Last, elapsed, s.title())
}
