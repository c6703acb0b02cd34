package git

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"

	"autoscale.io/e2e/world"
)

func gitDuelCases() []world.Case {
	return []world.Case{
		{ID: "GO-04", Symptom: "self-heal applies in a loop, and each sync writes", Holds: "one call of the webhook a request, and no write once the count stands", In: world.Test, Alone: true, Run: selfHeal},
		{ID: "GO-07", Symptom: "a federation layer takes each scale back, and pods live for seconds", Holds: "three writes, then the autoscaler stands back, names the field manager, and tries again later", In: world.Soak, Run: federation},
	}
}

// selfHeal syncs as Argo CD with self-heal and server-side diff does, as fast as it can.
func selfHeal(t *testing.T, w *world.World) {
	const syncs = 60
	s := &synced{World: w, tool: tool{name: "worker", kind: "Deployment"}, objects: w.Dynamic().Resource(appsResource("Deployment")).Namespace(w.Namespace)}
	stream := w.Stream("worker")
	w.Group(w.Redis.Client(), stream, "0")
	w.Add(w.Redis.Client(), stream, 28)
	m := s.manifest()
	sync := func() {
		t.Helper()
		if err := argoServerSide(t.Context(), s, m); err != nil {
			t.Fatal(err)
		}
	}
	sync()
	w.AwaitReplicas("worker", 6, world.Soon)
	w.AwaitStatus("worker")
	sync() // takes over the count's ownership
	w.Await("nobody writes", world.Soon, func(context.Context) error {
		before := s.version()
		w.AwaitDecisions("worker", 3)
		if after := s.version(); after != before {
			return fmt.Errorf("it went from %s to %s", before, after)
		}
		return nil
	})
	calls := func() float64 {
		text, err := w.Scaler.Metrics(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return world.Sample(text, "autoscale_admission_requests_total")
	}
	w.AwaitQuiet(calls)
	version, before := s.version(), calls()
	for range syncs {
		sync()
	}
	if got := s.version(); got != version {
		t.Errorf("%d syncs took it from %s to %s, want no write", syncs, version, got)
	}
	if got := calls() - before; got != syncs {
		t.Errorf("%d syncs called the webhook %v times besides their dry runs, want once each", syncs, got)
	}
	w.WantCounts("worker", 2, 6)
}

// federate takes back every change of a Deployment's count until the returned function is called.
func federate(w *world.World, name string, reset func(context.Context, *appsv1.Deployment) error) (stop func()) {
	w.T.Helper()
	ctx, cancel := context.WithCancel(w.T.Context())
	events, err := w.Kube.AppsV1().Deployments(w.Namespace).Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String()})
	if err != nil {
		w.T.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for event := range events.ResultChan() {
			d, ok := event.Object.(*appsv1.Deployment)
			if !ok {
				continue
			}
			if err := reset(ctx, d); err != nil && !errors.Is(err, context.Canceled) {
				w.T.Logf("the federation layer: %v", err)
			}
		}
	})
	stop = func() {
		cancel()
		events.Stop()
		running.Wait()
	}
	w.T.Cleanup(stop)
	return stop
}

// throughScale sets a count through the scale subresource.
func throughScale(w *world.World, count int32) func(context.Context, *appsv1.Deployment) error {
	return func(ctx context.Context, d *appsv1.Deployment) error {
		if *d.Spec.Replicas == count {
			return nil
		}
		_, err := w.Kube.AppsV1().Deployments(d.Namespace).Patch(ctx, d.Name, types.MergePatchType, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, count),
			metav1.PatchOptions{FieldManager: "federation"}, "scale")
		return err
	}
}

func federation(t *testing.T, w *world.World) {
	stream, client := w.Stream("s"), w.Redis.Client()
	w.Group(client, stream, "0")
	settings := world.Quick(world.Settings{"cooldown": "2s", "trigger.orders": w.Trigger(stream, world.Group)})
	for name, replicas := range map[string]int32{"scaled": 1, "zeroed": 0, "updated": 1} {
		w.Create(name, replicas, settings)
		w.AwaitValue(name, "orders", "0")
	}
	stop := federate(w, "scaled", throughScale(w, 1))
	federate(w, "zeroed", throughScale(w, 0))
	federate(w, "updated", func(ctx context.Context, d *appsv1.Deployment) error {
		one := int32(1)
		d.Spec.Replicas = &one
		_, err := w.Kube.AppsV1().Deployments(d.Namespace).Update(ctx, d, metav1.UpdateOptions{FieldManager: "federation"})
		return err
	})
	w.Add(client, stream, 28)
	w.AwaitEvent("scaled", "ScaledByOther", `^federation \(scale\) changed replicas from 6 to 1$`)
	w.AwaitEvent("scaled", "Conflict", `^the field manager federation \(scale\) scales this workload too; holding 1 replica until one of the two is gone; remove the other one, or the annotations$`)
	w.AwaitReplicas("updated", 6, world.Soon)
	w.AwaitDecisionsOf(5, "scaled", "zeroed", "updated")
	w.WantCounts("scaled", 1, 6, 1, 6, 1, 6, 1)
	w.WantCounts("updated", 1, 6)
	if counts := w.Changes.Counts("zeroed"); len(counts) < 3 || len(counts) > 7 || counts[len(counts)-1] != 0 {
		t.Errorf("zeroed had the counts %v, want at most three tries and a zero at the end", counts)
	}
	w.AwaitCondition("scaled", "Conflict", "True", "Conflict")
	stop()
	w.AwaitReplicas("scaled", 6, 2*world.Soon) // the next try
	w.AwaitDecisions("scaled", 3)
	w.WantCounts("scaled", 1, 6, 1, 6, 1, 6, 1, 6)
}
