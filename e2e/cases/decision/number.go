package decision

import (
	"fmt"
	"strings"
	"testing"

	"autoscale.io/e2e/world"
)

func numberCases() []world.Case {
	return []world.Case{
		{ID: "HA-05", Symptom: "NaN and Inf become the smallest integer and the count falls to the minimum", Holds: "what is no finite number is refused or UNKNOWN", In: world.Test, Run: notFinite},
		{ID: "HA-06", Symptom: "the largest backlog wraps around and gives zero replicas", Holds: "large values saturate at the maximum", In: world.Soak, Run: largeValues},
		{ID: "HA-07", Symptom: "a negative value turns into max replicas or cancels another trigger", Holds: "negative numbers are refused", In: world.Soak, Run: negativeValues},
		{ID: "SP-09", Symptom: "one odd object crashes the controller for everybody", Holds: "an odd object harms nobody else", In: world.Test, Run: oddObjects},
	}
}

func notFinite(t *testing.T, w *world.World) {
	answers(w, t, map[string]string{"NaN": "'NaN'::float8", "Infinity": "'Infinity'::float8", "-Infinity": "'-Infinity'::float8", "NULL": "null::int"})

	for i, target := range []string{"NaN", ".nan", "Inf", ".inf", "0", "1e999"} {
		w.WantRefused(w.Deployment(fmt.Sprintf("bad-%d", i), 1, world.Quick(world.Settings{"trigger.orders": fmt.Sprintf(
			"{type: redis-streams, address: %q, stream: s, target: %s}", w.Redis.Addr(), target)})),
			"autoscale.io/trigger.orders: target: got .*, want a number > 0")
	}
}

func largeValues(_ *testing.T, w *world.World) {
	database := w.Postgres(1)
	w.Secret("db", world.Reads)
	for name, value := range map[string]string{"two31": "2147483648::int8", "two53": "9007199254740993::int8", "e19": "1e19::numeric", "e308": "1e308::float8"} {
		w.Create(name, 1, world.Quick(world.Settings{"trigger.jobs": w.SQLTrigger(database.Addr(), "select "+value)}))
		w.AwaitReplicas(name, 10, world.Soon)
		w.WantCounts(name, 1, 10)
	}

	stream := w.Stream("s")
	w.Group(w.Redis.Client(), stream, "0")
	w.Add(w.Redis.Client(), stream, 400)
	for name, target := range map[string]string{"tiny": "0.0000001", "thousandth": "0.001", "smallest": "1e-300"} {
		w.Create(name, 1, world.Quick(world.Settings{"max-replicas": "7", "trigger.orders": fmt.Sprintf(
			"{type: redis-streams, address: %q, stream: %q, consumerGroup: workers, target: %s}", w.Redis.Addr(), stream, target)}))
		w.AwaitReplicas(name, 7, world.Soon)
		w.WantCounts(name, 1, 7)
	}
}

// answers has a workload at 4 whose query answers 4, then something that is no count, then 5 again.
func answers(w *world.World, t *testing.T, bad map[string]string) {
	t.Helper()
	server := w.Postgres(1)
	w.Secret("db", world.Reads)
	w.Exec(server.DB(), "create view answer as select 4::float8 as n", "grant select on answer to reader")
	trigger := w.SQLTrigger(server.Addr(), "select n from answer")
	w.Create("sql", 1, world.Quick(world.Settings{"cooldown": "1s", "trigger.jobs": trigger[:len(trigger)-1] + ", nullAs: unknown}"}))
	w.AwaitReplicas("sql", 4, world.Soon)
	for name, expression := range bad {
		w.Exec(server.DB(), "drop view answer", "create view answer as select "+expression+" as n", "grant select on answer to reader")
		w.AwaitKnown("sql", "jobs", "0")
		w.AwaitDecisions("sql", 3)
		if got := w.Changes.Counts("sql"); len(got) != 2 {
			t.Fatalf("%s: it had the counts %v", name, got)
		}
	}
	w.Exec(server.DB(), "drop view answer", "create view answer as select 5 as n", "grant select on answer to reader")
	w.AwaitReplicas("sql", 5, world.Soon)
	w.WantCounts("sql", 1, 4, 5)
}

func negativeValues(t *testing.T, w *world.World) {
	answers(w, t, map[string]string{"-5": "-5::int", "-0.5": "-0.5::float8"})

	for i, bad := range []world.Settings{
		{"min-replicas": "-1"}, {"max-replicas": "-5"}, {"cooldown": "-1s"},
		{"trigger.orders": fmt.Sprintf("{type: redis-streams, address: %q, stream: s, target: -5}", w.Redis.Addr())},
		{"trigger.orders": fmt.Sprintf("{type: redis-streams, address: %q, stream: s, target: 5, activation: -1}", w.Redis.Addr())},
	} {
		w.WantRefused(w.Deployment(fmt.Sprintf("bad-%d", i), 1, world.Quick(bad)), `got "-.*", want .*(≥|>) `)
	}
}

// oddObjects puts workloads beside each other that each would be reason enough to stumble, and looks whether a healthy one is served.
func oddObjects(t *testing.T, w *world.World) {
	stream := w.Stream("s")
	w.Group(w.Redis.Client(), stream, "0")
	w.Add(w.Redis.Client(), stream, 10)
	for i := range 20 {
		name := fmt.Sprintf("brief-%02d", i)
		w.Create(name, 0, world.Quick(world.Settings{"trigger.orders": w.Trigger(stream, world.Group)}))
		if err := w.Kube.AppsV1().Deployments(w.Namespace).Delete(t.Context(), name, world.DeleteNow()); err != nil {
			t.Fatal(err)
		}
	}
	huge := w.Deployment("huge", 1, world.Quick(world.Settings{"trigger.orders": w.Trigger(stream, world.Group)}))
	huge.Annotations["other/notes"] = strings.Repeat("0 ", 50_000)
	w.CreateDeployment(huge)
	w.Create("healthy", 0, world.Quick(world.Settings{"trigger.orders": w.Trigger(stream, world.Group)}))
	w.AwaitReplicas("healthy", 2, world.Soon)
	w.AwaitReplicas("huge", 2, world.Soon)
	if !w.Scaler.Running() {
		t.Fatal("the autoscaler has ended")
	}
}
