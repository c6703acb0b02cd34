package controller_test

import (
	"errors"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"autoscale.io/annotations"
	"autoscale.io/scaling/report"
	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/apiserver"
)

// TestFaultsInAnnotations hold the count until they are mended.
func TestFaultsInAnnotations(t *testing.T) {
	scalingtest.RunWith(t, scalingtest.Options{NoWebhook: true}, func(w *scalingtest.World) {
		w.Advance(time.Second)
		w.Create(scalingtest.Deployment("worker", 2, onOrders(settings{"cooldwn": "1s", "max-replicas": "many"})))
		w.Set("orders", 50)
		w.Advance(4 * time.Minute)
		w.WantCounts("worker", 2)
		status := w.Status("worker")
		if len(status) != 1 || status[0].Type != report.Ready || status[0].Status != "False" || status[0].Reason != report.ReasonInvalidAnnotations {
			t.Errorf("the status is %s", status)
		}
		if err := w.Annotate("worker", settings{"cooldwn": "", "max-replicas": "4"}); err != nil {
			t.Fatal(err)
		}
		w.AwaitReplicas("worker", 4, 5*time.Second)
		if err := w.Annotate("worker", settings{"max-replicas": "many"}); err != nil {
			t.Fatal(err)
		}
		w.Set("orders", 0)
		w.Advance(time.Minute)
		w.WantCounts("worker", 2, 4)
		wantEvents(w, "worker",
			"Adopted: found with annotations and without the managed label; managed from 2 replicas on",
			"InvalidAnnotations: replicas stay as they are until this is mended: autoscale.io/cooldwn: unknown annotation autoscale.io/cooldwn; did you mean autoscale.io/cooldown?; autoscale.io/max-replicas: got \"many\", want a whole number ≥ 1",
			"ScaledUp: 2 → 4 replicas: trigger orders: 50 at a target of 5 each asks for 10 replicas; cut to max-replicas 4",
			"InvalidAnnotations: replicas stay as they are until this is mended: autoscale.io/max-replicas: got \"many\", want a whole number ≥ 1",
		)
		if open := w.Source("orders").Open(); open != 0 {
			t.Errorf("%d scalers are open, want none", open)
		}
	})
}

// TestAnOutageIsToldOnce although its text changes from read to read.
func TestAnOutageIsToldOnce(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Set("orders", 10)
		w.Create(scalingtest.Deployment("worker", 2, onOrders(settings{"min-replicas": "1"})))
		w.Advance(20 * time.Second)
		w.Break("orders", "connection refused from port 4711")
		w.Advance(20 * time.Second)
		w.Break("orders", "connection refused from port 4712")
		w.Advance(20 * time.Second)
		w.Break("orders", "no route")
		w.Advance(20 * time.Second)
		w.Set("orders", 10)
		w.Advance(20 * time.Second)
		wantEvents(w, "worker",
			"TriggerUnknown: trigger orders (fake) cannot be read since 00:00:20Z, so the count does not fall: connection refused from port 4711",
			"TriggerUnknown: trigger orders (fake) cannot be read since 00:00:20Z, so the count does not fall: no route",
			"TriggerRecovered: trigger orders (fake) can be read again",
		)
		w.WantCounts("worker", 2)
		w.WantWrites("worker", statusOfDeployment, statusOfDeployment, statusOfDeployment)
	})
}

func TestAFallbackComesAndGoes(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Set("orders", 10)
		w.Create(scalingtest.Deployment("worker", 2, onOrders(settings{"min-replicas": "1", "fallback": "{after: 3, replicas: 4}"})))
		w.Advance(20 * time.Second)
		w.Break("orders", "connection refused")
		w.AwaitReplicas("worker", 4, 5*time.Second)
		w.Advance(20 * time.Second)
		w.Set("orders", 10)
		w.AwaitReplicas("worker", 2, 5*time.Second)
		w.Advance(20 * time.Second)
		wantEvents(w, "worker",
			"TriggerUnknown: trigger orders (fake) cannot be read since 00:00:20Z, so the count does not fall: connection refused",
			"ScaledUp: 2 → 4 replicas: trigger orders could not be read 3 times in a row; its fallback asks for 4 replicas",
			"FallbackInUse: trigger orders could not be read 3 times in a row; its fallback asks for 4 replicas",
			"ScaledDown: 4 → 2 replicas: trigger orders: 10 at a target of 5 each asks for 2 replicas",
			"TriggerRecovered: trigger orders (fake) can be read again",
			"FallbackEnded: no fallback is in use any more: trigger orders: 10 at a target of 5 each is within tolerance of 2 replicas",
		)
	})
}

// TestTheStatusIsWrittenSeldom has a source that comes and goes each second.
func TestTheStatusIsWrittenSeldom(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Create(scalingtest.Deployment("worker", 1, onOrders(settings{"min-replicas": "1"})))
		w.Advance(20 * time.Second)
		before := len(w.Writes("worker"))
		for range 30 {
			w.Break("orders", "connection refused")
			w.Advance(time.Second)
			w.Set("orders", 1)
			w.Advance(time.Second)
		}
		if got := len(w.Writes("worker")) - before; got < 2 || got > 6 {
			t.Errorf("the status was written %d times in a minute, want at most every 10 seconds", got)
		}
	})
}

// TestAnObjectThatIsMadeAnew under the same name is another workload: its count, its cooldown and its mark are its own.
func TestAnObjectThatIsMadeAnew(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Create(scalingtest.Deployment("worker", 3, onOrders(nil)))
		w.AwaitReplicas("worker", 0, time.Minute)
		w.Delete("worker")
		w.Advance(time.Second)
		if open := w.Source("orders").Open(); open != 0 {
			t.Errorf("%d scalers are open, want none", open)
		}
		w.Create(scalingtest.Deployment("worker", 3, onOrders(settings{"min-replicas": "2"})))
		w.AwaitReplicas("worker", 2, 10*time.Second)
		w.Set("orders", 50)
		w.AwaitReplicas("worker", 10, 10*time.Second)
		w.WantCounts("worker", 3, 2, 10)
		if state := w.State("worker"); state.Zero || state.Replicas == nil || *state.Replicas != 3 {
			t.Errorf("the state is %s", state)
		}
	})
}

// TestAnObjectThatIsMadeAnewUnseen is deleted and made while no event comes, and a write for the one before reaches
// neither.
func TestAnObjectThatIsMadeAnewUnseen(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Create(scalingtest.Deployment("worker", 3, onOrders(settings{"min-replicas": "1"})))
		w.Set("orders", 15)
		w.Advance(20 * time.Second)
		w.API.DelayWatches(deployments(), 10*time.Second)
		w.Delete("worker")
		w.Create(scalingtest.Deployment("worker", 3, settings{}))
		w.Set("orders", 50)
		w.Advance(time.Minute)
		w.WantCounts("worker", 3)
		if got := w.Get("worker").GetAnnotations(); len(got) > 0 {
			t.Errorf("another object got the annotations %v", got)
		}
	})
}

// TestAnObjectThatIsMadeAnewBetweenTwoLists comes as a change of the one before, at the same generation.
func TestAnObjectThatIsMadeAnewBetweenTwoLists(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Create(scalingtest.StatefulSet("db", 1, onOrders(settings{"min-replicas": "1"})))
		w.Advance(20 * time.Second)
		isSeen := func(c apiserver.Call) bool {
			return calls("watch", "statefulsets")(c) || calls("list", "statefulsets")(c)
		}
		remove := w.API.Inject(apiserver.Fault{Match: isSeen, Err: errors.New("connection refused")})
		w.API.CutWatches(schema.GroupResource{Group: "apps", Resource: "statefulsets"})
		w.Delete("db")
		w.Create(scalingtest.StatefulSet("db", 4, onOrders(settings{"min-replicas": "1"})))
		w.Advance(10 * time.Second)
		w.WantCounts("db", 4)
		remove()
		w.AwaitReplicas("db", 1, time.Minute)
		w.WantCounts("db", 4, 1)
	})
}

// TestADeletionDuringAWrite is no failure.
func TestADeletionDuringAWrite(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Create(scalingtest.Deployment("worker", 1, onOrders(settings{"min-replicas": "1"})))
		w.Advance(20 * time.Second)
		w.API.DelayWatches(deployments(), 10*time.Second)
		w.Delete("worker")
		w.Set("orders", 50)
		w.Advance(time.Minute)
		wantEvents(w, "worker")
		if open := w.Source("orders").Open(); open != 0 {
			t.Errorf("%d scalers are open, want none", open)
		}
	})
}

// TestAStatefulSetAndAnEditOfItsBounds has a kind whose generation annotations do not move.
func TestAStatefulSetAndAnEditOfItsBounds(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Create(scalingtest.StatefulSet("db", 3, onOrders(nil)))
		w.Set("orders", 50)
		w.AwaitReplicas("db", 10, 5*time.Second)
		if err := w.Annotate("db", settings{"max-replicas": "6"}); err != nil {
			t.Fatal(err)
		}
		w.AwaitReplicas("db", 6, 5*time.Second)
		w.Set("orders", 0)
		w.Advance(time.Minute)
		w.WantCounts("db", 3, 10, 6, 1, 0)
		if !w.State("db").Zero || w.Get("db").GetLabels()[annotations.Bucket] == "" {
			t.Errorf("the state is %s", w.State("db"))
		}
	})
}
