package cases

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
)

func gitDuelCases() []Case {
	return []Case{
		{ID: "GO-04", Symptom: "self-heal applies in a loop, and each sync writes", Holds: "one call of the webhook a request, and no write once the count stands", Alone: true, Run: selfHeal},
		{ID: "GO-07", Symptom: "a federation layer takes each scale back, and pods live for seconds", Holds: "three writes, then the autoscaler stands back, names the field manager, and tries again later", Run: federation},
	}
}

// selfHeal syncs as Argo CD with self-heal and server-side diff does, as fast as it can.
func selfHeal(t *testing.T, w *World) {
	const syncs = 60
	s := &synced{World: w, tool: tool{name: "worker", kind: "Deployment"}, objects: w.dynamic().Resource(appsResource("Deployment")).Namespace(w.Namespace)}
	stream := w.Stream("worker")
	w.group(w.redis.Client(), stream, "0")
	w.add(w.redis.Client(), stream, 28)
	m := s.manifest()
	sync := func() {
		t.Helper()
		if err := argoServerSide(t.Context(), s, m); err != nil {
			t.Fatal(err)
		}
	}
	sync()
	w.AwaitReplicas("worker", 6, soon)
	w.awaitStatus("worker")
	sync() // takes over the count's ownership
	w.await("nobody writes", soon, func(context.Context) error {
		before := s.version()
		w.AwaitDecisions("worker", 3)
		if after := s.version(); after != before {
			return fmt.Errorf("it went from %s to %s", before, after)
		}
		return nil
	})
	calls := func() float64 {
		text, err := w.scaler.Metrics(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return sample(text, "autoscale_admission_requests_total")
	}
	w.awaitQuiet(calls)
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
func (w *World) federate(name string, reset func(context.Context, *appsv1.Deployment) error) (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	events, err := w.kube.AppsV1().Deployments(w.Namespace).Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String()})
	if err != nil {
		w.t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for event := range events.ResultChan() {
			d, ok := event.Object.(*appsv1.Deployment)
			if !ok {
				continue
			}
			if err := reset(ctx, d); err != nil && !errors.Is(err, context.Canceled) {
				w.t.Logf("the federation layer: %v", err)
			}
		}
	})
	stop = func() {
		cancel()
		events.Stop()
		running.Wait()
	}
	w.t.Cleanup(stop)
	return stop
}

// throughScale sets a count through the scale subresource.
func (w *World) throughScale(count int32) func(context.Context, *appsv1.Deployment) error {
	return func(ctx context.Context, d *appsv1.Deployment) error {
		if *d.Spec.Replicas == count {
			return nil
		}
		_, err := w.kube.AppsV1().Deployments(d.Namespace).Patch(ctx, d.Name, types.MergePatchType, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, count),
			metav1.PatchOptions{FieldManager: "federation"}, "scale")
		return err
	}
}

func federation(t *testing.T, w *World) {
	stream, client := w.Stream("s"), w.redis.Client()
	w.group(client, stream, "0")
	settings := quick(Settings{"cooldown": "2s", "trigger.orders": w.trigger(stream, group)})
	for name, replicas := range map[string]int32{"scaled": 1, "zeroed": 0, "updated": 1} {
		w.Create(name, replicas, settings)
		w.awaitValue(name, "orders", "0")
	}
	stop := w.federate("scaled", w.throughScale(1))
	w.federate("zeroed", w.throughScale(0))
	w.federate("updated", func(ctx context.Context, d *appsv1.Deployment) error {
		one := int32(1)
		d.Spec.Replicas = &one
		_, err := w.kube.AppsV1().Deployments(d.Namespace).Update(ctx, d, metav1.UpdateOptions{FieldManager: "federation"})
		return err
	})
	w.add(client, stream, 28)
	w.AwaitEvent("scaled", "ScaledByOther", `^federation \(scale\) changed replicas from 6 to 1$`)
	w.AwaitEvent("scaled", "Conflict", `^the field manager federation \(scale\) scales this workload too; holding 1 replica until one of the two is gone; remove the other one, or the annotations$`)
	w.AwaitReplicas("updated", 6, soon)
	for _, name := range []string{"scaled", "zeroed", "updated"} {
		w.AwaitDecisions(name, 5)
	}
	w.WantCounts("scaled", 1, 6, 1, 6, 1, 6, 1)
	w.WantCounts("updated", 1, 6)
	if counts := w.changes.counts("zeroed"); len(counts) < 3 || len(counts) > 7 || counts[len(counts)-1] != 0 {
		t.Errorf("zeroed had the counts %v, want at most three tries and a zero at the end", counts)
	}
	w.awaitCondition("scaled", "Conflict", "True", "Conflict")
	stop()
	w.AwaitReplicas("scaled", 6, 2*soon) // the next try
	w.AwaitDecisions("scaled", 3)
	w.WantCounts("scaled", 1, 6, 1, 6, 1, 6, 1, 6)
}
