package fieldcases

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"autoscale.io/scaling/scalingtest"
)

// deployments is what most watches are about.
func deployments() schema.GroupResource { return appsv1.Resource("deployments") }

// usual are the settings of an install that nobody has tuned: a read every 5 seconds, a cooldown and a stabilization
// window of 5 minutes. The bounds are 0 and 10, and a trigger orders reads the source orders at a target of 5.
func usual(more scalingtest.Settings) scalingtest.Settings {
	s := scalingtest.Settings{"min-replicas": "0", "max-replicas": "10", "trigger.orders": scalingtest.Trigger("orders", "")}
	for key, value := range more {
		s[key] = value
		if value == "" {
			delete(s, key)
		}
	}
	return s
}

// annotate changes annotations, which must be accepted.
func annotate(w *scalingtest.World, name string, settings scalingtest.Settings) {
	w.Helper()
	if err := w.Annotate(name, settings); err != nil {
		w.Fatalf("annotate %s: %v", name, err)
	}
}

// wantEvents fails the test unless these are all events about an object so far, each as "Reason: note".
func wantEvents(w *scalingtest.World, name string, want ...string) {
	w.Helper()
	w.Settle()
	var got []string
	for _, e := range w.Events(name) {
		got = append(got, e.String())
	}
	if !slices.Equal(got, want) {
		w.Fatalf("the events about %s were\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// wantCondition fails the test unless an object has exactly this condition now.
func wantCondition(w *scalingtest.World, name, kind, status, reason, message string) {
	w.Helper()
	w.Settle()
	want := fmt.Sprintf("%s=%s (%s): %s", kind, status, reason, message)
	for _, c := range w.Status(name) {
		if c.Type == kind {
			if got := fmt.Sprintf("%s=%s (%s): %s", c.Type, c.Status, c.Reason, c.Message); got != want {
				w.Fatalf("%s has the condition\n%s\nwant\n%s", name, got, want)
			}
			return
		}
	}
	w.Fatalf("%s has no condition %s: %s", name, kind, w.Status(name))
}
