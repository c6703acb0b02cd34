package cases

import (
	"fmt"
	"testing"
	"time"

	"autoscale.io/scalers/scalertest/servers"
)

func zeroCases() []Case {
	return []Case{
		{ID: "SZ-01", Symptom: "the source is down or refuses the login, that reads as idle, and everything goes to zero", Holds: "replicas never fall while a source cannot be read", Run: outage},
		{ID: "SZ-02", Symptom: "an answer without the value is read as 0", Holds: "a key that is no stream is UNKNOWN", Run: answerWithoutValue},
		{ID: "SZ-03", Symptom: "a series that disappears counts as 0, and everything goes to its minimum at the peak", Holds: "no row, a second row and NULL are what the trigger says, and UNKNOWN otherwise", Run: vanishedSeries},
		{ID: "SZ-04", Symptom: "a running workload that is put under management is scaled to zero in the first second", Holds: "nothing goes down before one full cooldown", Run: adoptionKeeps},
		{ID: "SZ-05", Symptom: "at the end of the cooldown the count jumps from N to 0", Holds: "policies lead down to one, only then zero", Run: stepsDown},
		{ID: "SZ-06", Symptom: "nobody knows what the cooldown delays, and an edit of it does nothing", Holds: "it delays the last step alone, the status says until when, and an edit counts at once", Run: cooldownEdits},
		{ID: "SZ-08", Symptom: "nothing waits while workers work, so they are ended mid-message", Holds: "work in progress counts as work", Run: busyWorkers},
		{ID: "SZ-09", Symptom: "work that is seen while another trigger fails is forgotten, and zero comes the moment the error clears", Holds: "zero comes a whole cooldown after the last work", Run: workBesideAFailure},
		{ID: "SZ-12", Symptom: "removing the autoscaler leaves the workload at zero for ever", Holds: "a zero of ours is not left behind", Run: leaving},
		{ID: "SZ-person", Symptom: "a zero that a person set is woken up again", Holds: "a person's zero stays, our own wakes", Run: zeroByPerson},
	}
}

// outage goes through every way in which a source can be away.
func outage(t *testing.T, w *World) {
	server := servers.MustRedis(t, servers.RedisOptions{Password: "s3cret"})
	proxy := servers.MustProxy(t, server.Addr())
	client := server.Client()
	w.group(client, "jobs", "0")
	w.add(client, "jobs", 28)
	w.secret("redis", "s3cret")
	w.Create("worker", 6, quick(Settings{"cooldown": "1s", "trigger.orders": fmt.Sprintf(
		"{type: redis-streams, address: %q, stream: jobs, consumerGroup: workers, target: 5, passwordFrom: {secret: redis, key: password}}", proxy.Addr())}))
	w.awaitValue("worker", "orders", "28")
	for name, mode := range map[string]servers.Mode{"refuse": servers.Refuse, "reset": servers.Reset, "silent": servers.Silent, "freeze": servers.Freeze} {
		if err := proxy.Set(mode); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		w.awaitKnown("worker", "orders", "0")
		w.AwaitDecisions("worker", 4)
		w.WantCounts("worker", 6)
		if err := proxy.Set(servers.Pass); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		w.awaitKnown("worker", "orders", "1")
	}
	w.secret("redis", "wrong")
	if err := client.ConfigSet(t.Context(), "requirepass", "other").Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	w.awaitKnown("worker", "orders", "0")
	w.AwaitEvent("worker", "TriggerUnknown", "(?i)wrongpass|noauth|invalid")
	w.AwaitDecisions("worker", 4)
	w.secret("redis", "other")
	w.awaitKnown("worker", "orders", "1")
	w.WantCounts("worker", 6)
	name := "lost"
	w.Create(name, 4, quick(Settings{"cooldown": "1s", "trigger.orders": "{type: redis-streams, address: \"redis.invalid:6379\", stream: jobs, target: 5}"}))
	w.awaitKnown(name, "orders", "0")
	w.AwaitDecisions(name, 4)
	w.WantCounts(name, 4)
}

func answerWithoutValue(t *testing.T, w *World) {
	key := w.Stream("s")
	if err := w.redis.Client().Set(t.Context(), key, "no stream", 0).Err(); err != nil {
		t.Fatal(err)
	}
	w.Create("worker", 3, quick(Settings{"cooldown": "1s", "trigger.orders": w.trigger(key, group)}))
	w.AwaitEvent("worker", "TriggerUnknown", "(?i)no stream|not a stream|wrongtype|wrong kind")
	w.AwaitDecisions("worker", 5)
	w.WantCounts("worker", 3)
}

// vanishedSeries has a query whose rows go away and come back, and the ways to say what that means.
func vanishedSeries(_ *testing.T, w *World) {
	server := w.postgres(1)
	w.secret("db", reads)
	w.exec(server.DB(), "create table series (value int)", "insert into series values (4)", "grant select on series to reader")
	one := w.sqlTrigger(server.Addr(), "select value from series")
	total := w.sqlTrigger(server.Addr(), "select sum(value) from series")
	explicit := total[:len(total)-1] + ", nullAs: unknown}"
	for name, trigger := range map[string]string{"one": one, "total": total, "explicit": explicit} {
		w.Create(name, 1, quick(Settings{"cooldown": "1s", "trigger.series": trigger}))
		w.AwaitReplicas(name, 4, soon)
	}
	w.exec(server.DB(), "delete from series")
	w.AwaitEvent("one", "TriggerUnknown", "the query answered no row; want exactly one row with one number")
	w.AwaitEvent("explicit", "TriggerUnknown", "the query answered NULL")
	w.AwaitReplicas("total", 0, soon) // the sum of nothing, unless nullAs says otherwise
	w.AwaitDecisions("one", 4)
	w.exec(server.DB(), "insert into series values (3), (2)")
	w.AwaitEvent("one", "TriggerUnknown", "the query answered more than one row")
	w.AwaitReplicas("total", 5, soon)
	w.AwaitReplicas("explicit", 5, soon)
	w.WantCounts("one", 1, 4)
	w.WantCounts("explicit", 1, 4, 5)
}

func adoptionKeeps(t *testing.T, w *World) {
	const cooldown = 6 * time.Second
	stream := w.Stream("s")
	w.group(w.redis.Client(), stream, "0")
	settings := quick(Settings{"cooldown": cooldown.String(), "behavior": "", "trigger.orders": w.trigger(stream, group)})
	settings["behavior"] = fmt.Sprintf("{scaleDown: {stabilizationWindowSeconds: %d}}", int(cooldown.Seconds()))
	w.Create("plain", 5, nil)
	w.AwaitReplicas("plain", 5, soon)
	began := time.Now()
	if err := w.Annotate("plain", settings); err != nil {
		t.Fatal(err)
	}
	w.Create("new", 3, settings)
	for _, name := range []string{"plain", "new"} {
		w.AwaitReplicas(name, 0, 2*time.Minute)
	}
	for _, name := range []string{"plain", "new"} {
		if first := w.firstFall(name); first.Sub(began) < cooldown {
			t.Errorf("%s fell %s after adoption, before the cooldown of %s", name, first.Sub(began), cooldown)
		}
	}
}

func stepsDown(t *testing.T, w *World) {
	stream, client := w.Stream("s"), w.redis.Client()
	w.group(client, stream, "0")
	w.add(client, stream, 20)
	w.Create("worker", 4, quick(Settings{
		"cooldown": "2s", "trigger.orders": w.trigger(stream, group),
		"behavior": "{scaleDown: {stabilizationWindowSeconds: 0, policies: [{type: Pods, value: 1, periodSeconds: 2}]}}",
	}))
	w.awaitValue("worker", "orders", "20")
	w.read(client, stream, 20, true)
	w.AwaitReplicas("worker", 0, 2*time.Minute)
	w.WantCounts("worker", 4, 3, 2, 1, 0)
}

func busyWorkers(t *testing.T, w *World) {
	stream, client := w.Stream("s"), w.redis.Client()
	w.group(client, stream, "0")
	w.add(client, stream, 3)
	w.Create("worker", 0, quick(Settings{"cooldown": "1s", "trigger.orders": w.trigger(stream, group)}))
	w.AwaitReplicas("worker", 1, soon)
	ids := w.read(client, stream, 3, false)
	w.AwaitDecisions("worker", 6)
	w.WantCounts("worker", 0, 1)
	w.ack(client, stream, ids)
	w.AwaitReplicas("worker", 0, soon)
}

func leaving(t *testing.T, w *World) {
	stream := w.Stream("s")
	w.group(w.redis.Client(), stream, "0")
	gone := Settings{}
	for key := range quick(Settings{"trigger.orders": "x", "on-removal": "x"}) {
		gone[key] = ""
	}
	for _, name := range []string{"keep", "restore", "up"} {
		settings := quick(Settings{"cooldown": "1s", "trigger.orders": w.trigger(stream, group)})
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
		w.AwaitReplicas(name, 3, soon)
		w.wantReleased(name)
	}
	w.ScaleByHand("up", 2)
	w.AwaitReplicas("up", 0, soon)
	w.ScaleByHand("up", 2)
	all := Settings{"state": "", "status": ""}
	for key := range gone {
		all[key] = ""
	}
	if err := w.Annotate("up", all); err != nil {
		t.Fatal(err)
	}
	w.wantReleased("up")
}

func zeroByPerson(t *testing.T, w *World) {
	stream, client := w.Stream("s"), w.redis.Client()
	w.group(client, stream, "0")
	w.Create("worker", 2, quick(Settings{"cooldown": "1s", "trigger.orders": w.trigger(stream, group)}))
	w.AwaitReplicas("worker", 0, soon)
	w.add(client, stream, 5)
	w.AwaitReplicas("worker", 1, soon)
	w.ScaleByHand("worker", 0)
	w.AwaitReplicas("worker", 0, soon)
	w.AwaitDecisions("worker", 5)
	w.WantCounts("worker", 2, 1, 0, 1, 0)
	w.ScaleByHand("worker", 3)
	w.AwaitReplicas("worker", 1, soon)
}

func cooldownEdits(t *testing.T, w *World) {
	stream, client := w.Stream("s"), w.redis.Client()
	w.group(client, stream, "0")
	w.add(client, stream, 20)
	w.Create("worker", 4, quick(Settings{"cooldown": "20s", "trigger.orders": w.trigger(stream, group)}))
	w.awaitValue("worker", "orders", "20")
	w.read(client, stream, 20, true)
	w.AwaitReplicas("worker", 1, 10*time.Second) // not delayed by the cooldown
	idle := time.Now()
	w.awaitMessage("worker", "Active", `^no work seen since \S+Z; zero after the cooldown of 20s, at \S+Z$`)
	if err := w.Annotate("worker", Settings{"cooldown": "1h"}); err != nil {
		t.Fatal(err)
	}
	w.AwaitDecisions("worker", 15) // more than the 20 s from the beginning
	w.WantCounts("worker", 4, 1)
	if err := w.Annotate("worker", Settings{"cooldown": "12s"}); err != nil {
		t.Fatal(err)
	}
	w.AwaitReplicas("worker", 0, 5*time.Second) // counted from when the work ended
	if took := time.Since(idle); took < 12*time.Second {
		t.Errorf("zero came after %s, before the cooldown of 12s", took)
	}
}

func workBesideAFailure(t *testing.T, w *World) {
	const cooldown = 5 * time.Second
	stream, client, other := w.Stream("s"), w.redis.Client(), w.behind(0)
	w.group(client, stream, "0")
	w.add(client, stream, 5)
	w.Create("worker", 1, quick(Settings{"cooldown": cooldown.String(), "trigger.a": w.trigger(stream, group), "trigger.b": other.trigger}))
	w.awaitValue("worker", "a", "5")
	other.set(t, servers.Refuse)
	w.awaitKnown("worker", "b", "0")
	w.AwaitDecisions("worker", 7) // longer than the cooldown
	ended := time.Now()
	w.read(client, stream, 5, true)
	other.set(t, servers.Pass)
	w.AwaitReplicas("worker", 0, soon)
	if took := w.firstFall("worker").Sub(ended); took < cooldown {
		t.Errorf("zero came %s after the last work, before the cooldown of %s", took, cooldown)
	}
}
