// Package fieldcases holds the field cases that are about a decision, its order or its timing: failures that people have
// met with autoscalers in production, each as a test in virtual time. The same IDs run on a real API server in the
// module e2e, where docs/cases.md comes from.
//
// It owns these cases and no symptom or documentation of them. What only a real API server, Job controller or event
// source can show has no place here.
package fieldcases

import (
	"slices"

	"autoscale.io/scaling/scalingtest"
)

// Case is one field case in virtual time.
type Case struct {
	// ID is that of the case in docs/cases.md.
	ID string
	// Options are those of the world that the case runs in. Defaults to one autoscaler replica and the webhook.
	Options scalingtest.Options
	Run     func(*scalingtest.World)
}

// All lists the cases.
func All() []Case {
	return slices.Concat(
		zeroCases(),
		decideCases(),
		numberCases(),
		fallbackCases(),
		rivalCases(),
		loopCases(),
		pauseCases(),
		jobCases(),
		spawnCases(),
		resourceCases(),
		annotationCases(),
		gitCases(),
		fleetCases(),
	)
}
