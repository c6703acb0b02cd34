package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"autoscale.io/annotations"
	"autoscale.io/e2e/world"
	"autoscale.io/scaling/report"
)

func spawnCases() []world.Case {
	return []world.Case{
		{ID: "JB-04-spawn", Symptom: "after a restart the controller takes what it sees for an update and ends all running Jobs", Holds: "a kill, a relist and a new leader neither write nor delete any Job", In: world.Soak, Own: true, Run: spawnRestart},
		{ID: "JB-05-spawn", Symptom: "an edit of the template ends Jobs that run", Holds: "what runs goes on; new Jobs are of the new template", In: world.Soak, Run: spawnEdits},
		{ID: "JB-replace", Symptom: "Jobs of a bad image wait for ever, and take the place of good ones", Holds: "with job-rollout replace those that have not started are replaced, and no other", In: world.Test, Run: spawnReplaces},
		{ID: "JB-06", Symptom: "42 messages start 84 Jobs: the second poll comes before the first Jobs are seen or have started", Holds: "exactly 42, with every watch three seconds late and lost answers", In: world.Soak, Weight: 4, Run: spawnOnce},
		{ID: "JB-09", Symptom: "a failed list of Jobs counts as none running, and a whole new set is started", Holds: "nothing is started until it is known what runs, and that is said", In: world.Soak, Weight: 4, Run: spawnBlind},
		{ID: "JB-10", Symptom: "a quota lets 3 of 10 Jobs pass, and 10 are reported", Holds: "event and status say 3 of 10 and why; the rest follows without duplicates", In: world.Test, Run: spawnQuota},
		{ID: "JB-12", Symptom: "thousands of finished Jobs make the controller run out of memory, and again at each restart", Holds: "ten thousand cost a few MiB, and go when the limit says so", In: world.Soak, Alone: true, Run: spawnHistoryGrows},
		{ID: "JB-13", Symptom: "min 2 and 5 messages start 7 Jobs above a maximum of 5", Holds: "min Jobs stand by themselves, and the maximum is never passed", In: world.Test, Run: spawnFloor},
		{ID: "JB-14", Symptom: "errors of triggers are hidden where Jobs are scaled", Holds: "one of two and two of two that fail are told as for Deployments", In: world.Soak, Run: spawnTriggerErrors},
		{ID: "FB-07-spawn", Symptom: "un-pausing to min needs the source to be up", Holds: "min Jobs are started at once", In: world.Soak, Run: spawnFloorWithoutSource},
		{ID: "JB-history", Symptom: "finished Jobs pile up, and Jobs stay behind when their template goes", Holds: "the oldest are deleted beyond the limits, and all go with the template", In: world.Soak, Run: spawnHistory},
		{ID: "JB-cron", Symptom: "the controller of CronJobs takes the Jobs of a template for its own, prunes and reports them", Holds: "it takes no notice of them, and a template cannot be resumed", In: world.Test, Run: spawnCron},
		{ID: "JB-redis", Symptom: "a burst ends with messages done twice, Jobs that found none, or pods ended early", Holds: "200 messages of a Redis stream are done once each by 200 Jobs, 50 at a time", In: world.Soak, Run: burstOfRedis},
		{ID: "JB-postgres", Symptom: "the same with a table as the queue", Holds: "200 rows of a Postgres table are done once each by 200 Jobs, 50 at a time", In: world.Soak, Run: burstOfPostgres},
	}
}

// queue makes a stream of the case with a group and n messages.
func (s *spawns) queue(name string, n int) string {
	s.T.Helper()
	stream := s.Stream(name)
	s.Group(s.Redis.Client(), stream, "0")
	if n > 0 {
		s.Add(s.Redis.Client(), stream, n)
	}
	return stream
}

// versions are the resource versions of all Jobs of a template.
func (s *spawns) versions(template string) map[string]string {
	s.T.Helper()
	versions := map[string]string{}
	for _, job := range s.children(template) {
		versions[job.Name] = job.ResourceVersion
	}
	return versions
}

func spawnRestart(t *testing.T, w *world.World) {
	s := newSpawns(w)
	stream := s.queue("s", 10)
	s.CreateJob(s.template("consumer", w.Spawning(stream, world.Settings{"job-rollout": "replace"})))
	s.awaitMade("consumer", 10)
	s.awaitRunning("consumer", 10)
	var before map[string]string
	w.Await("the Jobs have settled", world.Soon, func(context.Context) error {
		last := before
		before = s.versions("consumer")
		for _, job := range s.children("consumer") {
			if job.Status.Ready == nil || *job.Status.Ready != 1 {
				return fmt.Errorf("%s has no ready pod", job.Name)
			}
		}
		if fmt.Sprint(last) != fmt.Sprint(before) {
			return errors.New("they still change")
		}
		return nil
	})
	for range 2 {
		w.Kill()
		w.Restart()
		w.AwaitDecisions("consumer", 5)
	}
	if after := s.versions("consumer"); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the Jobs were written to:\nbefore %v\nafter  %v", before, after)
	}
	s.wantMade("consumer", 10)
	s.wantNothingCut("consumer")
}

func (s *spawns) mergeCron(name, patch string) {
	s.T.Helper()
	if _, err := s.Kube.BatchV1().CronJobs(s.Namespace).Patch(s.T.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl-patch"}); err != nil {
		s.T.Fatalf("patch CronJob %s with %s: %v", name, patch, err)
	}
}

func image(text string) string {
	return `{"spec":{"jobTemplate":{"spec":{"template":{"spec":{"containers":[{"name":"worker","image":"` + text + `"}]}}}}}}`
}

// images counts the Jobs of a template by their image.
func (s *spawns) images(template string) map[string]int {
	s.T.Helper()
	images := map[string]int{}
	for _, job := range s.children(template) {
		images[job.Spec.Template.Spec.Containers[0].Image]++
	}
	return images
}

func spawnEdits(t *testing.T, w *world.World) {
	s := newSpawns(w)
	stream := s.queue("s", 5)
	s.makeCron(s.cronTemplate("consumer", w.Spawning(stream, nil)))
	s.awaitMade("consumer", 5)
	s.awaitRunning("consumer", 5)
	s.mergeCron("consumer", image("worker:2"))
	s.mergeCron("consumer", `{"metadata":{"labels":{"team":"blue"},"annotations":{"autoscale.io/max-replicas":"40","autoscale.io/job-strategy":"default"}}}`)
	w.AwaitDecisions("consumer", 4)
	s.wantMade("consumer", 5)
	w.Add(w.Redis.Client(), stream, 2)
	s.awaitMade("consumer", 7)
	if got := s.images("consumer"); got["worker"] != 5 || got["worker:2"] != 2 {
		t.Errorf("got the images %v, want 5 of the old one and 2 of the new one", got)
	}
	s.wantNothingCut()
}

// pinned makes a template's pods wait for a node that there is not.
func pinned(job *batchv1.JobSpec) {
	job.Template.Spec.NodeSelector = map[string]string{"autoscale.io/nowhere": "true"}
}

func spawnReplaces(t *testing.T, w *world.World) {
	s := newSpawns(w)
	stream := s.queue("s", 3)
	s.makeCron(s.cronTemplate("consumer", w.Spawning(stream, world.Settings{"job-rollout": "replace"})))
	s.awaitRunning("consumer", 3)
	s.mergeCron("consumer", `{"spec":{"jobTemplate":{"spec":{"template":{"spec":{"nodeSelector":{"autoscale.io/nowhere":"true"},"containers":[{"name":"worker","image":"worker:bad"}]}}}}}}`)
	// The three that run are of the template before, and are left alone; the two that cannot be placed are of the bad one.
	w.AwaitDecisions("consumer", 3)
	w.Add(w.Redis.Client(), stream, 2)
	s.awaitMade("consumer", 5)
	s.mergeCron("consumer", `{"spec":{"jobTemplate":{"spec":{"template":{"spec":{"nodeSelector":null,"containers":[{"name":"worker","image":"worker:good"}]}}}}}}`)
	w.AwaitEvent("consumer", "JobsReplaced", `^deleted [12] Jobs? of an older template before they started; new ones follow where there is work$`)
	s.awaitMade("consumer", 7)
	s.awaitRunning("consumer", 5)
	w.Await("the bad ones are gone", world.Soon, func(context.Context) error {
		if got := s.images("consumer"); got["worker"] != 3 || got["worker:bad"] != 0 || got["worker:good"] != 2 {
			return fmt.Errorf("got the images %v, want 3 of the old one and 2 of the good one", got)
		}
		return nil
	})
	for _, pod := range s.runningPods(t.Context(), "consumer") {
		if pod.DeletionTimestamp != nil {
			t.Errorf("pod %s, which runs, was deleted", pod.Name)
		}
	}
}

func spawnOnce(t *testing.T, w *world.World) {
	s, proxy := newSpawns(w), w.APIProxy()
	const late = 3 * time.Second
	proxy.Late.Store(int64(late))
	proxy.LoseAnswers.Store(2)
	w.Scaler = w.StartBehind(proxy, w.Namespace)
	stream := s.queue("s", 42)
	job := s.template("consumer", w.Spawning(stream, world.Settings{"class": w.Namespace, "job-strategy": "accurate"}))
	pinned(&job.Spec) // the pods stay pending, and the messages where they are
	s.CreateJob(job)
	s.awaitMade("consumer", 42)
	w.AwaitDecisions("consumer", 8)
	s.wantMade("consumer", 42)
	w.Add(w.Redis.Client(), stream, 3)
	s.awaitMade("consumer", 45)
	w.AwaitDecisions("consumer", 5)
	s.wantMade("consumer", 45)
	s.wantNothingCut("consumer")
}

func spawnBlind(t *testing.T, w *world.World) {
	s, proxy := newSpawns(w), w.APIProxy()
	w.Scaler = w.StartBehind(proxy, w.Namespace)
	stream := s.queue("s", 10)
	s.CreateJob(s.template("consumer", w.Spawning(stream, world.Settings{"class": w.Namespace, "min-replicas": "1"})))
	s.awaitMade("consumer", 11)
	s.awaitRunning("consumer", 11)
	proxy.FailLists.Store(true)
	w.Kill()
	w.Restart()
	w.AwaitEvent("consumer", "JobsUnknown", `^cannot list jobs: .*request timed out.*; no Job is started until it is known how many run$`)
	s.awaitStatus("consumer", report.Ready, "False", "JobsUnknown", `^cannot list jobs: .*request timed out`)
	if value, err := w.Metric(t.Context(), "autoscale_workload_replicas", "consumer"); err == nil {
		t.Errorf("%s Jobs are shown to run where nobody knows", value)
	}
	w.Add(w.Redis.Client(), stream, 4)
	w.AwaitDecisions("consumer", 4)
	s.wantMade("consumer", 11)
	proxy.FailLists.Store(false)
	w.AwaitEvent("consumer", "JobsKnown", `^it is known again how many Jobs run$`)
	s.awaitMade("consumer", 15)
	w.AwaitDecisions("consumer", 3)
	s.wantMade("consumer", 15)
	s.awaitStatus("consumer", report.Ready, "True", "Reading", "")
}

func spawnQuota(t *testing.T, w *world.World) {
	s := newSpawns(w)
	stream := s.queue("s", 10)
	quotas := w.Kube.CoreV1().ResourceQuotas(w.Namespace)
	hard := func(jobs string) *corev1.ResourceQuota {
		return &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Name: "few"},
			Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/jobs.batch": resource.MustParse(jobs)}},
		}
	}
	if _, err := quotas.Create(t.Context(), hard("4"), metav1.CreateOptions{}); err != nil { // the template is one of them
		t.Fatal(err)
	}
	w.Await("the quota is counted", world.Soon, func(ctx context.Context) error {
		quota, err := quotas.Get(ctx, "few", metav1.GetOptions{})
		if err == nil && len(quota.Status.Hard) == 0 {
			err = errors.New("it has no status")
		}
		return err
	})
	s.CreateJob(s.template("consumer", w.Spawning(stream, nil)))
	s.awaitMade("consumer", 3)
	w.AwaitEvent("consumer", "JobsFailed", `^created 3 of 10 Jobs: create a Job of Job .*/consumer: .*exceeded quota: few.*; the next reading tries again$`)
	s.awaitStatus("consumer", report.Ready, "False", report.ReasonJobsFailed, `^created [0-3] of (10|7) Jobs: .*exceeded quota`)
	if _, err := quotas.Update(t.Context(), hard("100"), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.awaitMade("consumer", 10)
	s.awaitStatus("consumer", report.Ready, "True", "Reading", "")
	w.AwaitDecisions("consumer", 3)
	s.wantMade("consumer", 10)
}

func spawnFloor(t *testing.T, w *world.World) {
	s := newSpawns(w)
	stream := s.queue("s", 0)
	s.CreateJob(s.template("consumer", w.Spawning(stream, world.Settings{"min-replicas": "2", "max-replicas": "5"})))
	s.awaitMade("consumer", 2)
	w.Add(w.Redis.Client(), stream, 2)
	s.awaitMade("consumer", 4)
	w.Add(w.Redis.Client(), stream, 10)
	s.awaitMade("consumer", 5)
	w.AwaitDecisions("consumer", 4)
	s.wantMade("consumer", 5)
	s.awaitRunning("consumer", 5)
	s.end("consumer", 1)
	s.awaitMade("consumer", 6)
	if _, _, most := s.seen("consumer"); most > 5 {
		t.Errorf("%d Jobs were unfinished at a time, want at most 5", most)
	}
	s.awaitRunning("consumer", 5)
}

func spawnTriggerErrors(t *testing.T, w *world.World) {
	s := newSpawns(w)
	stream, other := s.queue("s", 2), s.queue("other", 0)
	sound := fmt.Sprintf("{type: redis-streams, address: %q, stream: %q, consumerGroup: workers, target: 1}", w.Redis.Addr(), other)
	const broken = "{type: redis-streams, address: '127.0.0.1:1', stream: s, target: 1}"
	s.CreateJob(s.template("consumer", w.Spawning(stream, world.Settings{"trigger.other": broken})))
	s.awaitMade("consumer", 2) // by the one that can be read
	w.AwaitEvent("consumer", "TriggerUnknown", `^trigger other \(redis-streams\) cannot be read since .*, so it starts no Job: .*refused`)
	s.awaitStatus("consumer", report.Ready, "False", "TriggerUnknown", `^trigger other: [^;]*refused[^;]*$`)
	s.mustMerge("consumer", fmt.Sprintf(`{"metadata":{"annotations":{"autoscale.io/trigger.orders":%q}}}`, broken))
	w.AwaitKnown("consumer", "orders", "0")
	w.AwaitDecisions("consumer", 3)
	w.AwaitKnown("consumer", "other", "0")
	s.wantMade("consumer", 2)
	s.mustMerge("consumer", fmt.Sprintf(`{"metadata":{"annotations":{"autoscale.io/trigger.orders":%q,"autoscale.io/trigger.other":%q}}}`, w.OneEach(stream), sound))
	w.Add(w.Redis.Client(), stream, 1)
	s.awaitMade("consumer", 3)
	s.awaitStatus("consumer", report.Ready, "True", "Reading", "")
}

func spawnFloorWithoutSource(t *testing.T, w *world.World) {
	s := newSpawns(w)
	s.CreateJob(s.template("consumer", world.Settings{
		"job-mode": "spawn", "min-replicas": "2", "max-replicas": "5", "polling-interval": "1h", "pause": "0",
		"trigger.orders": "{type: redis-streams, address: '127.0.0.1:1', stream: s, target: 1}",
	}))
	w.AwaitKnown("consumer", "orders", "0")
	s.wantMade("consumer", 0)
	s.mustMerge("consumer", `{"metadata":{"annotations":{"autoscale.io/pause":null}}}`)
	s.awaitMade("consumer", 2) // long before the next poll
	s.awaitRunning("consumer", 2)
	if _, _, most := s.seen("consumer"); most != 2 {
		t.Errorf("%d Jobs were unfinished at a time, want 2", most)
	}
}

func spawnHistory(t *testing.T, w *world.World) {
	s := newSpawns(w)
	stream := s.queue("s", 6)
	s.CreateJob(s.template("consumer", w.Spawning(stream, world.Settings{"successful-jobs-history-limit": "2", "failed-jobs-history-limit": "1"})))
	s.awaitRunning("consumer", 6)
	w.Read(w.Redis.Client(), stream, 6, true)
	s.end("consumer", 4)
	w.Await("two that succeeded are left, and the two that run", world.Soon, func(context.Context) error {
		done, unfinished := 0, 0
		for _, job := range s.children("consumer") {
			if isFinished(&job) {
				done++
			} else {
				unfinished++
			}
		}
		if done != 2 || unfinished != 2 {
			return fmt.Errorf("%d are done and %d unfinished", done, unfinished)
		}
		return nil
	})
	s.wantNothingCut("consumer")
	background := metav1.DeletePropagationBackground
	if err := s.client.Delete(t.Context(), "consumer", metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
		t.Fatal(err)
	}
	w.Await("all are gone with their template", world.Soon, func(context.Context) error {
		if left := len(s.children("consumer")); left > 0 {
			return fmt.Errorf("%d are left", left)
		}
		return nil
	})
	s.wantMade("consumer", 6)
}

func spawnCron(t *testing.T, w *world.World) {
	s := newSpawns(w)
	stream := s.queue("s", 3)
	trigger := fmt.Sprintf("{type: redis-streams, addressFromEnv: REDIS, stream: %q, consumerGroup: workers, target: 1}", stream)
	cron := s.cronTemplate("nightly", w.Spawning(stream, world.Settings{"trigger.orders": trigger}))
	cron.Spec.JobTemplate.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "REDIS", Value: w.Redis.Addr()}}
	s.makeCron(cron)
	s.awaitMade("nightly", 3)
	s.awaitRunning("nightly", 3)
	w.Read(w.Redis.Client(), stream, 3, true)
	s.end("nightly", 3)
	w.AwaitDecisions("nightly", 3)
	// The CronJob's own history limits are 3 and 1, and its controller warns of Jobs that it does not know.
	if got := s.cron("nightly").Status.Active; len(got) > 0 {
		t.Errorf("the controller of CronJobs takes these for its own: %v", got)
	}
	_, err := w.Kube.BatchV1().CronJobs(w.Namespace).Patch(t.Context(), "nightly", types.MergePatchType, []byte(`{"spec":{"suspend":false}}`), metav1.PatchOptions{})
	if err == nil || !strings.Contains(err.Error(), "want spec.suspend: true") {
		t.Errorf("got %v, want that a template cannot be resumed", err)
	}
	for _, job := range s.children("nightly") {
		for key := range job.Annotations {
			if strings.HasPrefix(key, annotations.Prefix) {
				t.Errorf("Job %s carries %s", job.Name, key)
			}
		}
	}
	events, err := w.Kube.EventsV1().Events(w.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events.Items {
		if e.Reason == "UnexpectedJob" || e.Reason == "SawCompletedJob" {
			t.Errorf("the controller of CronJobs says %s: %s", e.Reason, e.Note)
		}
	}
}
