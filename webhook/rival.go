package webhook

import (
	"fmt"

	"autoscale.io/annotations"
)

// newRival names the other controller that scales an object when this request is what would make them two. Where both were there before, the request is
// admitted, so that nothing but the annotations stands in the way of a hotfix; the loop stands back and says so. A dry run sets no count, so it may be
// compared with what scales the object now.
func (r Reviewer) newRival(q request, settings annotations.Settings) string {
	if q.rival == "" || settings.DryRun {
		return ""
	}
	if r.manages(q.old) && !r.decode(q, q.old).Workload.DryRun {
		return ""
	}
	return q.rival
}

// rivalText says what a person can do; name is the kind and name of the object.
func (v verdict) rivalText(name string) string {
	return fmt.Sprintf("%s scales %s already, and a workload has one master: delete that first, or leave the annotations autoscale.io/… out; "+
		"to compare the two, set autoscale.io/dry-run to true", v.rival, name)
}
