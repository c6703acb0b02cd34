package cases

import (
	"context"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/annotations"
)

func kindCases() []Case {
	return []Case{
		{ID: "KD-01", Symptom: "a Deployment's annotations are copied to its ReplicaSets, and the child is scaled a second time", Holds: "the child of something scalable is left alone", Run: inheritedAnnotations},
		{ID: "KD-02", Symptom: "only Deployments are scaled", Holds: "a StatefulSet goes up and to zero like a Deployment", Run: statefulSet},
	}
}

// extraKinds are what the autoscaler manages in these tests beside its defaults, and the rights that this takes: everything that a careless installer might give.
const (
	extraKinds = "--kinds=deployments.apps,statefulsets.apps,replicasets.apps,jobs.batch,cronjobs.batch"
	extraRole  = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: autoscaler-extra-kinds}
rules:
  - {apiGroups: [apps], resources: [replicasets], verbs: [get, list, watch, patch]}
  - {apiGroups: [apps], resources: [replicasets/scale], verbs: [get, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: autoscaler-extra-kinds}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: autoscaler-extra-kinds}
subjects: [{kind: ServiceAccount, name: autoscaler, namespace: autoscale-system}]
`
)

func inheritedAnnotations(t *testing.T, w *World) {
	stream := w.Stream("s")
	w.group(w.redis.Client(), stream, "0")
	w.add(w.redis.Client(), stream, 15)
	w.Create("worker", 1, quick(Settings{"trigger.orders": w.trigger(stream, group)}))
	w.AwaitReplicas("worker", 3, soon)
	child := w.onlyReplicaSet()
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
	sets := w.kube.AppsV1().ReplicaSets(w.Namespace)
	if _, err := sets.Create(t.Context(), own, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.await("the sweep adopts the ReplicaSet that nobody owns", soon, func(ctx context.Context) error {
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

func (w *World) onlyReplicaSet() *appsv1.ReplicaSet {
	w.t.Helper()
	list, err := w.kube.AppsV1().ReplicaSets(w.Namespace).List(w.t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 {
		w.t.Fatalf("there are %d ReplicaSets (%v), want one", len(list.Items), err)
	}
	return &list.Items[0]
}

func statefulSet(t *testing.T, w *World) {
	stream, client := w.Stream("s"), w.redis.Client()
	w.group(client, stream, "0")
	w.add(client, stream, 15)
	d := w.deployment("db", 0, quick(Settings{"cooldown": "1s", "trigger.orders": w.trigger(stream, group)}))
	sets := w.kube.AppsV1().StatefulSets(w.Namespace)
	if _, err := sets.Create(t.Context(), &appsv1.StatefulSet{
		ObjectMeta: d.ObjectMeta,
		Spec:       appsv1.StatefulSetSpec{Replicas: d.Spec.Replicas, Selector: d.Spec.Selector, Template: d.Spec.Template, ServiceName: "db"},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	count := func(want int32) {
		t.Helper()
		w.await(fmt.Sprintf("db at %d replicas", want), soon, func(ctx context.Context) error {
			set, err := sets.Get(ctx, "db", metav1.GetOptions{})
			if err == nil && *set.Spec.Replicas != want {
				err = fmt.Errorf("it has %d", *set.Spec.Replicas)
			}
			return err
		})
	}
	count(3)
	w.read(client, stream, 15, true)
	count(0)
	w.add(client, stream, 1)
	count(1)
}
