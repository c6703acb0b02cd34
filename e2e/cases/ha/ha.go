package ha

import (
	"context"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/e2e/product"
	"autoscale.io/e2e/world"
	"autoscale.io/scalers/scalertest/servers"
	"autoscale.io/scaling/shards"
)

func haCases() []world.Case {
	return []world.Case{
		{ID: "HA-share", Symptom: "one replica does all the work and the others none", Holds: "replicas share the workloads evenly, whoever comes, dies or is stopped", In: world.Test, Weight: 2, Run: evenShares},
		{ID: "LE-01", Symptom: "requests to the API server have no deadline, so after an outage the loops hang on dead connections", Holds: "the first write comes within 15 s of its end, over a new connection", In: world.Test, Weight: 2, Run: silentOutage},
		{ID: "LE-03", Symptom: "a replica that lost its lease without dying never stands for it again, until none does", Holds: "three rounds of freezing each replica end with both at work", In: world.Test, Weight: 2, Run: flaps},
		{ID: "LE-04", Symptom: "a leader that hung goes on where it was: two write", Holds: "whoever was stopped or cut off writes nothing until it holds the lease anew", In: world.Test, Weight: 2, Run: oneWriter},
		{ID: "LE-05", Symptom: "a lease of a pod that is gone is kept for ever, or for as long as its node's clock was wrong", Holds: "it runs out on the clock of the one that takes over", In: world.Test, Weight: 2, Run: wrongClock},
		{ID: "LE-06", Symptom: "after a restart what was paused, cooling or in fallback is forgotten, and counts move", Holds: "a kill, a restart and a takeover change no count", In: world.Soak, Run: restartsUnseen},
		{ID: "LE-07", Symptom: "only the leader is ready, so a rollout hangs and the webhook is served by one", Holds: "replicas that hold nothing are ready and serve the webhook", In: world.Test, Weight: 2, Run: readyWithoutLeading},
		{ID: "LE-08", Symptom: "finalizers keep namespaces for ever once the autoscaler is gone", Holds: "there are none, and 100 namespaces are deleted without it", In: world.Soak, Run: teardown},
		{ID: "SP-10", Symptom: "slow sources keep the old leader from ending, and an upgrade crash-loops", Holds: "it ends within 10 s and the new one has decided about 500 workloads within 30 s", In: world.Soak, Alone: true, Run: slowUpgrade},
	}
}

// evenShares has one replica, two, three, and then one dead and one stopped.
func evenShares(t *testing.T, w *world.World) {
	r := newReplicas(w, "share")
	a := r.start("a")
	r.awaitShared(world.Soon, a)
	b := r.start("b")
	r.awaitShared(world.Soon, a, b)
	r.deploy(20, nil)
	r.push()
	r.awaitLevel(world.Soon)
	c := r.start("c")
	r.awaitShared(world.Soon, a, b, c)
	r.push()
	r.awaitLevel(world.Soon)
	if err := a.Kill(); err != nil {
		t.Fatal(err)
	}
	r.push()
	r.awaitShared(takeover, b, c)
	r.awaitLevel(takeover)
	if err := b.Stop(); err != nil {
		t.Fatal(err)
	}
	r.awaitShared(handover, c)
	r.push()
	r.awaitLevel(world.Soon)
	r.wantNoFall()
	w.Await("no lease is left of the replica that died", 6*leaseDuration, func(ctx context.Context) error {
		leases, err := w.Kube.CoordinationV1().Leases(product.Namespace).List(ctx, metav1.ListOptions{LabelSelector: shards.Label + "=" + r.class})
		if err != nil {
			return err
		}
		left := 0
		for _, lease := range leases.Items {
			left += 1 - boolCount(isBucket(lease.Name))
		}
		if left != 1 {
			return fmt.Errorf("there are those of %d replicas", left)
		}
		return nil
	})
}

func boolCount(b bool) int {
	if b {
		return 1
	}
	return 0
}

// oneWriter stops one replica in its tracks, and then cuts off the other, and lets each go on again.
func oneWriter(t *testing.T, w *world.World) {
	r, a, b := settled(t, w, "one-writer", 20)
	if err := a.Pause(); err != nil {
		t.Fatal(err)
	}
	r.push()
	r.awaitShared(takeover, b)
	r.awaitLevel(world.Soon)
	r.push()
	if err := a.Resume(); err != nil {
		t.Fatal(err)
	}
	r.awaitLevel(world.Soon)
	r.awaitShared(world.Soon, a, b)
	if err := b.proxy.Set(servers.Silent); err != nil {
		t.Fatal(err)
	}
	r.push()
	r.awaitShared(takeover, a)
	r.awaitLevel(world.Soon)
	r.push()
	if err := b.proxy.Set(servers.Pass); err != nil {
		t.Fatal(err)
	}
	r.awaitLevel(world.Soon)
	r.awaitShared(world.Soon, a, b)
	before := time.Now()
	r.push()
	r.awaitLevel(world.Soon)
	if n := r.log.scaled(before); n[a.name] == 0 || n[b.name] == 0 {
		t.Errorf("after all that the replicas have written %v counts, want some of each", n)
	}
	r.wantNoFall()
}
