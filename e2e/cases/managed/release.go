package managed

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/annotations"
	"autoscale.io/e2e/world"
)

func releaseCases() []world.Case {
	return []world.Case{
		{ID: "SZ-12-away", Symptom: "the annotations go while the autoscaler is down, and the workload stays at zero", Holds: "it is released in good order at the next start", In: world.Soak, Own: true, Run: leftWhileAway},
		{ID: "SZ-12-uninstall", Symptom: "an uninstall leaves a cluster of workloads at zero, and nobody knows which", Holds: "autoscaler release leaves the present counts or those from before, and lists what is at zero", In: world.Test, Alone: true, Run: uninstall},
	}
}

func leftWhileAway(t *testing.T, w *world.World) {
	stream := w.Stream("s")
	w.Group(w.Redis.Client(), stream, "0")
	settings := world.Quick(world.Settings{"cooldown": "1s", "trigger.orders": w.Trigger(stream, world.Group)})
	w.Create("worker", 3, settings)
	w.AwaitReplicas("worker", 0, time.Minute)
	w.Stop()
	gone := world.Settings{"class": ""}
	for key := range settings {
		gone[key] = ""
	}
	if err := w.Annotate("worker", gone); err != nil {
		t.Fatal(err)
	}
	w.Restart()
	w.AwaitReplicas("worker", 3, world.Soon)
	w.WantReleased("worker")
	w.AwaitEvent("worker", "Released", `^the annotations are gone; 0 → 3 replicas$`)
}

// released runs autoscaler release with an administrator's rights.
func released(w *world.World, args ...string) (string, error) {
	w.T.Helper()
	command := exec.CommandContext(w.T.Context(), w.Product.Binary(), append([]string{"release", "--kubeconfig", w.Cluster.Kubeconfig()}, args...)...)
	out, err := command.CombinedOutput()
	return string(out), err
}

func mustRelease(w *world.World, args ...string) string {
	w.T.Helper()
	out, err := released(w, args...)
	if err != nil {
		w.T.Fatalf("release %v: %v: %s", args, err, out)
	}
	return out
}

// fleet are workloads at zero, each from 3, and one of each kind of Job.
func fleet(w *world.World, n int) (settings world.Settings) {
	w.T.Helper()
	stream := w.Stream("s")
	w.Group(w.Redis.Client(), stream, "0")
	settings = world.Quick(world.Settings{"cooldown": "1s", "trigger.orders": w.Trigger(stream, world.Group)})
	for i := range n {
		w.Create(fmt.Sprintf("w%02d", i), 3, settings)
	}
	restored := world.Quick(world.Settings{"on-removal": "restore"})
	for key, value := range settings {
		restored[key] = value
	}
	w.Create("restored", 3, restored)
	w.CreateJob(w.Job("resized", 3, settings))
	cron := &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Name: "template", Annotations: w.Spawning(stream, nil).Annotations()},
		Spec:       batchv1.CronJobSpec{Schedule: "0 0 1 1 *", Suspend: new(true), JobTemplate: batchv1.JobTemplateSpec{Spec: w.Job("", 1, nil).Spec}},
	}
	if _, err := w.Kube.BatchV1().CronJobs(w.Namespace).Create(w.T.Context(), cron, metav1.CreateOptions{}); err != nil {
		w.T.Fatal(err)
	}
	for i := range n {
		w.AwaitReplicas(fmt.Sprintf("w%02d", i), 0, time.Minute)
	}
	w.AwaitReplicas("restored", 0, time.Minute)
	return settings
}

func uninstall(t *testing.T, w *world.World) {
	const n = 20
	settings := fleet(w, n)
	out, err := released(w, "-n", w.Namespace)
	running := `^autoscaler: the autoscaler still runs: autoscaler holds the lease \S+; it would take the workloads back\. Stop it first, such as with ` +
		`kubectl -n autoscale-system scale deployment autoscaler --replicas=0, or give --annotations to have the annotations removed that it goes by\n$`
	if err == nil || !regexp.MustCompile(running).MatchString(out) {
		t.Fatalf("while the autoscaler runs: %v, %q; want %q", err, out, running)
	}
	w.Stop()
	wantSaid(w, mustRelease(w, "-n", w.Namespace, "--dry-run"), [2]string{"would be released", "to be released"},
		"At 0, where nothing wakes them once the autoscaler is gone; --restore puts back the counts from before it:", n)
	if w.Get("w05").Labels[annotations.Bucket] == "" {
		t.Error("a dry run has taken a label off")
	}
	// Two by name, with the counts from before.
	out = mustRelease(w, "-n", w.Namespace, "--restore", "deployment/w18", "deploy/w19")
	want := fmt.Sprintf("deployments.apps %[1]s/w18: released; replicas: 0 → 3\ndeployments.apps %[1]s/w19: released; replicas: 0 → 3\n2 released, 0 failed, 0 at 0\n", w.Namespace)
	if out != want {
		t.Errorf("release by name said\n%swant\n%s", out, want)
	}
	wantSaid(w, mustRelease(w, "-n", w.Namespace), [2]string{"released", "released"}, "At 0, where nothing wakes them any more; kubectl scale does:", n-2)
	for i := range n - 2 {
		w.WantCounts(fmt.Sprintf("w%02d", i), 3, 1, 0)
	}
	w.WantCounts("w19", 3, 1, 0, 3)
	w.WantCounts("restored", 3, 1, 0, 3)
	d := w.Get("w00")
	if d.Labels[annotations.Bucket] != "" || d.Annotations[annotations.StateKey] != "" || d.Annotations[annotations.StatusKey] != "" {
		t.Errorf("left behind: labels %v, annotations %v", d.Labels, d.Annotations)
	}
	if got := d.Annotations[annotations.Prefix+"trigger.orders"]; got != settings["trigger.orders"] {
		t.Errorf("what a person wrote has become %q", got)
	}
	uninstallWhole(w, n)
	w.Restart()
}

// wantSaid compares what a release of the fleet says.
func wantSaid(w *world.World, got string, verbs [2]string, heading string, asleep int) {
	verb, sum := verbs[0], verbs[1]
	w.T.Helper()
	var lines, list strings.Builder
	for i := range asleep {
		fmt.Fprintf(&lines, "deployments.apps %s/w%02d: %s; replicas: 0 (3 before the autoscaler)\n", w.Namespace, i, verb)
		fmt.Fprintf(&list, "  deployments.apps %s/w%02d\n", w.Namespace, i)
	}
	want := fmt.Sprintf("deployments.apps %[1]s/restored: %[2]s; replicas: 0 → 3\n%[3]sjobs.batch %[1]s/resized: %[2]s; parallelism: 3\n"+
		"cronjobs.batch %[1]s/template: %[2]s; a template of Jobs, which stays suspended\n%[4]d %[5]s, 0 failed, %[6]d at 0\n%[7]s\n%[8]s",
		w.Namespace, verb, lines.String(), asleep+3, sum, asleep, heading, list.String())
	if got != want {
		w.T.Errorf("release said\n%swant\n%s", got, want)
	}
}

// uninstallWhole takes everything off, in every namespace.
func uninstallWhole(w *world.World, n int) {
	w.T.Helper()
	out := mustRelease(w, "--all", "--annotations")
	for i := range n {
		name := fmt.Sprintf("w%02d", i)
		w.WantReleased(name)
		if !strings.Contains(out, w.Namespace+"/"+name+": released; replicas: ") {
			w.T.Errorf("%s is not in %s", name, out)
		}
	}
	cron, err := w.Kube.BatchV1().CronJobs(w.Namespace).Get(w.T.Context(), "template", metav1.GetOptions{})
	if err != nil {
		w.T.Fatal(err)
	}
	if !*cron.Spec.Suspend || len(cron.Annotations) > 0 {
		w.T.Errorf("the template has suspend %v and the annotations %v; want it suspended, without any", *cron.Spec.Suspend, cron.Annotations)
	}
}
