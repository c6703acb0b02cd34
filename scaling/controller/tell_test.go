package controller

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	"autoscale.io/scaling/decisions"
	"autoscale.io/scaling/report"
)

// TestErrorsByTurnsAreToldOnce has a source that fails in several ways by turns, as a server in trouble does.
func TestErrorsByTurnsAreToldOnce(t *testing.T) {
	since := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const unknown, recovered = "Warning TriggerUnknown trigger orders (redis-streams) cannot be read since 12:00:00Z, so the count does not fall: ", "Normal TriggerRecovered trigger orders (redis-streams) can be read again"
	for name, test := range map[string]struct{ reads, want []string }{
		"two by turns":     {[]string{"EOF", "reset", "EOF", "reset"}, []string{unknown + "EOF", unknown + "reset"}},
		"a number changes": {[]string{"port 1", "port 2"}, []string{unknown + "port 1"}},
		"two outages":      {[]string{"EOF", "reset", "", "EOF"}, []string{unknown + "EOF", unknown + "reset", recovered, unknown + "EOF"}},
		"more than are remembered": {
			[]string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "b", "a"},
			[]string{unknown + "a", unknown + "b", unknown + "c", unknown + "d", unknown + "e", unknown + "f", unknown + "g", unknown + "h", unknown + "i", unknown + "a"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			recorder := events.NewFakeRecorder(20)
			c, w := New(Options{Events: report.Events{Recorder: recorder}}), &workload{}
			for _, fault := range test.reads {
				c.tellTriggers(w, &metav1.PartialObjectMetadata{}, &decisions.Entry{Triggers: []decisions.Trigger{
					{Name: "orders", Type: "redis-streams", Known: fault == "", Error: fault, Since: since},
				}})
			}
			close(recorder.Events)
			var told []string
			for event := range recorder.Events {
				told = append(told, event)
			}
			if got, want := strings.Join(told, "\n"), strings.Join(test.want, "\n"); got != want {
				t.Errorf("told\n%s\nwant\n%s", got, want)
			}
		})
	}
}
