package fieldcases

import (
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	"autoscale.io/annotations"
	"autoscale.io/scaling/scalingtest"
)

func jobCases() []Case {
	return []Case{
		{ID: "JB-02", Run: jobShrinks},
		{ID: "JB-03", Run: jobZero},
		{ID: "JB-04", Options: scalingtest.Options{Replicas: 2}, Run: jobsSurviveRestart},
		{ID: "JB-05", Run: jobEdits},
		{ID: "JB-ended", Run: jobsLeftAlone},
		{ID: "JB-queue", Run: jobWithoutCompletions},
	}
}

func jobsResource() schema.GroupResource { return batchv1.Resource("jobs") }

// busyJob is a Job at parallelism 1 with a backlog of its own that asks for n pods, which run.
func busyJob(w *scalingtest.World, name string, n int32, more scalingtest.Settings) {
	w.Helper()
	w.Set(name, float64(5*n))
	settings := usual(scalingtest.Settings{"trigger.orders": scalingtest.Trigger(name, "")})
	for key, value := range more {
		settings[key] = value
	}
	w.Create(scalingtest.Job(name, 1, settings))
	w.AwaitReplicas(name, n, 10*time.Second)
	w.Advance(time.Minute)
	wantPods(w, name, int(n))
}

// wantPods fails the test unless that many pods of a workload are there, all of which run.
func wantPods(w *scalingtest.World, name string, want int) {
	w.Helper()
	w.Settle()
	pods := w.Pods(name)
	running := 0
	for _, pod := range pods {
		if pod.Status.Phase == corev1.PodRunning {
			running++
		}
	}
	if len(pods) != want || running != want {
		w.Fatalf("%s has %d pods of which %d run, want %d that run", name, len(pods), running, want)
	}
}

// wantNothingCut fails the test when a pod was deleted that ran, or the autoscaler has written spec.suspend.
func wantNothingCut(w *scalingtest.World, names ...string) {
	w.Helper()
	if cut := w.CutShort(); len(cut) > 0 {
		w.Errorf("these pods were deleted while they ran: %v", cut)
	}
	for _, name := range names {
		for _, write := range w.Writes(name) {
			if strings.Contains(write, "suspend") {
				w.Errorf("the autoscaler wrote to %s: %s", name, write)
			}
		}
	}
}

// jobShrinks takes the work of a Job away, and then lets its pods end at many moments, alone and together.
func jobShrinks(w *scalingtest.World) {
	w.RunPods()
	busyJob(w, "worker", 5, scalingtest.Settings{"min-replicas": "1"})
	w.Set("worker", 5)
	w.Advance(11 * time.Minute)
	w.WantCounts("worker", 1, 5)
	for _, count := range []int32{4, 3, 2, 1} {
		w.EndPods("worker", 1, corev1.PodSucceeded)
		w.AwaitReplicas("worker", count, 2*time.Second)
		w.Advance(time.Minute)
		wantPods(w, "worker", int(count))
	}
	w.EndPods("worker", 1, corev1.PodSucceeded)
	w.Advance(time.Minute)
	wantPods(w, "worker", 1) // the minimum stays, so this one is replaced
	w.Set("worker", 15)
	w.AwaitReplicas("worker", 3, 5*time.Second)
	w.Advance(time.Minute)
	wantPods(w, "worker", 3)
	w.WantCounts("worker", 1, 5, 4, 3, 2, 1, 3)
	wantEvents(w, "worker",
		"ScaledUp: 1 → 5 replicas: trigger orders: 25 at a target of 5 each asks for 5 replicas",
		"ScaleDownWaits: holding 5 until a pod ends: trigger orders: 5 at a target of 5 each asks for 1 replica",
		"ScaledDown: 5 → 4 replicas: trigger orders: 5 at a target of 5 each asks for 1 replica; holding 4 until a pod ends",
		"ScaledDown: 4 → 3 replicas: trigger orders: 5 at a target of 5 each asks for 1 replica; holding 3 until a pod ends",
		"ScaledDown: 3 → 2 replicas: trigger orders: 5 at a target of 5 each asks for 1 replica; holding 2 until a pod ends",
		"ScaledDown: 2 → 1 replicas: trigger orders: 5 at a target of 5 each asks for 1 replica",
		"ScaledUp: 1 → 3 replicas: trigger orders: 15 at a target of 5 each asks for 3 replicas",
	)
	// Pods that end one after the other in quick succession are replaced now and then, which Kubernetes decides.
	busyJob(w, "fast", 10, scalingtest.Settings{"min-replicas": "1"})
	w.Set("fast", 5)
	w.Advance(10 * time.Minute)
	w.WantCounts("fast", 1, 10)
	for gap := time.Duration(0); w.Replicas("fast") > 1 && gap < 2*time.Second; gap += 40 * time.Millisecond {
		w.EndPods("fast", 1, corev1.PodSucceeded)
		w.Advance(gap)
	}
	w.Advance(time.Minute)
	counts := w.Counts("fast")[1:]
	if !slices.IsSortedFunc(counts, func(a, b int32) int { return int(b - a) }) || counts[len(counts)-1] != 1 {
		w.Errorf("fast has had the replica counts %v, want them to fall to 1", counts)
	}
	wantPods(w, "fast", 1)
	wantNothingCut(w, "worker", "fast")
}

// jobZero takes all work of a Job away, and has Jobs that others manage beside it.
func jobZero(w *scalingtest.World) {
	w.RunPods()
	busyJob(w, "worker", 3, nil)
	w.Set("worker", 0)
	w.Advance(11 * time.Minute)
	w.WantCounts("worker", 1, 3)
	for _, count := range []int32{2, 1} {
		w.EndPods("worker", 1, corev1.PodSucceeded)
		w.AwaitReplicas("worker", count, 2*time.Second)
		w.Advance(10 * time.Minute)
	}
	w.EndPods("worker", 1, corev1.PodSucceeded)
	w.AwaitReplicas("worker", 0, 2*time.Second)
	w.Advance(10 * time.Minute)
	wantPods(w, "worker", 0)
	w.Set("worker", 10)
	w.AwaitReplicas("worker", 2, 5*time.Second)
	w.Advance(time.Minute)
	wantPods(w, "worker", 2)
	w.WantCounts("worker", 1, 3, 2, 1, 0, 2)
	wantEvents(w, "worker",
		"ScaledUp: 1 → 3 replicas: trigger orders: 15 at a target of 5 each asks for 3 replicas",
		"ScaleDownWaits: holding 3 until a pod ends: trigger orders: 0 at a target of 5 each is not above its activation of 0",
		"ScaledDown: 3 → 2 replicas: trigger orders: 0 at a target of 5 each is not above its activation of 0; holding 2 until a pod ends",
		"ScaledDown: 2 → 1 replicas: trigger orders: 0 at a target of 5 each is not above its activation of 0",
		"ScaleDownWaits: holding 1 until a pod ends: no work seen since 00:01:04Z; the cooldown is over; scaling from 1 to zero",
		"ScaledDown: 1 → 0 replicas: no work seen since 00:01:04Z; the cooldown is over; scaling from 1 to zero",
		"ScaledUp: 0 → 2 replicas: trigger orders: 10 at a target of 5 each asks for 2 replicas; waking from 0 to 2 replicas",
	)

	queued := scalingtest.Job("queued", 2, usual(nil))
	queued.Labels = map[string]string{"kueue.x-k8s.io/queue-name": "main"}
	managed := scalingtest.Job("managed", 4, usual(nil))
	managed.Spec.ManagedBy = ptr.To("kueue.x-k8s.io/multikueue")
	w.Set("orders", 50)
	w.Create(queued, managed)
	w.Advance(time.Minute)
	wantLeftAlone(w, "queued",
		"Kueue admits this Job (label kueue.x-k8s.io/queue-name: main) and would suspend it when its parallelism changes, which is therefore left alone")
	wantLeftAlone(w, "managed", "kueue.x-k8s.io/multikueue manages this Job (spec.managedBy), so its parallelism is left alone")
	w.Scale("queued", 3) // as Kueue does
	w.Advance(10 * time.Minute)
	w.WantCounts("queued", 2, 3)
	w.WantCounts("managed", 4)
	wantNothingCut(w, "worker", "queued", "managed")
}

func wantLeftAlone(w *scalingtest.World, name, why string) {
	w.Helper()
	wantCondition(w, name, "Active=False (LeftAlone): "+why)
}

// jobsSurviveRestart kills and restarts replicas, and breaks watches, beside Jobs that have what they need.
func jobsSurviveRestart(w *scalingtest.World) {
	const n = 4
	w.RunPods()
	var before []string
	versions := func() (all []string) {
		for i := range n {
			all = append(all, w.Get(fmt.Sprint("w", i)).GetResourceVersion())
		}
		return all
	}
	for i := range n {
		busyJob(w, fmt.Sprint("w", i), 2, nil)
	}
	before = versions()
	for what, do := range disturbances(w) {
		for i := range 2 {
			do()
			w.Advance(40*time.Second + time.Duration(i)*1700*time.Millisecond)
		}
		if after := versions(); !slices.Equal(before, after) {
			w.Fatalf("after %s the Jobs were written to: resource versions %v, now %v", what, before, after)
		}
	}
	wantNothingCut(w)
}

// disturbances are what may happen to the autoscaler and its watches at any time.
func disturbances(w *scalingtest.World) map[string]func() {
	started := 2
	return map[string]func(){
		"a kill": func() {
			w.Kill()
			w.Advance(time.Minute)
			started++
			w.Start(fmt.Sprint("autoscaler-", started))
		},
		"a restart":               w.Restart,
		"watches that break":      func() { w.API.CutWatches(jobsResource()); w.API.CutWatches(corev1.Resource("pods")) },
		"watches that come later": func() { w.API.DelayWatches(jobsResource(), 10*time.Second); w.Restart() },
	}
}

// jobEdits edits a Job that is busy in all ways, and then removes its annotations.
func jobEdits(w *scalingtest.World) {
	w.RunPods()
	busyJob(w, "worker", 5, nil)
	for _, settings := range []scalingtest.Settings{
		{"polling-interval": "7s"},
		{"max-replicas": "3"}, // below what runs
		{"max-replicas": "8"},
		{"pause": "true"},
		{"pause": "0"},
		{"pause": ""},
		{"job-mode": "resize"},
		{"on-removal": "restore"},
	} {
		annotate(w, "worker", settings)
		w.Advance(10 * time.Minute)
	}
	w.WantCounts("worker", 1, 5)
	if err := w.Patch("worker", `{"metadata":{"labels":{"team":"a"}}}`); err != nil {
		w.Fatal(err)
	}
	gone := scalingtest.Settings{}
	for key := range w.Get("worker").GetAnnotations() {
		gone[strings.TrimPrefix(key, annotations.Prefix)] = ""
	}
	annotate(w, "worker", gone)
	w.Advance(10 * time.Minute)
	if job := w.Get("worker"); len(job.GetAnnotations()) > 0 || len(job.GetLabels()) != 1 {
		w.Errorf("left behind: annotations %v, labels %v; want the label team alone", job.GetAnnotations(), job.GetLabels())
	}
	w.WantCounts("worker", 1, 5)
	wantPods(w, "worker", 5)
	wantNothingCut(w, "worker")
}

// jobsLeftAlone has a Job that a person suspends, one that is complete and one that has failed.
func jobsLeftAlone(w *scalingtest.World) {
	busyJob := func(name string) {
		w.Set(name, 10)
		w.Create(scalingtest.Job(name, 1, usual(scalingtest.Settings{"trigger.orders": scalingtest.Trigger(name, "")})))
		w.AwaitReplicas(name, 2, 10*time.Second)
		w.Advance(time.Minute)
	}
	for _, name := range []string{"suspended", "complete", "failed"} {
		busyJob(name)
	}
	if err := w.Patch("suspended", `{"spec":{"suspend":true}}`); err != nil {
		w.Fatal(err)
	}
	w.SetStatus("complete", `{"succeeded":50,"conditions":[{"type":"Complete","status":"True"}]}`)
	w.SetStatus("failed", `{"failed":1,"conditions":[{"type":"Failed","status":"True","reason":"BackoffLimitExceeded"}]}`)
	w.Advance(time.Minute)
	wantLeftAlone(w, "suspended", "the Job is suspended; its parallelism is left alone until spec.suspend is false")
	wantLeftAlone(w, "complete", "the Job is complete and starts no more pods")
	wantLeftAlone(w, "failed", "the Job has failed (BackoffLimitExceeded) and starts no more pods")
	for _, work := range []float64{50, 0} {
		for _, name := range []string{"suspended", "complete", "failed"} {
			w.Set(name, work)
		}
		w.Advance(11 * time.Minute)
		for _, name := range []string{"suspended", "complete", "failed"} {
			w.WantCounts(name, 1, 2)
		}
	}
	if err := w.Patch("suspended", `{"spec":{"suspend":false}}`); err != nil {
		w.Fatal(err)
	}
	w.Set("suspended", 20)
	w.AwaitReplicas("suspended", 4, 5*time.Second)
	wantNothingCut(w, "suspended", "complete", "failed")

	reads := func() int { return len(w.Source("complete").Reads()) }
	w.Delete("complete")
	before := reads()
	w.Advance(time.Minute)
	if after := reads(); after > before+1 {
		w.Errorf("the source of the deleted Job was read %d times more", after-before)
	}
}

// jobWithoutCompletions drains: Kubernetes starts no pods any more after the first that succeeds.
func jobWithoutCompletions(w *scalingtest.World) {
	w.RunPods()
	w.Set("orders", 20)
	job := scalingtest.Job("worker", 0, usual(nil))
	job.Spec.Completions = nil
	w.Create(job)
	w.AwaitReplicas("worker", 4, 10*time.Second)
	w.Advance(time.Minute)
	wantPods(w, "worker", 4)
	w.EndPods("worker", 1, corev1.PodSucceeded)
	w.Advance(time.Minute)
	wantLeftAlone(w, "worker", "a pod has succeeded, and a Job without completions starts no pods after that")
	for _, work := range []float64{40, 0} {
		w.Set("orders", work)
		w.Advance(11 * time.Minute)
		wantPods(w, "worker", 3)
	}
	w.EndPods("worker", 3, corev1.PodSucceeded)
	w.Advance(time.Minute)
	wantLeftAlone(w, "worker", "the Job is complete and starts no more pods")
	w.WantCounts("worker", 0, 4)
	wantNothingCut(w, "worker")
}
