package managed

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/annotations"
	"autoscale.io/e2e/world"
)

func kindCases() []world.Case {
	return []world.Case{
		{ID: "KD-01", Symptom: "a Deployment's annotations are copied to its ReplicaSets, and the child is scaled a second time", Holds: "the child of something scalable is left alone", In: world.Test, Run: inheritedAnnotations},
		{ID: "KD-02", Symptom: "only Deployments are scaled", Holds: "a StatefulSet goes up and to zero like a Deployment", In: world.Test, Run: statefulSet},
		{ID: "KD-refused", Symptom: "a policy of the cluster refuses a scale, and the autoscaler tries again as fast as it can", Holds: "the event says who refused and why, tries grow rare, and the count follows once it may", In: world.Soak, Own: true, Run: refusedScale},
	}
}

// frozen keeps everybody from scaling a Deployment of one namespace.
const frozen = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: %[1]s}
spec:
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}
    resourceRules:
      - {apiGroups: [apps], apiVersions: [v1], operations: [UPDATE], resources: [deployments/scale]}
  failurePolicy: Fail
  validations:
    - {expression: "false", message: the fleet is frozen}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: %[1]s}
spec: {policyName: %[1]s, validationActions: [Deny]}
`

// refusedScale has an autoscaler of its own, since tries are counted for all workloads together.
func refusedScale(t *testing.T, w *world.World) {
	if err := w.Cluster.Apply(t.Context(), fmt.Appendf(nil, frozen, w.Namespace)); err != nil {
		t.Fatal(err)
	}
	w.Create("probe", 1, nil)
	scale := func(replicas int) (string, error) {
		return w.KubectlArgs("scale", "deployment/probe", fmt.Sprint("--replicas=", replicas))
	}
	w.Await("the policy is in force", world.Soon, func(context.Context) error {
		if out, err := scale(2); err == nil {
			return fmt.Errorf("scaled: %s", out)
		}
		return nil
	})
	stream, client := w.Stream("s"), w.Redis.Client()
	w.Group(client, stream, "0")
	w.Add(client, stream, 20)
	before := failedScales(w)
	w.Create("worker", 1, world.Quick(world.Settings{"min-replicas": "1", "trigger.orders": w.Trigger(stream, world.Group)}))
	w.AwaitEvent("worker", "ScaleFailed", `scale deployments.apps `+w.Namespace+`/worker from 1 to 4: .* denied request: the fleet is frozen`)
	began := time.Now()
	const tries = 12
	w.Await(fmt.Sprint(tries, " tries"), time.Minute, func(context.Context) error {
		if got := failedScales(w) - before; got < tries {
			return fmt.Errorf("%v so far", got)
		}
		return nil
	})
	if took := time.Since(began); took < 3*time.Second {
		t.Errorf("%d tries within %s: they do not grow rare", tries, took)
	}
	w.WantCounts("worker", 1)
	if err := w.Kube.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().Delete(t.Context(), w.Namespace, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.AwaitReplicas("worker", 4, time.Minute)
	w.WantCounts("worker", 1, 4)
}

// failedScales is how often a count could not be written so far.
func failedScales(w *world.World) (total float64) {
	w.T.Helper()
	text, err := w.Scaler.Metrics(w.T.Context())
	if err != nil {
		w.T.Fatal(err)
	}
	for line := range strings.Lines(text) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		if !strings.HasPrefix(series, "autoscale_scales_total{") || !strings.Contains(series, `outcome="error"`) {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			w.T.Fatalf("%q: %v", line, err)
		}
		total += n
	}
	return total
}

func inheritedAnnotations(t *testing.T, w *world.World) {
	stream := w.Stream("s")
	w.Group(w.Redis.Client(), stream, "0")
	w.Add(w.Redis.Client(), stream, 15)
	w.Create("worker", 1, world.Quick(world.Settings{"trigger.orders": w.Trigger(stream, world.Group)}))
	w.AwaitReplicas("worker", 3, world.Soon)
	child := onlyReplicaSet(w)
	if child.Annotations["autoscale.io/trigger.orders"] == "" {
		t.Fatal("the ReplicaSet did not inherit the annotations; the case needs that")
	}
	// A ReplicaSet of nobody's, made after it, shows when the sweep has been here.
	own := child.DeepCopy()
	own.ObjectMeta = metav1.ObjectMeta{Name: "orphan", Namespace: w.Namespace, Annotations: child.Annotations}
	delete(own.Annotations, annotations.StateKey)
	delete(own.Annotations, annotations.StatusKey)
	own.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "orphan"}}
	own.Spec.Template.Labels = own.Spec.Selector.MatchLabels
	sets := w.Kube.AppsV1().ReplicaSets(w.Namespace)
	if _, err := sets.Create(t.Context(), own, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.Await("the sweep adopts the ReplicaSet that nobody owns", world.Soon, func(ctx context.Context) error {
		set, err := sets.Get(ctx, "orphan", metav1.GetOptions{})
		if err == nil && set.Labels[annotations.Bucket] == "" {
			err = fmt.Errorf("it has no label yet")
		}
		return err
	})
	child, err := sets.Get(t.Context(), child.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if child.Labels[annotations.Bucket] != "" {
		t.Errorf("the ReplicaSet %s of a Deployment is managed", child.Name)
	}
}

// onlyReplicaSet waits for the ReplicaSet of the only Deployment: the count can come before it.
func onlyReplicaSet(w *world.World) (set *appsv1.ReplicaSet) {
	w.T.Helper()
	w.Await("one ReplicaSet", world.Soon, func(ctx context.Context) error {
		list, err := w.Kube.AppsV1().ReplicaSets(w.Namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if len(list.Items) != 1 {
			return fmt.Errorf("there are %d", len(list.Items))
		}
		set = &list.Items[0]
		return nil
	})
	return set
}

func statefulSet(t *testing.T, w *world.World) {
	stream, client := w.Stream("s"), w.Redis.Client()
	w.Group(client, stream, "0")
	w.Add(client, stream, 15)
	d := w.Deployment("db", 0, world.Quick(world.Settings{"cooldown": "1s", "trigger.orders": w.Trigger(stream, world.Group)}))
	sets := w.Kube.AppsV1().StatefulSets(w.Namespace)
	if _, err := sets.Create(t.Context(), &appsv1.StatefulSet{
		ObjectMeta: d.ObjectMeta,
		Spec:       appsv1.StatefulSetSpec{Replicas: d.Spec.Replicas, Selector: d.Spec.Selector, Template: d.Spec.Template, ServiceName: "db"},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	count := func(want int32) {
		t.Helper()
		w.Await(fmt.Sprintf("db at %d replicas", want), world.Soon, func(ctx context.Context) error {
			set, err := sets.Get(ctx, "db", metav1.GetOptions{})
			if err == nil && *set.Spec.Replicas != want {
				err = fmt.Errorf("it has %d", *set.Spec.Replicas)
			}
			return err
		})
	}
	count(3)
	w.Read(client, stream, 15, true)
	count(0)
	w.Add(client, stream, 1)
	count(1)
}
