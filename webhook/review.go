package webhook

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"autoscale.io/annotations"
)

// Reviewer is what a review goes by besides the request.
type Reviewer struct {
	// Types are the known trigger types.
	Types annotations.Types
	// Identity is the user name of the autoscaler itself, whose writes are its own business. Defaults to nobody.
	Identity string
	// Class is the install's class; workloads of other classes are left alone. Defaults to none.
	Class string
	// Scalable recognises kinds that are managed beside the built-in ones; an object that one of them controls is left alone. Defaults to none.
	Scalable func(group, kind string) bool
	// Unmanaged says why this install does not manage a kind, so that annotations have no effect there; empty when it does. Defaults to managing every kind.
	Unmanaged func(group, kind string) string
	// Rival names another controller that sets the count of an object, such as "HorizontalPodAutoscaler web"; it is empty for none, and whenever that cannot be
	// told. It answers from memory. Defaults to nobody.
	Rival func(group, kind, namespace, name string) string
	// Now is the clock, for the time of an adoption and the end of a pause.
	Now func() time.Time
}

// request is one admission request. old is nil for a CREATE.
type request struct {
	group, kind, namespace string
	user                   string
	old, new               *object
	// rival names another controller that sets the count of the object; empty for none.
	rival string
	now   time.Time
}

// outcome is what became of a request, for the metrics.
type outcome string

const (
	outcomeIgnored  outcome = "ignored"
	outcomeDenied   outcome = "denied"
	outcomeAdopted  outcome = "adopted"
	outcomeManaged  outcome = "managed"
	outcomeReleased outcome = "released"
	outcomeCleaned  outcome = "cleaned"
	// The request was admitted unseen.
	outcomeFailed outcome = "failed"
)

// verdict is the answer to a request.
type verdict struct {
	outcome outcome
	// denied are the faults that the request is denied for, and rival the controller; nothing below counts then.
	denied   annotations.Faults
	rival    string
	warnings []string
	// own is what the autoscaler keeps on the object after the request; nil leaves it as the request has it.
	own *ownMetadata
	// replicas is the count after the request; nil leaves it as the request has it.
	replicas *int32
	// suspend sets spec.suspend.
	suspend bool
}

func (v *verdict) warn(format string, args ...any) {
	v.warnings = append(v.warnings, fmt.Sprintf(format, args...))
}

// review answers a request. It is pure, and idempotent: with its own answer as the new object it changes nothing.
//
// The order matters. What is not ours to touch comes first, then the autoscaler's own writes, which are free; then objects that are managed,
// those that stop being managed, and last the leftovers on objects that nobody manages.
func (r Reviewer) review(q request) verdict {
	switch {
	case q.new == nil || q.new.Metadata.DeletionTimestamp != nil:
	case r.ownedByScalable(q.new):
	case r.Identity != "" && q.user == r.Identity:
	case r.manages(q.new):
		return r.manage(q)
	case q.new.configured(): // for another install
	case r.manages(q.old):
		return r.release(q)
	case q.old.configured(): // another install's to release
	default:
		return r.clean(q)
	}
	return verdict{outcome: outcomeIgnored}
}

// manages says whether the annotations ask for management by this install.
func (r Reviewer) manages(o *object) bool { return o.configured() && o.class() == r.Class }

// ownedByScalable recognises a child that inherited its annotations: scaling it as well as its owner would be a duel.
func (r Reviewer) ownedByScalable(o *object) bool {
	for _, owner := range o.Metadata.OwnerReferences {
		if owner.Controller != nil && *owner.Controller {
			return annotations.ScalableOwner(owner.APIVersion, owner.Kind) ||
				r.Scalable != nil && r.Scalable(annotations.GroupOf(owner.APIVersion), owner.Kind)
		}
	}
	return false
}

// manage answers for an object that is managed after the request.
func (r Reviewer) manage(q request) verdict {
	if why := r.unmanaged(q); why != "" {
		v := verdict{outcome: outcomeIgnored}
		v.warn("the annotations autoscale.io/… have no effect on this %s: %s", q.kind, why)
		return v
	}
	v := verdict{outcome: outcomeAdopted}
	if r.manages(q.old) {
		v.outcome = outcomeManaged
	}
	decoded := r.decode(q, q.new)
	if len(r.newFaults(q, decoded.Faults)) > 0 {
		return verdict{outcome: outcomeDenied, denied: decoded.Faults, rival: r.newRival(q, decoded.Workload.Settings)}
	}
	if rival := r.newRival(q, decoded.Workload.Settings); rival != "" {
		return verdict{outcome: outcomeDenied, rival: rival}
	}
	if q.rival != "" && !decoded.Workload.DryRun {
		v.warn("%s scales this %s too, so autoscale.io holds the count until one of the two is gone", q.rival, q.kind)
	}
	for _, fault := range decoded.Faults {
		v.warn("replicas are held until this is mended: %s", fault.Error())
	}
	v.warnings = append(v.warnings, decoded.Warnings.Texts()...)
	v.own = r.stamp(q)
	switch {
	case decoded.Workload.JobMode == annotations.JobSpawn:
		keepTemplate(q, &v)
	case ledByOther(q):
		if !r.manages(q.old) {
			v.warn("another controller leads this Job (spec.managedBy, or the label %s), so its parallelism is left alone", queueLabel)
		}
	case q.old != nil:
		r.keepReplicas(q, decoded.Workload, &v)
	}
	return v
}

func (r Reviewer) unmanaged(q request) string {
	if r.Unmanaged == nil {
		return ""
	}
	return r.Unmanaged(q.group, q.kind)
}

// newFaults are the faults that the request brings. Those that were there before are admitted, so that an old typo never blocks a hotfix.
func (r Reviewer) newFaults(q request, faults annotations.Faults) annotations.Faults {
	if len(faults) == 0 || !q.old.configured() {
		return faults // without reading the old annotations, which takes as long as the new ones
	}
	return faults.Except(r.decode(q, q.old).Faults)
}

// decode reads what the annotations of the old or the new object ask for.
func (r Reviewer) decode(q request, o *object) annotations.Result {
	decoded := annotations.Decode(o.Metadata.Annotations, r.Types).On(q.group, q.kind)
	if decoded.Workload.JobMode == annotations.JobSpawn {
		decoded.Faults = append(decoded.Faults, templateFaults(q, o)...)
		slices.SortStableFunc(decoded.Faults, func(a, b annotations.Fault) int { return strings.Compare(a.Key, b.Key) })
	}
	return decoded
}

// release answers for an object that stops being managed.
func (r Reviewer) release(q request) verdict {
	v := verdict{outcome: outcomeReleased, own: &ownMetadata{}}
	settings := r.decode(q, q.old).Workload.Settings
	if settings.JobMode == annotations.JobSpawn {
		leaveTemplate(q, &v)
	} else {
		leaveReplicas(q, settings, &v)
	}
	return v
}

// clean answers for an object that nobody manages. A label and a state can be there because it is a copy of a managed one; they go. But when the old
// object was labelled as well, its annotations went while the webhook was away: the loop sees it by the label, needs the state to end the management in
// good order, and removes both itself, so until then they stay.
func (r Reviewer) clean(q request) verdict {
	left, has := ownMetadata{}, q.new.own()
	if q.old != nil && q.old.own().label != nil {
		left = q.old.own()
	}
	others := func(label *string) bool { return label != nil && !annotations.OfClass(*label, r.Class) }
	if others(left.label) || others(has.label) || has.equal(left) {
		return verdict{outcome: outcomeIgnored}
	}
	return verdict{outcome: outcomeCleaned, own: &left}
}
