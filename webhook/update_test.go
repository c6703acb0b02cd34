package webhook_test

import (
	"fmt"
	"testing"
)

// stays is the warning about a count that is kept.
func stays(live, asked int) string {
	return fmt.Sprintf("spec.replicas stays at %d instead of %d, since autoscale.io manages it: leave replicas out of the manifest; to change the count use kubectl scale, autoscale.io/pause or the bounds", live, asked)
}

func runAll(t *testing.T, cases []admissionCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, reviewer()) })
	}
}

func TestAReappliedManifestKeepsTheLiveCount(t *testing.T) {
	six, zero, sleeping := live(6), live(0), live(0, "state", slept)
	unmanaged := object{uid: uid, replicas: 6}
	adopted := object{uid: uid, labels: stamped(), annotations: with("state", adoptedNow), replicas: 6}
	runAll(t, []admissionCase{
		untouched("nothing changes", &six, six),
		{name: "the manifest's count", old: &six, new: live(2), want: six, warnings: []string{stays(6, 2)}},
		{name: "zero", old: &six, new: live(0), want: six, warnings: []string{stays(6, 0)}},
		{name: "the default after replicas were dropped", old: &six, new: live(1), want: six, warnings: []string{stays(6, 1)}},
		{name: "no default is filled in", old: &six, new: live(nil), want: six, warnings: []string{stays(6, 1)}},
		{name: "no default is filled in for a count that is the default", old: ref(live(1)), new: live(nil), want: live(1)},
		{name: "no spec", old: &six, new: object{uid: uid, labels: stamped(), annotations: six.annotations, noSpec: true}, warnings: []string{stays(6, 1)},
			want: object{uid: uid, labels: stamped(), annotations: six.annotations, replicas: 6, onlyReplicas: true}},
		{name: "a zero of a person", old: &zero, new: live(3), want: zero, warnings: []string{stays(0, 3)}},
		{name: "a zero of the autoscaler", old: &sleeping, new: live(3, "state", slept), want: sleeping, warnings: []string{stays(0, 3)}},
		{name: "adoption while replicas are dropped", old: &unmanaged, new: object{uid: uid, annotations: with(), replicas: 1}, want: adopted, warnings: []string{stays(6, 1)}},
		{name: "adoption does not scale down to the ceiling at once", old: &unmanaged, new: object{uid: uid, annotations: with("max-replicas", "2"), replicas: 6},
			want: object{uid: uid, labels: stamped(), annotations: with("max-replicas", "2", "state", adoptedNow), replicas: 6}},
		{name: "while paused", old: &six, new: live(2, "pause", "true"), want: live(6, "pause", "true"), warnings: []string{stays(6, 2)}},
		untouched("the autoscaler's own write", &six, object{uid: uid, labels: map[string]string{"autoscale.io/bucket": "x"}, annotations: with("state", "s"), replicas: 9}).by(identity),
		// The kind keeps its count elsewhere, or in another form.
		untouched("a count that is no number", ref(live("many")), live("few")),
		untouched("a negative count, for the API server to refuse", &six, live(-1)),
		untouched("a count that becomes a number", ref(live("many")), live(3)),
	})
}

func TestADryRunLeavesTheManifestInForce(t *testing.T) {
	six := live(6, "dry-run", "true")
	runAll(t, []admissionCase{
		{name: "asked for two", old: &six, new: live(2, "dry-run", "true"), want: live(2, "dry-run", "true"),
			warnings: []string{"spec.replicas goes from 6 to 2 as asked, since autoscale.io/dry-run is on; without it, it would stay at 6"}},
		untouched("new bounds", &six, live(6, "dry-run", "true", "max-replicas", "5")),
		untouched("released", ref(live(0, "dry-run", "true", "on-removal", "restore", "state", slept)), object{uid: uid, replicas: 0}),
	})
}

func TestBoundsOfTheSameRequestHoldAtOnce(t *testing.T) {
	goes := func(from, to, low, high int) []string {
		return []string{fmt.Sprintf("spec.replicas goes from %d to %d, the nearest count within the new bounds %d to %d", from, to, low, high)}
	}
	six := live(6)
	runAll(t, []admissionCase{
		{name: "a lower ceiling", old: &six, new: live(6, "max-replicas", "5"), want: live(5, "max-replicas", "5"), warnings: goes(6, 5, 1, 5)},
		{name: "a lower ceiling that the manifest obeys", old: &six, new: live(5, "max-replicas", "5"), want: live(5, "max-replicas", "5")},
		{name: "a higher floor", old: &six, new: live(6, "min-replicas", "8"), want: live(8, "min-replicas", "8"), warnings: goes(6, 8, 8, 10)},
		{name: "a lower ceiling and another count", old: &six, new: live(2, "max-replicas", "5"), want: live(5, "max-replicas", "5"), warnings: []string{
			"spec.replicas goes from 6 to 5 instead of 2, the count nearest to the live one within the new bounds 1 to 5; autoscale.io manages it",
		}},
		untouched("bounds around the count", &six, live(6, "max-replicas", "20", "min-replicas", "2")),
		untouched("bounds that a schedule replaces", &six, live(6, "max-replicas", "5", "schedule.night", "{start: 0 22 * * *, end: 0 6 * * *, max: 9}")),
		untouched("bounds that were passed before", ref(live(16)), live(16, "cooldown", "1m")),
		untouched("bounds in other words", ref(live(16)), live(16, "min-replicas", "1")),
		untouched("paused", &six, live(6, "max-replicas", "5", "pause", "scale-in")),
		untouched("paused for a while yet", &six, live(6, "max-replicas", "5", "pause", "true", "pause-until", "2026-03-01T12:00:01Z")),
		{name: "a pause that is over", old: &six, new: live(6, "max-replicas", "5", "pause", "true", "pause-until", "2026-03-01T12:00:00Z"),
			want: live(5, "max-replicas", "5", "pause", "true", "pause-until", "2026-03-01T12:00:00Z"), warnings: goes(6, 5, 1, 5)},
		untouched("a zero of a person", ref(live(0, "min-replicas", "0")), live(0, "min-replicas", "2")),
		{name: "a zero of the autoscaler", old: ref(live(0, "min-replicas", "0", "state", slept)), new: live(0, "min-replicas", "2", "state", slept),
			want: live(2, "min-replicas", "2", "state", slept), warnings: goes(0, 2, 2, 10)},
		untouched("a zero of the autoscaler that is still allowed", ref(live(0, "min-replicas", "0", "state", slept)), live(0, "min-replicas", "0", "max-replicas", "5", "state", slept)),
		untouched("an idle count below the floor", ref(live(2, "min-replicas", "3", "idle-replicas", "2")), live(2, "min-replicas", "4", "idle-replicas", "2")),
		{name: "a higher idle count", old: ref(live(1, "min-replicas", "3", "idle-replicas", "1")), new: live(1, "min-replicas", "3", "idle-replicas", "2"),
			want: live(2, "min-replicas", "3", "idle-replicas", "2"), warnings: goes(1, 2, 3, 10)},
		untouched("after bounds that were faulty", ref(live(16, "max-replicas", "many")), live(16)),
	})
}

func TestAFaultIsDeniedOnlyWhenTheRequestBringsIt(t *testing.T) {
	faulty := func(replicas int, pairs ...string) object {
		return live(replicas, append([]string{"max-replicas", "many", "cooldwn", "1m"}, pairs...)...)
	}
	held := []string{
		"replicas are held until this is mended: autoscale.io/cooldwn: unknown annotation autoscale.io/cooldwn; did you mean autoscale.io/cooldown?",
		`replicas are held until this is mended: autoscale.io/max-replicas: got "many", want a whole number ≥ 1`,
	}
	const both = "autoscale.io/cooldwn: unknown annotation autoscale.io/cooldwn; did you mean autoscale.io/cooldown?\n" +
		`autoscale.io/max-replicas: got "many", want a whole number ≥ 1`
	runAll(t, []admissionCase{
		{name: "created", new: object{annotations: with("max-replicas", "many"), replicas: 1},
			denied: "1 fault in the annotations of Deployment shop/worker:\n" + `autoscale.io/max-replicas: got "many", want a whole number ≥ 1`},
		{name: "created under a name to come", new: object{generateName: "worker-", annotations: with("max-replicas", "many"), replicas: 1},
			denied: "1 fault in the annotations of Deployment shop/worker-:\n" + `autoscale.io/max-replicas: got "many", want a whole number ≥ 1`},
		{name: "adopted", old: &object{uid: uid, replicas: 1}, new: faulty(1), denied: "2 faults in the annotations of Deployment shop/worker:\n" + both},
		{name: "one more", old: ref(live(6, "max-replicas", "many")), new: faulty(6), denied: "2 faults in the annotations of Deployment shop/worker:\n" + both},
		{name: "another in its place", old: ref(live(6, "max-replicas", "many")), new: live(6, "max-replicas", "lots"),
			denied: "1 fault in the annotations of Deployment shop/worker:\n" + `autoscale.io/max-replicas: got "lots", want a whole number ≥ 1`},
		{name: "the last trigger removed", old: ref(live(6)), new: live(6, "trigger.orders", "-"),
			denied: "1 fault in the annotations of Deployment shop/worker:\nautoscale.io/trigger.<name>: missing; want at least one trigger"},
		{name: "a secret in a trigger", new: object{annotations: with("trigger.orders", "{type: queue, stream: orders, target: 10, pasword: hunter2}"), replicas: 1},
			denied: "1 fault in the annotations of Deployment shop/worker:\nautoscale.io/trigger.orders: unknown parameter pasword; did you mean password?"},
		{name: "an old fault and a hotfix", old: ref(faulty(6)), new: faulty(6, "trigger.mails", trigger), want: faulty(6, "trigger.mails", trigger), warnings: held},
		{name: "an old fault and the manifest's count", old: ref(faulty(6)), new: faulty(2), want: faulty(6), warnings: append(held[:2:2], stays(6, 2))},
		{name: "one of two old faults mended", old: ref(faulty(6)), new: live(6, "max-replicas", "many"), want: live(6, "max-replicas", "many"), warnings: held[1:]},
		{name: "a fault from before the webhook", old: &object{uid: uid, annotations: with("max-replicas", "many"), replicas: 6},
			new:  object{uid: uid, annotations: with("max-replicas", "many"), replicas: 6},
			want: object{uid: uid, labels: stamped(), annotations: with("max-replicas", "many", "state", adoptedNow), replicas: 6}, warnings: held[1:]},
	})
}

func TestTheOldStateIsAuthoritative(t *testing.T) {
	six := live(6, "status", `{"Ready":"True"}`)
	rebuilt := live(6, "state", adoptedNow)
	runAll(t, []admissionCase{
		{name: "tampered with", old: &six, want: six,
			new: object{uid: uid, labels: map[string]string{"autoscale.io/bucket": "00"}, annotations: with("state", slept, "status", "{}"), replicas: 6}},
		{name: "dropped by a replace", old: &six, want: six, new: object{uid: uid, annotations: with(), replicas: 6}},
		{name: "status invented", old: ref(live(6)), want: live(6), new: live(6, "status", "{}")},
		{name: "missing", old: ref(live(6, "state", "-")), new: live(6, "state", "-"), want: rebuilt},
		{name: "broken", old: ref(live(6, "state", "{")), new: live(6, "state", "{"), want: rebuilt},
		{name: "of another object", old: ref(live(6, "state", `{"uid":"other","zero":true}`)), new: live(6, "state", `{"uid":"other","zero":true}`), want: rebuilt},
		{name: "too large", old: ref(live(6, "state", `{"replicas":2000000000}`)), new: live(6, "state", before), want: rebuilt},
		{name: "from the creation", old: ref(live(6, "state", `{"replicas":3}`)), new: live(6, "state", "-"), want: live(6, "state", `{"replicas":3}`)},
		{name: "our own answer of a moment ago", old: ref(live(6, "state", "-")),
			new:  live(6, "state", `{"uid":"4b0f2c1e","replicas":6,"adopted":"2026-03-01T11:59:58Z"}`),
			want: live(6, "state", `{"uid":"4b0f2c1e","replicas":6,"adopted":"2026-03-01T11:59:58Z"}`)},
		{name: "an adoption of long ago", old: ref(live(6, "state", "-")), new: live(6, "state", `{"uid":"4b0f2c1e","replicas":6,"adopted":"2026-03-01T11:59:00Z"}`), want: rebuilt},
		{name: "an adoption to come", old: ref(live(6, "state", "-")), new: live(6, "state", `{"uid":"4b0f2c1e","replicas":6,"adopted":"2026-03-01T13:00:00Z"}`), want: rebuilt},
		{name: "of an object that was not managed", old: &object{uid: uid, annotations: map[string]string{"autoscale.io/state": before}, replicas: 6},
			new: object{uid: uid, annotations: with("state", before, "status", "{}"), replicas: 6}, want: rebuilt},
		{name: "adopted at zero, which counts as ours", old: &object{uid: uid, replicas: 0}, new: object{uid: uid, annotations: with(), replicas: 0},
			want: live(0, "state", `{"uid":"4b0f2c1e","replicas":0,"adopted":"2026-03-01T12:00:00Z","zero":true}`)},
		{name: "without a count", old: &object{uid: uid}, new: object{uid: uid, annotations: with()},
			want: live(nil, "state", `{"uid":"4b0f2c1e","adopted":"2026-03-01T12:00:00Z"}`)},
	})
}

func TestRemovalEndsTheManagement(t *testing.T) {
	managed := func(replicas int, pairs ...string) *object { return ref(live(replicas, pairs...)) }
	left := func(replicas int) object { return object{uid: uid, replicas: replicas} }
	leftovers := func(replicas int) object {
		return object{uid: uid, labels: stamped("app", "a"), annotations: map[string]string{"autoscale.io/state": before, "autoscale.io/status": "{}", "a": "b"}, replicas: replicas}
	}
	clean := func(replicas int) object {
		return object{uid: uid, labels: map[string]string{"app": "a"}, annotations: map[string]string{"a": "b"}, replicas: replicas}
	}
	keeps := func(live, asked int) []string {
		return []string{fmt.Sprintf("spec.replicas stays at %d instead of %d now that autoscale.io no longer manages it; to change the count use kubectl scale", live, asked)}
	}
	wakes := func(to int) []string {
		return []string{fmt.Sprintf("spec.replicas goes from 0 to %d now that autoscale.io no longer manages it: a zero made by the autoscaler is not left behind", to)}
	}
	restores := func(from, to int) []string {
		return []string{fmt.Sprintf("spec.replicas goes from %d to %d now that autoscale.io no longer manages it: autoscale.io/on-removal was restore", from, to)}
	}
	runAll(t, []admissionCase{
		{name: "kept, and cleaned", old: managed(6), new: leftovers(6), want: clean(6)},
		{name: "all at once", old: managed(6), new: left(6), want: left(6)},
		{name: "with a count of its own", old: managed(6), new: left(4), want: left(4)},
		{name: "with a zero of its own", old: managed(6), new: left(0), want: left(0)},
		{name: "with replicas dropped", old: managed(6), new: left(1), want: left(6), warnings: keeps(6, 1)},
		{name: "at a zero of the autoscaler", old: managed(0, "state", slept), new: left(0), want: left(3), warnings: wakes(3)},
		{name: "at a zero of the autoscaler with replicas dropped", old: managed(0, "state", slept), new: left(1), want: left(3), warnings: wakes(3)},
		{name: "at a zero it was adopted at", old: managed(0, "state", `{"uid":"4b0f2c1e","replicas":0,"zero":true}`), new: left(0), want: left(1), warnings: wakes(1)},
		{name: "at a zero it was created at", old: managed(0, "state", `{"replicas":0}`), new: left(0), want: left(1), warnings: wakes(1)},
		{name: "at a zero of a person", old: managed(0), new: left(0), want: left(0)},
		{name: "at a zero nobody knows of", old: managed(0, "state", "-"), new: left(0), want: left(1), warnings: wakes(1)},
		{name: "at a zero from before it was ever labelled", old: &object{uid: uid, annotations: with(), replicas: 0}, new: left(0), want: left(0)},
		{name: "restored", old: managed(6, "on-removal", "restore"), new: left(6), want: left(3), warnings: restores(6, 3)},
		{name: "restored with replicas dropped", old: managed(6, "on-removal", "restore"), new: left(1), want: left(3), warnings: restores(6, 3)},
		{name: "restored from zero", old: managed(0, "on-removal", "restore", "state", slept), new: left(0), want: left(3), warnings: wakes(3)},
		{name: "restored from a zero of a person", old: managed(0, "on-removal", "restore"), new: left(0), want: left(3), warnings: restores(0, 3)},
		{name: "not restored over a count of its own", old: managed(6, "on-removal", "restore"), new: left(4), want: left(4)},
		{name: "by a faulty object", old: managed(6, "max-replicas", "many", "on-removal", "restore"), new: left(6), want: left(3), warnings: restores(6, 3)},
		{name: "with a count that is no number", old: ref(live("many")), new: object{uid: uid, replicas: "few"}, want: object{uid: uid, replicas: "few"}},
	})
}

func ref[T any](o T) *T { return &o }

// by is the same request of another user.
func (c admissionCase) by(user string) admissionCase {
	c.user = user
	return c
}
