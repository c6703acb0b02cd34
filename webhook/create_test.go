package webhook_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/webhook"
)

func owner(apiVersion, kind string, controller bool) *metav1.OwnerReference {
	return &metav1.OwnerReference{APIVersion: apiVersion, Kind: kind, Name: "parent", UID: "p", Controller: &controller}
}

// untouched is a request that is stored as it is.
func untouched(name string, old *object, new object) admissionCase {
	return admissionCase{name: name, old: old, new: new, want: new}
}

func TestCreateStampsAManagedObject(t *testing.T) {
	const fresh = `{"replicas":4}`
	foreign := with("state", slept, "status", "{}")
	for _, c := range []admissionCase{
		{name: "without labels", new: object{annotations: with(), replicas: 4}, want: object{labels: stamped(), annotations: with("state", fresh), replicas: 4}},
		{
			name: "beside other labels",
			new:  object{annotations: with(), labels: map[string]string{"app": "a"}, replicas: 4},
			want: object{labels: stamped("app", "a"), annotations: with("state", fresh), replicas: 4},
		},
		{name: "at zero", new: object{annotations: with(), replicas: 0}, want: object{labels: stamped(), annotations: with("state", `{"replicas":0}`), replicas: 0}},
		{name: "of a kind that keeps its count elsewhere", new: object{annotations: with()}, want: object{labels: stamped(), annotations: with("state", `{}`)}},
		{
			name: "a copy of a managed one with its state, status and label",
			new:  object{annotations: foreign, labels: map[string]string{"autoscale.io/bucket": "11"}, replicas: 4},
			want: object{labels: stamped(), annotations: with("state", fresh), replicas: 4},
		},
		{
			name: "a copy without a name yet, which the loop adopts",
			new:  object{generateName: "worker-", annotations: foreign, labels: stamped(), replicas: 4},
			want: object{generateName: "worker-", annotations: with(), labels: map[string]string{}, replicas: 4},
		},
		{
			name: "a warning of a source",
			new:  object{annotations: with("trigger.orders", "{type: queue, stream: orders, target: 10, activation: 10}"), replicas: 4},
			want: object{
				labels: stamped(), annotations: with("trigger.orders", "{type: queue, stream: orders, target: 10, activation: 10}", "state", fresh), replicas: 4,
			},
			warnings: []string{"autoscale.io/trigger.orders: activation: is not below target"},
		},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, reviewer()) })
	}
}

func TestWhatIsNotOursIsLeftAlone(t *testing.T) {
	faulty := map[string]string{"autoscale.io/max-replicas": "many"}
	configured := live(6)
	for _, c := range []admissionCase{
		untouched("no annotations", nil, object{replicas: 4}),
		untouched("child of a Deployment", nil, object{annotations: faulty, owner: owner("apps/v1", "Deployment", true), replicas: 4}),
		untouched("child of a CronJob", nil, object{annotations: faulty, owner: owner("batch/v1", "CronJob", true), replicas: 4}),
		untouched("child of a further kind", nil, object{annotations: faulty, owner: owner("argoproj.io/v1alpha1", "Rollout", true), replicas: 4}),
		untouched("child that became managed by hand", &configured, object{uid: uid, annotations: faulty, owner: owner("apps/v1", "Deployment", true), replicas: 1}),
		untouched("being deleted", &configured, object{uid: uid, annotations: with(), deleting: true, replicas: 0}),
		untouched("another install's, with a fault", nil, object{annotations: change(faulty, "class", "blue"), replicas: 4}),
		untouched("handed over to another install", &configured, object{uid: uid, labels: stamped(), annotations: with("class", "blue"), replicas: 1}),
		untouched("released by another install", &object{uid: uid, annotations: with("class", "blue"), replicas: 4}, object{uid: uid, replicas: 1}),
		untouched("released by another install, which has yet to clean up", &object{uid: uid, annotations: with("class", "blue", "state", before), replicas: 4},
			object{uid: uid, annotations: map[string]string{"autoscale.io/state": before}, replicas: 1}),
		untouched("labelled by another install", nil, object{labels: map[string]string{"autoscale.io/bucket": "blue.13"}, replicas: 4}),
		{
			name: "child of a kind that is not scalable is ours",
			new:  object{annotations: with(), owner: owner("example.com/v1", "App", true), replicas: 4},
			want: object{annotations: with("state", `{"replicas":4}`), labels: stamped(), owner: owner("example.com/v1", "App", true), replicas: 4},
		},
		{
			name: "owned but not controlled by a Deployment is ours",
			new:  object{annotations: with(), owner: owner("apps/v1", "Deployment", false), replicas: 4},
			want: object{annotations: with("state", `{"replicas":4}`), labels: stamped(), owner: owner("apps/v1", "Deployment", false), replicas: 4},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.run(t, reviewer(func(r *webhook.Reviewer) {
				r.Scalable = func(group, kind string) bool { return group == "argoproj.io" && kind == "Rollout" }
			}))
		})
	}
}

func TestALabelCarriesTheClass(t *testing.T) {
	label := map[string]string{"autoscale.io/bucket": "blue." + bucket}
	for _, c := range []admissionCase{
		{
			name: "created",
			new:  object{annotations: with("class", "blue"), replicas: 4},
			want: object{annotations: with("class", "blue", "state", `{"replicas":4}`), labels: label, replicas: 4},
		},
		untouched("of the usual class", nil, object{annotations: with(), replicas: 4}),
		{
			name: "handed over with its history",
			old:  &object{uid: uid, labels: stamped(), annotations: with("state", before, "status", "{}"), replicas: 6},
			new:  object{uid: uid, labels: stamped(), annotations: with("class", "blue", "state", before, "status", "{}"), replicas: 1},
			want: object{uid: uid, labels: label, annotations: with("class", "blue", "state", before, "status", "{}"), replicas: 6},
			warnings: []string{
				"spec.replicas stays at 6 instead of 1, since autoscale.io manages it: leave replicas out of the manifest; to change the count use kubectl scale, autoscale.io/pause or the bounds",
			},
		},
		{
			name: "released",
			old:  &object{uid: uid, labels: label, annotations: with("class", "blue", "state", before), replicas: 6},
			new:  object{uid: uid, labels: label, replicas: 6},
			want: object{uid: uid, labels: map[string]string{}, replicas: 6},
		},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, reviewer(func(r *webhook.Reviewer) { r.Class = "blue" })) })
	}
}

func TestLeftoversOfACopyGo(t *testing.T) {
	leftovers := map[string]string{"autoscale.io/state": slept, "autoscale.io/status": "{}", "example.com/a": "b"}
	clean := map[string]string{"example.com/a": "b"}
	labelled := object{uid: uid, labels: stamped(), annotations: map[string]string{"autoscale.io/state": slept}, replicas: 0}
	for _, c := range []admissionCase{
		{name: "created", new: object{labels: stamped(), annotations: leftovers, replicas: 4}, want: object{labels: map[string]string{}, annotations: clean, replicas: 4}},
		{
			name: "written onto an object that was never managed",
			old:  &object{uid: uid, replicas: 4}, new: object{uid: uid, labels: stamped("app", "a"), annotations: leftovers, replicas: 2},
			want: object{uid: uid, labels: map[string]string{"app": "a"}, annotations: clean, replicas: 2},
		},
		// The annotations went while the webhook was away: the state is still needed to leave management in good order.
		untouched("that the loop has yet to release", &labelled, object{uid: uid, labels: stamped("app", "a"), annotations: map[string]string{"autoscale.io/state": slept}, replicas: 0}),
		{
			name: "that the loop has yet to release and others removed",
			old:  &labelled, new: object{uid: uid, replicas: 0},
			want: labelled,
		},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, reviewer()) })
	}
}
