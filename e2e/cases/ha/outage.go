package ha

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/e2e/product"
	"autoscale.io/e2e/world"
	"autoscale.io/scalers/scalertest/servers"
	"autoscale.io/scaling/shards"
)

// flaps freezes the network of each replica in turn.
func flaps(t *testing.T, w *world.World) {
	const rounds = 3
	r, a, b := settled(t, w, "flaps", 8)
	r.unrecorded = true // what is held back arrives later than it was sent, so when it arrives says nothing
	for range rounds {
		for _, turn := range [][2]*replica{{a, b}, {b, a}} {
			frozen, other := turn[0], turn[1]
			if err := frozen.proxy.Set(servers.Freeze); err != nil {
				t.Fatal(err)
			}
			r.awaitShared(takeover, other)
			r.push()
			r.awaitLevel(world.Soon)
			if err := frozen.Alive(t.Context()); err != nil {
				t.Errorf("%s says it needs a restart: %v", frozen.name, err)
			}
			if err := frozen.proxy.Set(servers.Pass); err != nil {
				t.Fatal(err)
			}
			r.awaitShared(world.Soon, a, b)
		}
	}
	r.push()
	r.awaitLevel(world.Soon)
	r.wantNoFall()
}

// wrongClock kills a replica on a machine whose clock is two minutes ahead.
func wrongClock(t *testing.T, w *world.World) {
	r, a, b := settled(t, w, "clock", 20)
	if err := a.Kill(); err != nil {
		t.Fatal(err)
	}
	leases := w.Kube.CoordinationV1().Leases(product.Namespace)
	all, err := leases.List(t.Context(), metav1.ListOptions{LabelSelector: shards.Label + "=" + r.class})
	if err != nil {
		t.Fatal(err)
	}
	for _, lease := range all.Items {
		if *lease.Spec.HolderIdentity != a.name {
			continue
		}
		ahead := metav1.NewMicroTime(time.Now().Add(2 * time.Minute))
		lease.Spec.RenewTime = &ahead
		if _, err := leases.Update(t.Context(), &lease, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	r.push()
	r.awaitShared(takeover, b)
	r.awaitLevel(world.Soon)
	r.wantNoFall()
}
