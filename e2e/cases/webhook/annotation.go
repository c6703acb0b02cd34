package webhook

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"

	"autoscale.io/annotations"
	"autoscale.io/e2e/world"
)

func annotationCases() []world.Case {
	return []world.Case{
		{ID: "AN-01", Symptom: "the mere presence of the pause annotation pauses, even when it says false", Holds: "pause is read strictly", In: world.Test, Run: strictPause},
		{ID: "AN-04", Symptom: "a misspelt parameter is ignored and a default is used", Holds: "unknown keys and parameters are refused with a suggestion", In: world.Test, Run: misspelt},
		{ID: "AN-05", Symptom: "0 is taken for unset and replaced by a default", Holds: "0, empty and absent are three things", In: world.Soak, Run: zeroOrUnset},
		{ID: "AN-07", Symptom: "long names and odd characters break labels and metrics", Holds: "long names, odd stream names and 30 triggers work", In: world.Test, Run: oddNames},
		{ID: "AN-09", Symptom: "state in annotations is copied, edited or restored from a backup and causes an instant zero", Holds: "foreign state is discarded, tampering is undone", In: world.Soak, Run: foreignState},
		{ID: "AN-refs", Symptom: "a secret that cannot be read becomes an empty password", Holds: "an unresolvable reference holds the count and is named", In: world.Test, Run: unresolvable},
	}
}

func strictPause(t *testing.T, w *world.World) {
	stream := w.Stream("s")
	w.Group(w.Redis.Client(), stream, "0")
	w.Add(w.Redis.Client(), stream, 10)
	trigger := w.Trigger(stream, world.Group)
	for i, value := range []string{"True", "", " yes ", "no"} {
		settings := world.Quick(world.Settings{"trigger.orders": trigger})
		settings["pause"] = value
		w.WantRefused(w.Deployment(fmt.Sprintf("bad-%d", i), 1, settings),
			fmt.Sprintf(`autoscale.io/pause: got "%s", want true, false, a number of replicas, scale-in or scale-out`, value))
	}
	for name, value := range map[string]string{"held": "true", "off": "false", "zero": "0", "one": "1"} {
		w.Create(name, 3, world.Quick(world.Settings{"trigger.orders": trigger, "pause": value}))
	}
	w.AwaitReplicas("off", 2, world.Soon)
	w.AwaitReplicas("zero", 0, world.Soon)
	w.AwaitReplicas("one", 1, world.Soon)
	w.AwaitDecisions("held", 3)
	w.WantCounts("held", 3)
	if err := w.Annotate("held", world.Settings{"pause": "maybe"}); err == nil {
		t.Error("pause: maybe was accepted")
	}
	if got := w.Get("held").Annotations["autoscale.io/pause"]; got != "true" {
		t.Errorf("after a refused edit pause is %q, want the last good value", got)
	}
	if err := w.Annotate("held", world.Settings{"pause": ""}); err != nil {
		t.Fatal(err)
	}
	w.AwaitReplicas("held", 2, world.Soon)
}

func misspelt(t *testing.T, w *world.World) {
	good := world.Quick(world.Settings{"trigger.orders": w.Trigger(w.Stream("s"), world.Group)})
	i := 0
	refuse := func(change func(world.Settings), pattern string) {
		t.Helper()
		settings := world.Settings{}
		for key, value := range good {
			settings[key] = value
		}
		change(settings)
		i++
		w.WantRefused(w.Deployment(fmt.Sprintf("bad-%d", i), 1, settings), pattern)
	}
	for _, key := range []string{"min-replicas", "max-replicas", "cooldown", "polling-interval", "behavior"} {
		wrong := strings.Replace(key, "i", "j", 1)
		if wrong == key {
			wrong = key + "s"
		}
		refuse(func(s world.Settings) { s[wrong] = s[key]; delete(s, key) }, "unknown annotation autoscale.io/"+wrong+`; did you mean autoscale.io/`+key+`\?`)
	}
	for name, wrong := range map[string]string{"consumerGroup": "consumergroup", "activation": "activatoin", "measure": "mesure"} {
		refuse(func(s world.Settings) { s["trigger.orders"] = w.Trigger(w.Stream("s"), ", "+wrong+": 1") }, "unknown parameter "+wrong+"; did you mean "+name+`\?`)
	}
	refuse(func(s world.Settings) { s["trigger.orders"] = "{type: redis-stream, target: 5}" }, `type: unknown type redis-stream; did you mean redis-streams\?`)
	// A typo that got in while nobody checked must not block a hotfix: the edit of something else is let through with a warning.
	w.Create("fine", 1, good)
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		d := w.Get("fine")
		d.Spec.Template.Spec.Containers[0].Image = "worker:hotfix"
		_, err := w.Kube.AppsV1().Deployments(w.Namespace).Update(t.Context(), d, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		t.Errorf("a hotfix was refused: %v", err)
	}
}

func zeroOrUnset(t *testing.T, w *world.World) {
	trigger := func(more string) string { return w.Trigger(w.Stream("s"), world.Group+more) }
	w.Create("zero", 0, world.Quick(world.Settings{"min-replicas": "0", "cooldown": "0s", "initial-cooldown": "0s", "trigger.orders": trigger(", activation: 0")}))
	for i, bad := range []world.Settings{
		{"min-replicas": " "}, {"cooldown": " "}, {"max-replicas": "0"},
		{"trigger.orders": trigger(", activation: ~")}, {"trigger.orders": trigger(`, activation: ""`)},
		{"trigger.orders": strings.Replace(trigger(""), "target: 5", "target: 0", 1)},
	} {
		w.WantRefused(w.Deployment(fmt.Sprintf("bad-%d", i), 1, world.Quick(bad)), "autoscale.io/.*(got|has no value).*want")
	}
	absent := world.Quick(world.Settings{"min-replicas": "", "trigger.orders": trigger("")})
	w.Create("absent", 2, absent)
	w.AwaitReplicas("absent", 1, world.Soon)
	w.AwaitDecisions("absent", 5)
	w.WantCounts("absent", 2, 1)
}

func oddNames(t *testing.T, w *world.World) {
	client := w.Redis.Client()
	long := strings.Repeat("n", 63) + "." + strings.Repeat("a", 63) + "." + strings.Repeat("m", 63) + "." + strings.Repeat("e", 61)
	stream := w.Stream(`{app}:jobs*"ü`)
	w.Group(client, stream, "0")
	w.Add(client, stream, 10)
	w.Create(long, 0, world.Quick(world.Settings{"trigger.orders": fmt.Sprintf("{type: redis-streams, address: %q, stream: %q, target: 5, consumerGroup: workers}", w.Redis.Addr(), stream)}))
	many := world.Quick(nil)
	for i := range 30 {
		many[fmt.Sprintf("trigger.t%02d", i)] = w.Trigger(stream, world.Group)
	}
	w.Create("many", 0, many)
	w.AwaitReplicas(long, 2, world.Soon)
	w.AwaitReplicas("many", 2, world.Soon)
	if _, err := w.Metric(t.Context(), "autoscale_trigger_value", "many", `trigger="t29"`); err != nil {
		t.Error(err)
	}
}

func foreignState(t *testing.T, w *world.World) {
	stream := w.Stream("s")
	w.Group(w.Redis.Client(), stream, "0")
	settings := world.Quick(world.Settings{"cooldown": "1s", "trigger.orders": w.Trigger(stream, world.Group)})
	w.Create("origin", 2, settings)
	w.AwaitReplicas("origin", 0, world.Soon)
	origin := w.Get("origin")
	if state, ok := annotations.ReadState(origin.Annotations, origin.UID); !ok || !state.Zero {
		t.Fatalf("the zero of the origin is not marked: %s", origin.Annotations[annotations.StateKey])
	}
	// A copy with all annotations, as kubectl get -o yaml | apply makes it.
	duplicate := w.Deployment("copy", 4, settings)
	duplicate.Annotations[annotations.StateKey] = origin.Annotations[annotations.StateKey]
	duplicate.Annotations[annotations.StatusKey] = origin.Annotations[annotations.StatusKey]
	duplicate.Labels = map[string]string{annotations.Bucket: "99"}
	if _, err := w.Kube.AppsV1().Deployments(w.Namespace).Create(t.Context(), duplicate, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	got := w.Get("copy")
	state, ok := annotations.ReadState(got.Annotations, got.UID)
	if !ok || state.Zero || state.Replicas == nil || *state.Replicas != 4 {
		t.Errorf("the copy's state is %s, want a fresh one of 4 replicas", got.Annotations[annotations.StateKey])
	}
	if got.Labels[annotations.Bucket] == "99" {
		t.Error("the copy kept a foreign bucket")
	}
	for _, forged := range []string{`{"uid":"x","zero":true}`, `not JSON`, `{"adopted":"2099-01-01T00:00:00Z","replicas":99999999}`} {
		patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, annotations.StateKey, forged)
		after, err := w.Kube.AppsV1().Deployments(w.Namespace).Patch(t.Context(), "copy", types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if after.Annotations[annotations.StateKey] == forged {
			t.Errorf("the forged state %s was kept", forged)
		}
	}
	w.AwaitReplicas("copy", 0, world.Soon)
	w.WantCounts("copy", 4, 1, 0)
}

func unresolvable(_ *testing.T, w *world.World) {
	w.Create("worker", 3, world.Quick(world.Settings{"cooldown": "1s", "trigger.orders": fmt.Sprintf(
		"{type: redis-streams, address: %q, stream: jobs, target: 5, passwordFrom: {secret: absent, key: password}}", w.Redis.Addr())}))
	w.AwaitEvent("worker", "TriggerUnknown", "password: read Secret "+w.Namespace+"/absent: .*not found")
	w.AwaitDecisions("worker", 4)
	w.WantCounts("worker", 3)
}
