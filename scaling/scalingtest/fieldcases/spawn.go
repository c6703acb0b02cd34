package fieldcases

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"autoscale.io/annotations"
	"autoscale.io/scaling/controller"
	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/apiserver"
)

func spawnCases() []Case {
	return []Case{
		{ID: "JB-04-spawn", Options: scalingtest.Options{Replicas: 2}, Run: spawnRestart},
		{ID: "JB-05-spawn", Run: spawnEdits},
		{ID: "JB-replace", Run: spawnReplaces},
		{ID: "JB-06", Run: spawnOnce},
		{ID: "JB-09", Options: scalingtest.Options{Kinds: []controller.Kind{cronJobs()}}, Run: spawnBlind},
		{ID: "JB-10", Run: spawnQuota},
		{ID: "JB-13", Run: spawnFloor},
		{ID: "JB-14", Run: spawnTriggerErrors},
		{ID: "JB-history", Run: spawnHistory},
	}
}

func cronJobs() controller.Kind {
	kinds := scalingtest.DefaultKinds()
	return kinds[slices.IndexFunc(kinds, func(k controller.Kind) bool { return k.Kind == "CronJob" })]
}

// spawning are settings that start a Job for each message of the source orders.
func spawning(more scalingtest.Settings) scalingtest.Settings {
	s := scalingtest.Settings{"job-mode": annotations.JobSpawn, "max-replicas": "50", "trigger.orders": oneEach("orders")}
	maps.Copy(s, more)
	return s
}

func oneEach(source string) string { return fmt.Sprintf("{type: fake, source: %s, target: 1}", source) }

// cronTemplate is a suspended CronJob as a template.
func cronTemplate(name string, settings scalingtest.Settings) *batchv1.CronJob {
	job := scalingtest.Template(name, settings)
	job.Spec.Suspend = nil
	return &batchv1.CronJob{
		ObjectMeta: job.ObjectMeta,
		Spec:       batchv1.CronJobSpec{Schedule: "0 0 1 1 *", Suspend: ptr.To(true), JobTemplate: batchv1.JobTemplateSpec{Spec: job.Spec}},
	}
}

// createsOfJobs are what a fault of the API server is about.
func createsOfJobs(c apiserver.Call) bool {
	return c.User == scalingtest.Autoscaler && c.Verb == "create" && c.Resource.Resource == "jobs"
}

// spawnRestart kills and restarts replicas, and breaks watches, beside Jobs that run, and others that find no node and would be
// replaced if their template were taken for another.
func spawnRestart(w *scalingtest.World) {
	w.RunPods()
	w.Set("orders", 10)
	w.Create(scalingtest.Template("consumer", spawning(scalingtest.Settings{"job-rollout": "replace"})))
	w.Set("few", 2)
	waiting := scalingtest.Template("waiting", spawning(scalingtest.Settings{"job-rollout": "replace", "trigger.orders": oneEach("few")}))
	waiting.Spec.Template.Spec.NodeSelector = map[string]string{"node": "full"}
	w.Create(waiting)
	w.Advance(time.Minute)
	wantMade(w, "consumer", 10, 10)
	wantPods(w, "consumer", 10)
	wantMade(w, "waiting", 2, 2)
	versions := func() map[string]string {
		versions := map[string]string{}
		for _, job := range slices.Concat(w.Children("consumer"), w.Children("waiting")) {
			versions[job.Name] = job.ResourceVersion
		}
		return versions
	}
	before := versions()
	for what, do := range disturbances(w) {
		for i := range 2 {
			do()
			w.Advance(40*time.Second + time.Duration(i)*1700*time.Millisecond)
		}
		if after := versions(); !maps.Equal(before, after) {
			w.Fatalf("after %s the Jobs were written to:\nbefore %v\nafter  %v", what, before, after)
		}
	}
	wantMade(w, "consumer", 10, 10)
	wantNothingCut(w, "consumer")
}

// spawnEdits edits a template while Jobs of it run.
func spawnEdits(w *scalingtest.World) {
	w.RunPods()
	w.Set("orders", 5)
	w.Create(cronTemplate("consumer", spawning(nil)))
	w.Advance(time.Minute)
	wantPods(w, "consumer", 5)
	setImage(w, "consumer", "worker:2", "")
	annotate(w, "consumer", scalingtest.Settings{"max-replicas": "40", "job-strategy": "default"})
	if err := w.Patch("consumer", `{"metadata":{"labels":{"team":"blue"}}}`); err != nil {
		w.Fatal(err)
	}
	w.Advance(11 * time.Minute)
	wantMade(w, "consumer", 5, 5)
	w.Set("orders", 7)
	w.Advance(10 * time.Second)
	wantMade(w, "consumer", 7, 7)
	wantImages(w, "consumer", map[string]int{"worker": 5, "worker:2": 2})
	wantNothingCut(w, "consumer")
}

// setImage edits a template; node, if it is not empty, is one that there is not, so that its pods stay pending.
func setImage(w *scalingtest.World, template, image, node string) {
	w.Helper()
	selector := "null"
	if node != "" {
		selector = fmt.Sprintf(`{"node":%q}`, node)
	}
	patch := fmt.Sprintf(`{"spec":{"jobTemplate":{"spec":{"template":{"spec":{"nodeSelector":%s,"containers":[{"name":"worker","image":%q}]}}}}}}`, selector, image)
	if err := w.Patch(template, patch); err != nil {
		w.Fatal(err)
	}
}

// spawnReplaces has Jobs that run, and Jobs of a bad template that cannot start.
func spawnReplaces(w *scalingtest.World) {
	w.RunPods()
	w.Set("orders", 3)
	w.Create(cronTemplate("consumer", spawning(scalingtest.Settings{"job-rollout": "replace"})))
	w.Advance(time.Minute)
	wantPods(w, "consumer", 3)
	setImage(w, "consumer", "worker:bad", "nowhere")
	w.Advance(10 * time.Minute)
	wantMade(w, "consumer", 3, 3) // those that run are of the template before, and are left alone
	w.Set("orders", 5)
	w.Advance(10 * time.Minute)
	wantImages(w, "consumer", map[string]int{"worker": 3, "worker:bad": 2})
	setImage(w, "consumer", "worker:good", "")
	w.Advance(20 * time.Second)
	wantImages(w, "consumer", map[string]int{"worker": 3, "worker:good": 2})
	wantPods(w, "consumer", 5)
	wantMade(w, "consumer", 7, 5)
	wantEvents(w, "consumer",
		"JobsStarted: started 3 Jobs: trigger orders: 3 at a target of 1 each asks for 3 Jobs; none runs; starting 3",
		"JobsStarted: started 2 Jobs: trigger orders: 5 at a target of 1 each asks for 5 Jobs; 3 run; starting 2",
		"JobsReplaced: deleted 2 Jobs of an older template before they started; new ones follow where there is work",
		"JobsStarted: started 2 Jobs: trigger orders: 5 at a target of 1 each asks for 5 Jobs; 3 run; starting 2",
	)
	wantNothingCut(w, "consumer")
}

// spawnOnce has watches that come ever later, answers and requests that are lost, and Jobs that do not start, so that the
// messages stay where they are.
func spawnOnce(w *scalingtest.World) {
	for i, late := range []time.Duration{3 * time.Second, 20 * time.Second} {
		for j, fault := range []apiserver.Fault{
			{},
			{Err: errors.New("EOF"), TakesEffect: true, Times: 2},  // two answers are lost, and found again
			{Err: errors.New("EOF"), TakesEffect: true, Times: 30}, // for so long that it is given up
			{Err: errors.New("EOF"), Times: 30},                    // or the requests are
			{After: 8 * time.Second, Times: 4},                     // or the answers come too late
		} {
			name := fmt.Sprintf("consumer-%d-%d", i, j)
			w.API.DelayWatches(jobsResource(), late)
			if fault.Match = createsOfJobs; fault.Times > 0 {
				fault.Skip = 3
				w.API.Inject(fault)
			}
			w.Set(name, 42)
			w.Create(scalingtest.Template(name, spawning(scalingtest.Settings{"job-strategy": "accurate", "trigger.orders": oneEach(name)})))
			w.Advance(90 * time.Second)
			wantMade(w, name, 42, 42)
			w.Set(name, 45)
			w.Advance(time.Minute)
			wantMade(w, name, 45, 45)
			w.Delete(name)
		}
	}
	spawnKilled(w)
}

// spawnKilled kills the autoscaler at many moments while it creates Jobs, which takes two seconds.
func spawnKilled(w *scalingtest.World) {
	w.API.DelayWatches(jobsResource(), time.Second)
	w.API.Inject(apiserver.Fault{Match: createsOfJobs, Before: 150 * time.Millisecond, After: 150 * time.Millisecond})
	for i := range 8 {
		name := fmt.Sprint("killed-", i)
		w.Set(name, 42)
		w.Create(scalingtest.Template(name, spawning(scalingtest.Settings{"job-strategy": "accurate", "trigger.orders": oneEach(name)})))
		w.Advance(time.Duration(i) * 280 * time.Millisecond)
		w.Kill()
		w.Start("autoscaler-1")
		w.Advance(30 * time.Second)
		wantMade(w, name, 42, 42)
		w.Delete(name)
		w.Advance(5 * time.Second)
	}
}

// spawnBlind has an API server that does not list Jobs.
func spawnBlind(w *scalingtest.World) {
	w.RunPods()
	w.Set("orders", 10)
	w.Create(cronTemplate("consumer", spawning(scalingtest.Settings{"min-replicas": "1"})))
	w.Advance(time.Minute)
	wantMade(w, "consumer", 11, 11)
	remove := w.API.Inject(apiserver.Fault{
		Match: func(c apiserver.Call) bool {
			return c.User == scalingtest.Autoscaler && c.Resource.Resource == "jobs" && (c.Verb == "list" || c.Verb == "watch")
		},
		Err: apierrors.NewInternalError(errors.New("etcdserver: request timed out")),
	})
	w.Kill()
	w.Start("autoscaler-1")
	w.Set("orders", 14)
	w.Advance(10 * time.Minute)
	wantMade(w, "consumer", 11, 11)
	wantCondition(w, "consumer",
		"Ready=False (JobsUnknown): cannot list jobs: failed to list *v1.Job: Internal error occurred: etcdserver: request timed out; no Job is started until it is known how many run")
	remove()
	w.Advance(2 * time.Minute)
	wantMade(w, "consumer", 15, 15)
	wantCondition(w, "consumer", "Ready=True (Reading): every trigger can be read")
	w.Advance(11 * time.Minute)
	wantMade(w, "consumer", 15, 15)
	wantEvents(w, "consumer",
		"JobsStarted: started 1 Job: trigger orders: 10 at a target of 1 each asks for 10 Jobs; none runs; min-replicas is 1; starting 1",
		"JobsStarted: started 10 Jobs: trigger orders: 10 at a target of 1 each asks for 10 Jobs; 1 runs; starting 10",
		"JobsUnknown: cannot list jobs: failed to list *v1.Job: Internal error occurred: etcdserver: request timed out; no Job is started until it is known how many run",
		"JobsKnown: it is known again how many Jobs run",
		"JobsStarted: started 4 Jobs: trigger orders: 14 at a target of 1 each asks for 14 Jobs; 11 run; starting 4",
	)
}

// spawnQuota lets 3 of 10 Jobs through.
func spawnQuota(w *scalingtest.World) {
	remove := w.API.Inject(apiserver.Fault{
		Match: createsOfJobs, Skip: 3,
		Err: apierrors.NewForbidden(batchv1.Resource("jobs"), "consumer-1", errors.New("exceeded quota: few")),
	})
	w.Set("orders", 10)
	w.Create(scalingtest.Template("consumer", spawning(nil)))
	w.Advance(20 * time.Second)
	wantMade(w, "consumer", 3, 3)
	wantCondition(w, "consumer",
		`Ready=False (JobsFailed): created 0 of 7 Jobs: create a Job of Job shop/consumer: jobs.batch "consumer-1" is forbidden: exceeded quota: few`)
	w.Advance(10 * time.Minute)
	wantMade(w, "consumer", 3, 3)
	remove()
	w.Advance(20 * time.Second)
	wantMade(w, "consumer", 10, 10)
	wantCondition(w, "consumer", "Ready=True (Reading): every trigger can be read")
	w.Advance(11 * time.Minute)
	wantMade(w, "consumer", 10, 10)
	// Each try again is told by the count of the event.
	var events []string
	for _, e := range w.Events("consumer") {
		events = append(events, e.String())
	}
	const refused = `create a Job of Job shop/consumer: jobs.batch "consumer-1" is forbidden: exceeded quota: few; the next reading tries again`
	want := []string{
		"JobsFailed: created 3 of 10 Jobs: " + refused,
		"JobsFailed: created 0 of 7 Jobs: " + refused,
		"JobsStarted: started 7 Jobs: trigger orders: 10 at a target of 1 each asks for 10 Jobs; 3 run, 3 of them not started; starting 7",
	}
	if got := slices.Compact(events); !slices.Equal(got, want) {
		w.Errorf("the events were\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// spawnFloor has a minimum of 2 and a maximum of 5.
func spawnFloor(w *scalingtest.World) {
	w.RunPods()
	w.Create(scalingtest.Template("consumer", spawning(scalingtest.Settings{"min-replicas": "2", "max-replicas": "5"})))
	w.Advance(time.Minute)
	wantMade(w, "consumer", 2, 2)
	w.Set("orders", 2)
	w.Advance(time.Minute)
	wantMade(w, "consumer", 4, 4)
	w.Set("orders", 12)
	w.Advance(11 * time.Minute)
	wantMade(w, "consumer", 5, 5)
	for i := range 8 {
		w.EndPods("consumer", 1, corev1.PodSucceeded)
		w.Advance(10*time.Second + time.Duration(i)*300*time.Millisecond)
		wantMade(w, "consumer", 6+i, 5)
	}
	wantPods(w, "consumer", 5)
	wantNothingCut(w, "consumer")
}

// spawnTriggerErrors has two triggers of which one, then both and then none fail.
func spawnTriggerErrors(w *scalingtest.World) {
	w.Set("orders", 2)
	w.Break("other", "connection refused")
	w.Create(scalingtest.Template("consumer", spawning(scalingtest.Settings{"trigger.other": oneEach("other")})))
	w.Advance(time.Minute)
	wantMade(w, "consumer", 2, 2) // by the one that can be read
	wantCondition(w, "consumer", "Ready=False (TriggerUnknown): trigger other: connection refused")
	w.Break("orders", "wrong password")
	w.Advance(11 * time.Minute)
	wantMade(w, "consumer", 2, 2)
	w.Set("other", 0)
	w.Advance(time.Minute)
	w.Set("orders", 3)
	w.Advance(time.Minute)
	wantMade(w, "consumer", 3, 3)
	wantCondition(w, "consumer", "Ready=True (Reading): every trigger can be read")
	wantEvents(w, "consumer",
		"TriggerUnknown: trigger other (fake) cannot be read since 00:00:00Z, so it starts no Job: connection refused",
		"JobsStarted: started 2 Jobs: trigger orders: 2 at a target of 1 each asks for 2 Jobs; trigger other could not be read; none runs; starting 2",
		"TriggerUnknown: trigger orders (fake) cannot be read since 00:01:04Z, so it starts no Job: wrong password",
		"TriggerRecovered: trigger other (fake) can be read again",
		"JobsStarted: started 1 Job: trigger orders: 3 at a target of 1 each asks for 3 Jobs; trigger other: 0 at a target of 1 each is not above its activation of 0; 2 run, 2 of them not started; starting 1",
		"TriggerRecovered: trigger orders (fake) can be read again",
	)
}

// spawnHistory keeps two Jobs that succeeded, and none once their template is deleted.
func spawnHistory(w *scalingtest.World) {
	w.RunPods()
	w.Set("orders", 6)
	w.Create(scalingtest.Template("consumer", spawning(scalingtest.Settings{"successful-jobs-history-limit": "2", "failed-jobs-history-limit": "1"})))
	w.Advance(time.Minute)
	wantPods(w, "consumer", 6)
	var names []string
	for _, pod := range w.Pods("consumer") {
		names = append(names, metav1.GetControllerOf(&pod).Name)
	}
	for left := range 4 {
		w.Set("orders", float64(5-left))
		w.EndPods("consumer", 1, corev1.PodSucceeded)
		w.Advance(10 * time.Second)
	}
	w.Advance(11 * time.Minute)
	want := slices.Sorted(slices.Values(names[2:])) // the two that run, and the two that ended last
	var got []string
	for _, job := range w.Children("consumer") {
		got = append(got, job.Name)
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		w.Errorf("of the Jobs %v there are left %v, want %v", names, got, want)
	}
	wantNothingCut(w, "consumer")
	w.Delete("consumer")
	w.Advance(time.Minute)
	if left := w.Children("consumer"); len(left) > 0 {
		w.Errorf("%d Jobs are left without their template", len(left))
	}
	wantMade(w, "consumer", 6, 6)
}
