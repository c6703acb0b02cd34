package report

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// ScaleDownWaits says that the parallelism of a Job cannot be lowered before a pod ends.
func (e Events) ScaleDownWaits(object runtime.Object, held int32, because string) {
	e.record(object, corev1.EventTypeNormal, "ScaleDownWaits", "Scale", fmt.Sprintf("holding %d until a pod ends: %s", held, because))
}

// JobsStarted says that Jobs of a template were created.
func (e Events) JobsStarted(object runtime.Object, n int, because string) {
	e.record(object, corev1.EventTypeNormal, "JobsStarted", "Spawn", fmt.Sprintf("started %s: %s", jobs(n), because))
}

// JobsFailed says that not all wanted Jobs could be created, and returns the text.
func (e Events) JobsFailed(object runtime.Object, created, wanted int, err error) string {
	text := fmt.Sprintf("created %d of %s: %v", created, jobs(wanted), err)
	e.record(object, corev1.EventTypeWarning, ReasonJobsFailed, "Spawn", text+"; the next reading tries again")
	return text
}

// WouldStart says what a dry run would have created.
func (e Events) WouldStart(object runtime.Object, n int, because string) {
	e.record(object, corev1.EventTypeNormal, "DryRun", "Decide", fmt.Sprintf("would start %s: %s", jobs(n), because))
}

// JobsReplaced says that Jobs of an older template were deleted before they started.
func (e Events) JobsReplaced(object runtime.Object, n int) {
	e.record(object, corev1.EventTypeNormal, "JobsReplaced", "Spawn", fmt.Sprintf("deleted %s of an older template before they started; new ones follow where there is work", jobs(n)))
}

// JobsUnknown says that it is not known how many Jobs run.
func (e Events) JobsUnknown(object runtime.Object, why string) {
	e.record(object, corev1.EventTypeWarning, "JobsUnknown", "Observe", why+"; no Job is started until it is known how many run")
}

// JobsKnown says that it is known again.
func (e Events) JobsKnown(object runtime.Object) {
	e.record(object, corev1.EventTypeNormal, "JobsKnown", "Observe", "it is known again how many Jobs run")
}

func jobs(n int) string {
	if n == 1 {
		return "1 Job"
	}
	return fmt.Sprintf("%d Jobs", n)
}
