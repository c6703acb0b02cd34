package webhook_test

import (
	"testing"

	"autoscale.io/webhook"
)

const (
	hasRival  = "HorizontalPodAutoscaler web scales this Deployment too, so autoscale.io holds the count until one of the two is gone"
	rivalText = "HorizontalPodAutoscaler web scales Deployment shop/worker already, and a workload has one master: delete that first, or leave the annotations " +
		"autoscale.io/… out; to compare the two, set autoscale.io/dry-run to true"
)

func TestARivalIsRefusedWhereItIsNew(t *testing.T) {
	rival := func(r *webhook.Reviewer) {
		r.Rival = func(group, kind, namespace, name string) string {
			if group+"/"+kind+"/"+namespace+"/"+name != "apps/Deployment/shop/worker" {
				return ""
			}
			return "HorizontalPodAutoscaler web"
		}
	}
	plain := object{uid: uid, replicas: 6}
	compared := live(6, "dry-run", "true")
	for _, c := range []admissionCase{
		{name: "at a creation", new: object{annotations: with(), replicas: 6}, denied: rivalText},
		{name: "when the annotations come", old: &plain, new: object{uid: uid, annotations: with(), replicas: 6}, denied: rivalText},
		{name: "together with faults", new: object{annotations: with("max-replicas", "many"), replicas: 6},
			denied: "1 fault in the annotations of Deployment shop/worker:\nautoscale.io/max-replicas: got \"many\", want a whole number ≥ 1\n" + rivalText},
		{name: "at the end of a dry run", old: &compared, new: live(6), denied: rivalText},
		{name: "both were there before", old: new(live(6)), new: live(6, "max-replicas", "20"), want: live(6, "max-replicas", "20"), warnings: []string{hasRival}},
		{name: "the annotations go", old: new(live(6)), new: plain, want: plain},
		{name: "a dry run beside it", old: &plain, new: object{uid: uid, annotations: with("dry-run", "true"), replicas: 6},
			want: object{uid: uid, labels: stamped(), annotations: with("dry-run", "true", "state", adoptedNow), replicas: 6}},
		{name: "a dry run goes on", old: &compared, new: compared, want: compared},
		{name: "without annotations", new: object{replicas: 6}, want: object{replicas: 6}},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, reviewer(rival)) })
	}
}
