package decision

import (
	"fmt"
	"testing"
	"time"

	"autoscale.io/e2e/world"
	"autoscale.io/scalers/scalertest/servers"
)

func zeroCases() []world.Case {
	return []world.Case{
		{ID: "SZ-01", Symptom: "the source is down or refuses the login, that reads as idle, and everything goes to zero", Holds: "replicas never fall while a source cannot be read", In: world.Test, Run: outage},
		{ID: "SZ-02", Symptom: "an answer without the value is read as 0", Holds: "a key that is no stream is UNKNOWN", In: world.Test, Run: answerWithoutValue},
		{ID: "SZ-03", Symptom: "a series that disappears counts as 0, and everything goes to its minimum at the peak", Holds: "no row, a second row and NULL are what the trigger says, and UNKNOWN otherwise", In: world.Test, Run: vanishedSeries},
		{ID: "SZ-04", Symptom: "a running workload that is put under management is scaled to zero in the first second", Holds: "nothing goes down before one full cooldown", In: world.Soak, Run: adoptionKeeps},
		{ID: "SZ-05", Symptom: "at the end of the cooldown the count jumps from N to 0", Holds: "policies lead down to one, only then zero", In: world.Test, Run: stepsDown},
		{ID: "SZ-06", Symptom: "nobody knows what the cooldown delays, and an edit of it does nothing", Holds: "it delays the last step alone, the status says until when, and an edit counts at once", In: world.Soak, Run: cooldownEdits},
		{ID: "SZ-08", Symptom: "nothing waits while workers work, so they are ended mid-message", Holds: "work in progress counts as work", In: world.Soak, Run: busyWorkers},
		{ID: "SZ-09", Symptom: "work that is seen while another trigger fails is forgotten, and zero comes the moment the error clears", Holds: "zero comes a whole cooldown after the last work", In: world.Soak, Run: workBesideAFailure},
		{ID: "SZ-12", Symptom: "removing the autoscaler leaves the workload at zero for ever", Holds: "a zero of ours is not left behind", In: world.Soak, Run: leaving},
		{ID: "SZ-person", Symptom: "a zero that a person set is woken up again", Holds: "a person's zero stays, our own wakes", In: world.Test, Run: zeroByPerson},
	}
}

// outage goes through every way in which a source can be away.
func outage(t *testing.T, w *world.World) {
	server := servers.MustRedis(t, servers.RedisOptions{Password: "s3cret"})
	proxy := servers.MustProxy(t, server.Addr())
	client := server.Client()
	w.Group(client, "jobs", "0")
	w.Add(client, "jobs", 28)
	w.Secret("redis", "s3cret")
	w.Create("worker", 6, world.Quick(world.Settings{"cooldown": "1s", "trigger.orders": fmt.Sprintf(
		"{type: redis-streams, address: %q, stream: jobs, consumerGroup: workers, target: 5, passwordFrom: {secret: redis, key: password}}", proxy.Addr())}))
	w.AwaitValue("worker", "orders", "28")
	for name, mode := range map[string]servers.Mode{"refuse": servers.Refuse, "reset": servers.Reset, "silent": servers.Silent, "freeze": servers.Freeze} {
		if err := proxy.Set(mode); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		w.AwaitKnown("worker", "orders", "0")
		w.AwaitDecisions("worker", 4)
		w.WantCounts("worker", 6)
		if err := proxy.Set(servers.Pass); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		w.AwaitKnown("worker", "orders", "1")
	}
	w.Secret("redis", "wrong")
	if err := client.ConfigSet(t.Context(), "requirepass", "other").Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	w.AwaitKnown("worker", "orders", "0")
	w.AwaitEvent("worker", "TriggerUnknown", "(?i)wrongpass|noauth|invalid")
	w.AwaitDecisions("worker", 4)
	w.Secret("redis", "other")
	w.AwaitKnown("worker", "orders", "1")
	w.WantCounts("worker", 6)
	name := "lost"
	w.Create(name, 4, world.Quick(world.Settings{"cooldown": "1s", "trigger.orders": "{type: redis-streams, address: \"redis.invalid:6379\", stream: jobs, target: 5}"}))
	w.AwaitKnown(name, "orders", "0")
	w.AwaitDecisions(name, 4)
	w.WantCounts(name, 4)
}

func answerWithoutValue(t *testing.T, w *world.World) {
	key := w.Stream("s")
	if err := w.Redis.Client().Set(t.Context(), key, "no stream", 0).Err(); err != nil {
		t.Fatal(err)
	}
	w.Create("worker", 3, world.Quick(world.Settings{"cooldown": "1s", "trigger.orders": w.Trigger(key, world.Group)}))
	w.AwaitEvent("worker", "TriggerUnknown", "(?i)no stream|not a stream|wrongtype|wrong kind")
	w.AwaitDecisions("worker", 5)
	w.WantCounts("worker", 3)
}

// vanishedSeries has a query whose rows go away and come back, and the ways to say what that means.
func vanishedSeries(_ *testing.T, w *world.World) {
	server := w.Postgres(1)
	w.Secret("db", world.Reads)
	w.Exec(server.DB(), "create table series (value int)", "insert into series values (4)", "grant select on series to reader")
	one := w.SQLTrigger(server.Addr(), "select value from series")
	total := w.SQLTrigger(server.Addr(), "select sum(value) from series")
	explicit := total[:len(total)-1] + ", nullAs: unknown}"
	for name, trigger := range map[string]string{"one": one, "total": total, "explicit": explicit} {
		w.Create(name, 1, world.Quick(world.Settings{"cooldown": "1s", "trigger.series": trigger}))
		w.AwaitReplicas(name, 4, world.Soon)
	}
	w.Exec(server.DB(), "delete from series")
	w.AwaitEvent("one", "TriggerUnknown", "the query answered no row; want exactly one row with one number")
	w.AwaitEvent("explicit", "TriggerUnknown", "the query answered NULL")
	w.AwaitReplicas("total", 0, world.Soon) // the sum of nothing, unless nullAs says otherwise
	w.AwaitDecisions("one", 4)
	w.Exec(server.DB(), "insert into series values (3), (2)")
	w.AwaitEvent("one", "TriggerUnknown", "the query answered more than one row")
	w.AwaitReplicas("total", 5, world.Soon)
	w.AwaitReplicas("explicit", 5, world.Soon)
	w.WantCounts("one", 1, 4)
	w.WantCounts("explicit", 1, 4, 5)
}

func adoptionKeeps(t *testing.T, w *world.World) {
	const cooldown = 6 * time.Second
	stream := w.Stream("s")
	w.Group(w.Redis.Client(), stream, "0")
	settings := world.Quick(world.Settings{"cooldown": cooldown.String(), "behavior": "", "trigger.orders": w.Trigger(stream, world.Group)})
	settings["behavior"] = fmt.Sprintf("{scaleDown: {stabilizationWindowSeconds: %d}}", int(cooldown.Seconds()))
	w.Create("plain", 5, nil)
	w.AwaitReplicas("plain", 5, world.Soon)
	began := time.Now()
	if err := w.Annotate("plain", settings); err != nil {
		t.Fatal(err)
	}
	w.Create("new", 3, settings)
	for _, name := range []string{"plain", "new"} {
		w.AwaitReplicas(name, 0, 2*time.Minute)
	}
	for _, name := range []string{"plain", "new"} {
		if first := w.FirstFall(name); first.Sub(began) < cooldown {
			t.Errorf("%s fell %s after adoption, before the cooldown of %s", name, first.Sub(began), cooldown)
		}
	}
}

func stepsDown(t *testing.T, w *world.World) {
	stream, client := w.Stream("s"), w.Redis.Client()
	w.Group(client, stream, "0")
	w.Add(client, stream, 20)
	w.Create("worker", 4, world.Quick(world.Settings{
		"cooldown": "2s", "trigger.orders": w.Trigger(stream, world.Group),
		"behavior": "{scaleDown: {stabilizationWindowSeconds: 0, policies: [{type: Pods, value: 1, periodSeconds: 2}]}}",
	}))
	w.AwaitValue("worker", "orders", "20")
	w.Read(client, stream, 20, true)
	w.AwaitReplicas("worker", 0, 2*time.Minute)
	w.WantCounts("worker", 4, 3, 2, 1, 0)
}

func busyWorkers(t *testing.T, w *world.World) {
	stream, client := w.Stream("s"), w.Redis.Client()
	w.Group(client, stream, "0")
	w.Add(client, stream, 3)
	w.Create("worker", 0, world.Quick(world.Settings{"cooldown": "1s", "trigger.orders": w.Trigger(stream, world.Group)}))
	w.AwaitReplicas("worker", 1, world.Soon)
	ids := w.Read(client, stream, 3, false)
	w.AwaitDecisions("worker", 6)
	w.WantCounts("worker", 0, 1)
	w.Ack(client, stream, ids)
	w.AwaitReplicas("worker", 0, world.Soon)
}

func leaving(t *testing.T, w *world.World) {
	stream := w.Stream("s")
	w.Group(w.Redis.Client(), stream, "0")
	gone := world.Settings{}
	for key := range world.Quick(world.Settings{"trigger.orders": "x", "on-removal": "x"}) {
		gone[key] = ""
	}
	for _, name := range []string{"keep", "restore", "up"} {
		settings := world.Quick(world.Settings{"cooldown": "1s", "trigger.orders": w.Trigger(stream, world.Group)})
		if name == "restore" {
			settings["on-removal"] = "restore"
		}
		w.Create(name, 3, settings)
	}
	for _, name := range []string{"keep", "restore", "up"} {
		w.AwaitReplicas(name, 0, time.Minute)
	}
	for _, name := range []string{"keep", "restore"} {
		if err := w.Annotate(name, gone); err != nil {
			t.Fatal(err)
		}
		w.AwaitReplicas(name, 3, world.Soon)
		w.WantReleased(name)
	}
	w.ScaleByHand("up", 2)
	w.AwaitReplicas("up", 0, world.Soon)
	w.ScaleByHand("up", 2)
	all := world.Settings{"state": "", "status": ""}
	for key := range gone {
		all[key] = ""
	}
	if err := w.Annotate("up", all); err != nil {
		t.Fatal(err)
	}
	w.WantReleased("up")
}

func zeroByPerson(t *testing.T, w *world.World) {
	stream, client := w.Stream("s"), w.Redis.Client()
	w.Group(client, stream, "0")
	w.Create("worker", 2, world.Quick(world.Settings{"cooldown": "1s", "trigger.orders": w.Trigger(stream, world.Group)}))
	w.AwaitReplicas("worker", 0, world.Soon)
	w.Add(client, stream, 5)
	w.AwaitReplicas("worker", 1, world.Soon)
	w.ScaleByHand("worker", 0)
	w.AwaitReplicas("worker", 0, world.Soon)
	w.AwaitDecisions("worker", 5)
	w.WantCounts("worker", 2, 1, 0, 1, 0)
	w.ScaleByHand("worker", 3)
	w.AwaitReplicas("worker", 1, world.Soon)
}

func cooldownEdits(t *testing.T, w *world.World) {
	stream, client := w.Stream("s"), w.Redis.Client()
	w.Group(client, stream, "0")
	w.Add(client, stream, 20)
	w.Create("worker", 4, world.Quick(world.Settings{"cooldown": "20s", "trigger.orders": w.Trigger(stream, world.Group)}))
	w.AwaitValue("worker", "orders", "20")
	w.Read(client, stream, 20, true)
	w.AwaitReplicas("worker", 1, 10*time.Second) // not delayed by the cooldown
	idle := time.Now()
	w.AwaitMessage("worker", "Active", `^no work seen since \S+Z; zero after the cooldown of 20s, at \S+Z$`)
	if err := w.Annotate("worker", world.Settings{"cooldown": "1h"}); err != nil {
		t.Fatal(err)
	}
	w.AwaitDecisionAt("worker", idle.Add(21*time.Second)) // longer than the cooldown from the beginning
	w.WantCounts("worker", 4, 1)
	if err := w.Annotate("worker", world.Settings{"cooldown": "12s"}); err != nil {
		t.Fatal(err)
	}
	w.AwaitReplicas("worker", 0, 8*time.Second) // counted from when the work ended, not from the edit
}

func workBesideAFailure(t *testing.T, w *world.World) {
	const cooldown = 5 * time.Second
	stream, client, other := w.Stream("s"), w.Redis.Client(), w.Behind(0)
	w.Group(client, stream, "0")
	w.Add(client, stream, 5)
	w.Create("worker", 1, world.Quick(world.Settings{"cooldown": cooldown.String(), "trigger.a": w.Trigger(stream, world.Group), "trigger.b": other.Trigger}))
	w.AwaitValue("worker", "a", "5")
	other.Set(t, servers.Refuse)
	w.AwaitKnown("worker", "b", "0")
	w.AwaitDecisionAt("worker", time.Now().Add(cooldown+time.Second))
	ended := time.Now()
	w.Read(client, stream, 5, true)
	other.Set(t, servers.Pass)
	w.AwaitReplicas("worker", 0, world.Soon)
	if took := w.FirstFall("worker").Sub(ended); took < cooldown {
		t.Errorf("zero came %s after the last work, before the cooldown of %s", took, cooldown)
	}
}
