package controller

import (
	"context"
	"maps"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/annotations"
	"autoscale.io/scaling/decisions"
	"autoscale.io/scaling/target"
)

// workload is what the loop remembers of one managed object.
type workload struct {
	kind Kind
	// bucket and object are guarded by Controller.mu; object is replaced, never changed.
	bucket string
	object *metav1.PartialObjectMetadata
	// pods is the watch of lowering; it is guarded likewise.
	pods *podWatch

	// The rest belongs to the one reconcile that may run for this key.

	// decoded is what the annotations of the object asked for when they were last looked at.
	decoded     annotations.Result
	decodedFrom map[string]string
	// toldReleased says that the release was told, and released that it was carried out, until there are annotations
	// again.
	toldReleased, released bool

	// live is the count as last read or written, at a generation of the object.
	live       target.Scale
	generation int64
	// rollingOut says that a scale-down waits for a rollout, as last read at a resource version of the object.
	rollingOut   bool
	rolloutKnown string
	// lowering is the way down of the parallelism of a Job; nil when it is not under way. waits says that the present reconcile wants it to go on, and rose is when
	// the parallelism was last seen to rise.
	lowering *lowering
	waits    bool
	rose     time.Time

	duel     duel
	spawning spawning
	reported reported
	// unsaid tells of the latest write of a count; nil when that was told.
	unsaid func()
}

// reported is what events and status have already told.
type reported struct {
	triggers map[string]triggerSeen
	faults   string
	unknown  string
	dryRun   string
	conflict bool
	fallback bool
	statusAt time.Time
}

type triggerSeen struct {
	known bool
	// said is the error or note, without the numbers that change from read to read.
	said string
	// told are the latest errors that were told since the trigger was known: a server in trouble fails in several ways by turns.
	told []string
}

// lookup returns a workload, its newest metadata, and the context within which this process may write for it; nil when it may not.
func (c *Controller) lookup(key decisions.Key) (*workload, *metav1.PartialObjectMetadata, context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.tracked[key]
	if w == nil {
		return nil, nil, nil
	}
	return w, w.object, c.owned[w.bucket]
}

// adoptWritten takes the answer of an own write of metadata for the newest metadata. The event about the write mostly
// comes later, but may come first. before is the object that the write was made for.
func (c *Controller) adoptWritten(w *workload, before, written *metav1.PartialObjectMetadata) *metav1.PartialObjectMetadata {
	_, _ = w.kind.slim(written) // it changes its argument and fails for none of this type
	c.mu.Lock()
	defer c.mu.Unlock()
	// The count is as it was, unless somebody else has moved the generation in between.
	if w.generation == before.Generation && written.Generation <= before.Generation+w.kind.metadataMoves() {
		w.generation = written.Generation
	}
	if newer(written, w.object) {
		w.object = written
	}
	return w.object
}

// metadataMoves is by how much a change of annotations alone moves the generation of an object.
func (k Kind) metadataMoves() int64 {
	if k.Group == appsv1.GroupName && k.Kind == "Deployment" {
		return 1
	}
	return 0
}

// configured are the annotations that Decode looks at.
func configured(m *metav1.PartialObjectMetadata) map[string]string {
	kept := maps.Clone(m.Annotations)
	delete(kept, annotations.StateKey)
	delete(kept, annotations.StatusKey)
	return kept
}
