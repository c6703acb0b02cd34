package release

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"autoscale.io/annotations"
	"autoscale.io/scaling/controller"
	"autoscale.io/scaling/target"
)

func kindOf(group, kind, resource string) controller.Kind {
	return controller.Kind{
		GroupVersionKind: schema.GroupVersionKind{Group: group, Version: "v1", Kind: kind},
		Resource:         schema.GroupVersionResource{Group: group, Version: "v1", Resource: resource},
	}
}

func TestPlans(t *testing.T) {
	deployment, job, cron := kindOf("apps", "Deployment", "deployments"), kindOf("batch", "Job", "jobs"), kindOf("batch", "CronJob", "cronjobs")
	const zeroed, raised, born = `{"uid":"u","replicas":3,"zero":true}`, `{"uid":"u","replicas":3}`, `{"uid":"u","replicas":0,"zero":true}`
	for _, c := range []struct {
		name     string
		kind     controller.Kind
		state    string
		settings annotations.Settings
		live     target.Scale
		restore  bool
		want     string
		asleep   bool
	}{
		{name: "stays", kind: deployment, state: raised, live: target.Scale{Replicas: 7}, want: "replicas: 7"},
		{name: "stays at zero", kind: deployment, state: zeroed, want: "replicas: 0 (3 before the autoscaler)", asleep: true},
		{name: "zero and no state", kind: deployment, want: "replicas: 0", asleep: true},
		{name: "a state of another object", kind: deployment, state: `{"uid":"v","replicas":3,"zero":true}`, want: "replicas: 0", asleep: true},
		{name: "restored", kind: deployment, state: raised, live: target.Scale{Replicas: 7}, restore: true, want: "replicas: 7 → 3"},
		{name: "restored from zero", kind: deployment, state: zeroed, restore: true, want: "replicas: 0 → 3"},
		{name: "restored as the annotation asks", kind: deployment, state: zeroed, settings: annotations.Settings{OnRemoval: "restore"}, want: "replicas: 0 → 3"},
		{name: "it was at zero before, and is not left there", kind: deployment, state: born, restore: true, want: "replicas: 0 → 1"},
		{name: "zero, and nobody can tell whose", kind: deployment, restore: true, want: "replicas: 0 → 1"},
		{name: "a dry run of the workload's own", kind: deployment, state: zeroed, settings: annotations.Settings{DryRun: true}, restore: true,
			want: "replicas: 0 (not restored: autoscale.io/dry-run is set)", asleep: true},
		{name: "a Job is raised", kind: job, state: raised, live: target.Scale{Replicas: 1}, restore: true, want: "parallelism: 1 → 3"},
		{name: "a Job is not lowered", kind: job, state: raised, live: target.Scale{Replicas: 7}, restore: true, want: "parallelism: 7 (not restored: to lower it would end pods that run)"},
		{name: "a Job that is over", kind: job, state: zeroed, live: target.Scale{LeftAlone: "the Job is complete"}, restore: true, want: "parallelism: 0 (not restored: the Job is complete)", asleep: true},
		{name: "a template", kind: job, settings: annotations.Settings{JobMode: annotations.JobSpawn}, restore: true, want: "a template of Jobs, which stays suspended"},
		{name: "a CronJob", kind: cron, restore: true, want: "a template of Jobs, which stays suspended"},
	} {
		object := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{UID: "u", Annotations: map[string]string{}}}
		if c.state != "" {
			object.Annotations[annotations.StateKey] = c.state
		}
		got := planFor(c.kind, object, c.settings, c.live, c.restore)
		if got.String() != c.want || got.asleep() != c.asleep {
			t.Errorf("%s: %q, asleep %v; want %q, %v", c.name, got, got.asleep(), c.want, c.asleep)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{}, "want either --all or --namespace"},
		{Options{All: true, Namespace: "shop"}, "want either --all or --namespace"},
		{Options{All: true, Objects: []string{"deployment/web"}}, "--all takes no names; want --namespace with KIND/NAME"},
	} {
		if err := c.o.validate(); err == nil || err.Error() != c.want {
			t.Errorf("%+v: %v, want %s", c.o, err, c.want)
		}
	}
	for _, o := range []Options{{All: true}, {Namespace: "shop"}, {Namespace: "shop", Objects: []string{"deployment/web"}}} {
		if err := o.validate(); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// What belongs to another install, or to something that is scalable itself, is left alone.
func TestConcerns(t *testing.T) {
	owner := []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "CronJob", Name: "c", UID: "1", Controller: new(true)}}
	for _, c := range []struct {
		name  string
		meta  metav1.ObjectMeta
		class string
		want  bool
	}{
		{"nothing", metav1.ObjectMeta{Labels: map[string]string{"app": "web"}}, "", false},
		{"managed", metav1.ObjectMeta{Labels: map[string]string{annotations.Bucket: "07"}}, "", true},
		{"managed by another class", metav1.ObjectMeta{Labels: map[string]string{annotations.Bucket: "blue.07"}}, "", false},
		{"managed by the class", metav1.ObjectMeta{Labels: map[string]string{annotations.Bucket: "blue.07"}}, "blue", true},
		{"annotated alone", metav1.ObjectMeta{Annotations: map[string]string{"autoscale.io/max-replicas": "3"}}, "", true},
		{"annotated for another class", metav1.ObjectMeta{Annotations: map[string]string{"autoscale.io/class": "blue"}}, "", false},
		{"inherited", metav1.ObjectMeta{Annotations: map[string]string{"autoscale.io/max-replicas": "3"}, OwnerReferences: owner}, "", false},
	} {
		r := &releaser{options: Options{Class: c.class}}
		if got := r.concerns(&metav1.PartialObjectMetadata{ObjectMeta: c.meta}); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
