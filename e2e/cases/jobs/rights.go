package jobs

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	batchv1 "k8s.io/api/batch/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"autoscale.io/annotations"
	"autoscale.io/e2e/world"
	"autoscale.io/scaling/report"
)

func jobRightsCases() []world.Case {
	return []world.Case{
		{ID: "JB-04", Symptom: "a restart of the controller ends Jobs", Holds: "a kill, a relist and a new leader write nothing to any Job", In: world.Soak, Alone: true, Run: jobsSurviveRestart},
		{ID: "JB-16", Symptom: "a webhook on Jobs breaks the updates of those that exist", Holds: "only metadata is touched, and the children of a CronJob are not touched at all", In: world.Test, Own: true, Run: jobsFromBefore},
		{ID: "JB-rights", Symptom: "an install that may not change Jobs fails, or fails silently", Holds: "it says which manifest grants it, warns of annotations on Jobs, and scales everything else", In: world.Test, Alone: true, Run: withoutJobRights},
		{ID: "JB-rights-spawn", Symptom: "an install that may not create Jobs starts none, and nobody knows why", Holds: "it says which role is missing, and starts them once that is bound, in one namespace or in all", In: world.Test, Run: withoutSpawnRights},
	}
}

func jobsSurviveRestart(t *testing.T, w *world.World) {
	const n = 10
	j := newJobs(w)
	// The status is left out: it is written when a read comes late, as on a busy machine it may.
	written := func() (all []string) {
		for i := range n {
			job := j.read(fmt.Sprintf("w%d", i))
			delete(job.Annotations, annotations.StatusKey)
			all = append(all, fmt.Sprintf("generation %d, %v, %v, %v", job.Generation, job.Labels, job.Annotations, job.Finalizers))
		}
		return all
	}
	for i := range n {
		name := fmt.Sprintf("w%d", i)
		j.busy(t, name, 2, nil)
		j.awaitStatus(name, "Ready", "True", "Reading", "")
	}
	w.Await("the Jobs are quiet", world.Soon, func(context.Context) error {
		for i := range n {
			if ready := j.read(fmt.Sprintf("w%d", i)).Status.Ready; ready == nil || *ready != 2 {
				return fmt.Errorf("the Job controller has not counted the pods of w%d", i)
			}
		}
		before := written()
		w.AwaitDecisions("w0", 5)
		if !slices.Equal(before, written()) {
			return fmt.Errorf("they still change")
		}
		return nil
	})
	before := written()
	w.Kill()
	w.Restart()
	awaitDecisionsOfAll(w, n)
	w.RestartAPIServer()
	awaitDecisionsOfAll(w, n)
	if after := written(); !slices.Equal(before, after) {
		t.Errorf("the Jobs were written to:\n got %v\nwant %v", after, before)
	}
	j.wantNothingCut()
}

func awaitDecisionsOfAll(w *world.World, n int) {
	w.T.Helper()
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("w%d", i))
	}
	w.AwaitDecisionsOf(3, names...)
}

func jobsFromBefore(t *testing.T, w *world.World) {
	const n = 50
	j := newJobs(w)
	w.Kill()
	settings := world.Quick(world.Settings{"trigger.orders": w.Trigger(w.Stream("s"), world.Group)})
	cron, err := w.Kube.BatchV1().CronJobs(w.Namespace).Create(t.Context(), &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Name: "nightly"},
		Spec: batchv1.CronJobSpec{Schedule: "0 0 1 1 *", SuccessfulJobsHistoryLimit: ptr.To[int32](n), JobTemplate: batchv1.JobTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Annotations: settings.Annotations()}, Spec: j.Job("", 1, nil).Spec,
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		child := j.Job(fmt.Sprintf("nightly-%d", i), 1, settings)
		child.Spec.Completions = ptr.To[int32](1)
		child.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(cron, batchv1.SchemeGroupVersion.WithKind("CronJob"))}
		j.CreateJob(child)
	}
	j.CreateJob(j.Job("own", 1, settings))
	before := j.read("own").Spec
	w.Restart()
	w.Await("the sweep adopts the Job that nobody owns", world.Soon, func(context.Context) error {
		if j.read("own").Labels[annotations.Bucket] == "" {
			return fmt.Errorf("it has no label yet")
		}
		return nil
	})
	j.mustMerge("own", `{"metadata":{"labels":{"touched":"yes"}}}`)
	if after := j.read("own").Spec; !equality.Semantic.DeepEqual(before, after) {
		t.Errorf("the spec of a Job has become\n%+v\nfrom\n%+v", after, before)
	}
	for i := range n {
		name := fmt.Sprintf("nightly-%d", i)
		j.mustMerge(name, `{"metadata":{"labels":{"touched":"yes"}}}`)
		if job := j.read(name); job.Labels[annotations.Bucket] != "" || job.Annotations[annotations.StateKey] != "" {
			t.Errorf("%s, a child of a CronJob, is managed", name)
		}
		j.awaitPods(name, 1)
		j.finish(name, 1)
	}
	for i := range n {
		name := fmt.Sprintf("nightly-%d", i)
		w.Await(name+" is complete", world.Soon, func(context.Context) error {
			if j.read(name).Status.CompletionTime == nil {
				return fmt.Errorf("it is not")
			}
			return nil
		})
	}
	j.wantNothingCut()
}

// warnings collects what the API server warns of.
type warnings struct{ texts []string }

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(_ int, _, text string) { w.texts = append(w.texts, text) }

// warned makes a Job and returns the warnings.
func (j *jobs) warned(job *batchv1.Job) []string {
	j.T.Helper()
	heard := &warnings{}
	config := rest.CopyConfig(j.Cluster.Config())
	config.WarningHandler = heard
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		j.T.Fatal(err)
	}
	if _, err := kube.BatchV1().Jobs(j.Namespace).Create(j.T.Context(), job, metav1.CreateOptions{}); err != nil {
		j.T.Fatal(err)
	}
	return heard.texts
}

func withoutJobRights(t *testing.T, w *world.World) {
	const name = "autoscaler-jobs"
	bindings := w.Kube.RbacV1().ClusterRoleBindings()
	w.Stop()
	if err := bindings.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	inForce := func(want bool) {
		t.Helper()
		w.Await("the change of the rights to be in force", world.Soon, func(context.Context) error {
			return w.Access(authorizationv1.ResourceAttributes{Verb: "patch", Group: "batch", Resource: "jobs"}, want)
		})
	}
	grant := func(ctx context.Context) error { return w.ApplyManifest(ctx, "cluster-role-jobs.yaml") }
	t.Cleanup(func() {
		if err := grant(context.Background()); err != nil {
			t.Error(err)
		}
	})
	inForce(false)
	w.Restart()
	j := newJobs(w)
	stream := w.Stream("worker")
	w.Group(w.Redis.Client(), stream, "0")
	w.Add(w.Redis.Client(), stream, 15)
	settings := world.Quick(world.Settings{"trigger.orders": w.Trigger(stream, world.Group)})
	got := j.warned(j.Job("worker", 1, settings))
	want := []string{"the annotations autoscale.io/… have no effect on this Job: this install may not change Jobs; manifests/cluster-role-jobs.yaml grants it"}
	if !slices.Equal(got, want) {
		t.Errorf("warned of %q, want %q", got, want)
	}
	w.Create("web", 1, settings)
	w.AwaitReplicas("web", 3, world.Soon)
	const text = "Jobs and CronJobs are not managed, since this account may not list and patch Jobs; apply manifests/cluster-role-jobs.yaml and restart to have them managed"
	log, err := os.ReadFile(w.Scaler.Log())
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(log), text); got != 1 {
		t.Errorf("the log says %d times %q, want once", got, text)
	}
	j.wantParallelism("worker", 1)
	if job := j.read("worker"); job.Labels[annotations.Bucket] != "" {
		t.Error("a Job is managed without the rights")
	}
	if err := grant(t.Context()); err != nil {
		t.Fatal(err)
	}
	inForce(true)
	w.Stop()
	w.Restart()
	j.awaitParallelism("worker", 3)
	j.wantNothingCut()
}

// withoutSpawnRights takes the permission to create Jobs away everywhere, and gives it back in one namespace.
func withoutSpawnRights(t *testing.T, w *world.World) {
	role := "autoscaler-spawn" + w.OwnInstall()
	everywhere := w.Kube.RbacV1().ClusterRoleBindings()
	binding, err := everywhere.Get(t.Context(), role, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := everywhere.Delete(t.Context(), role, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s := newSpawns(w)
	stream := s.queue("s", 2)
	s.CreateJob(s.template("consumer", w.Spawning(stream, nil)))
	w.AwaitEvent("consumer", "JobsFailed", `^created 0 of 2 Jobs: create a Job of Job [^ ]+/consumer, which needs the ClusterRole autoscaler-spawn: jobs.batch is forbidden: User .* cannot create resource "jobs" .*; the next reading tries again$`)
	s.awaitStatus("consumer", report.Ready, "False", report.ReasonJobsFailed, "which needs the ClusterRole autoscaler-spawn")
	s.wantMade("consumer", 0)
	here := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: role}, RoleRef: binding.RoleRef, Subjects: binding.Subjects}
	if _, err := w.Kube.RbacV1().RoleBindings(w.Namespace).Create(t.Context(), here, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.awaitMade("consumer", 2)
	s.awaitStatus("consumer", report.Ready, "True", "Reading", "")
}
