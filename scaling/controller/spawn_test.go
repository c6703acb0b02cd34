package controller_test

import (
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/apiserver"
	"autoscale.io/scaling/shards"
)

func created(w *scalingtest.World) int {
	return len(w.API.Writes(func(write apiserver.Write) bool { return createsJobs(write.Call) && write.Err == nil }))
}

func wantCreated(w *scalingtest.World, want int) {
	w.Helper()
	w.Settle()
	if got := created(w); got != want {
		w.Fatalf("%d Jobs were created, want %d", got, want)
	}
}

// TestAnOrderIsCarriedOutOnce has watches that show a Job long after it was created, and readings that still have its
// message.
func TestAnOrderIsCarriedOutOnce(t *testing.T) {
	for name, late := range map[string]time.Duration{"usual watches": time.Millisecond, "late watches": 20 * time.Second, "watches before the answer": 0} {
		t.Run(name, func(t *testing.T) {
			scalingtest.Run(t, func(w *scalingtest.World) {
				w.API.DelayWatches(jobs(), late)
				w.Create(template("mail", nil))
				w.Set("orders", 3)
				w.Advance(time.Minute)
				wantCreated(w, 3)
				w.Set("orders", 5)
				w.Advance(time.Minute)
				wantCreated(w, 5)
				wantEvents(w, "mail",
					"JobsStarted: started 3 Jobs: trigger orders: 3 at a target of 1 each asks for 3 Jobs; none runs; starting 3",
					"JobsStarted: started 2 Jobs: trigger orders: 5 at a target of 1 each asks for 5 Jobs; 3 run, 3 of them not started; starting 2",
				)
			})
		})
	}
}

// TestACreateWhoseAnswerIsLost has a create whose answer is lost: the same name is tried again.
func TestACreateWhoseAnswerIsLost(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.API.Inject(apiserver.Fault{Match: createsJobs, Err: errors.New("EOF"), TakesEffect: true, Times: 1})
		w.Create(template("mail", nil))
		w.Set("orders", 3)
		w.Advance(time.Minute)
		wantCreated(w, 3)
	})
}

// TestACreateThatIsNeverAnswered counts until it is known what became of it.
func TestACreateThatIsNeverAnswered(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.API.Inject(apiserver.Fault{Match: createsJobs, Err: errors.New("EOF"), Times: 3})
		w.API.Inject(apiserver.Fault{Match: calls("get", "jobs"), Skip: 1, Err: errors.New("EOF"), Times: 4})
		w.Create(template("mail", nil))
		w.Set("orders", 3)
		w.Advance(time.Minute)
		wantCreated(w, 3)
	})
}

func TestAQuota(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		remove := w.API.Inject(apiserver.Fault{
			Match: createsJobs, Skip: 2, Err: apierrors.NewForbidden(schema.GroupResource{Group: "batch", Resource: "jobs"}, "", errors.New("exceeded quota")),
		})
		w.Create(template("mail", nil))
		w.Set("orders", 5)
		w.AwaitCondition("mail", "Ready", "JobsFailed", "exceeded quota", 20*time.Second)
		wantCreated(w, 2)
		remove()
		w.Advance(20 * time.Second)
		wantCreated(w, 5)
		w.AwaitCondition("mail", "Ready", "Reading", "", 20*time.Second)
		if got := testutil.ToFloat64(w.Leader().Metrics.Jobs.WithLabelValues("created")); got != 5 {
			t.Errorf("%v Jobs are counted as created, want 5", got)
		}
	})
}

// TestAProblemThatIsOverByItself is not asked for any more.
func TestAProblemThatIsOverByItself(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.API.Inject(apiserver.Fault{Match: createsJobs, Err: forbidden("jobs", "exceeded quota")})
		w.Create(template("mail", nil))
		w.Set("orders", 1)
		w.AwaitCondition("mail", "Ready", "JobsFailed", "exceeded quota", 20*time.Second)
		w.Set("orders", 0)
		w.AwaitCondition("mail", "Ready", "Reading", "", 30*time.Second)
		wantCreated(w, 0)
	})
}

// TestAProblemIsToldForThreePolls counts from the last Job that could not be started: a source that comes and goes makes
// no status that does.
func TestAProblemIsToldForThreePolls(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.API.Inject(apiserver.Fault{Match: createsJobs, Err: forbidden("jobs", "exceeded quota")})
		w.Create(template("mail", settings{"polling-interval": "20s"}))
		w.Set("orders", 1)
		w.AwaitCondition("mail", "Ready", "JobsFailed", "exceeded quota", time.Minute)
		w.Set("orders", 0)
		w.AwaitCondition("mail", "Ready", "Reading", "", 2*time.Minute)
		tries := w.API.Writes(func(write apiserver.Write) bool { return createsJobs(write.Call) })
		if took := time.Since(tries[len(tries)-1].At); took < time.Minute || took > 62*time.Second {
			t.Errorf("the problem was told for %s, want about a minute", took)
		}
	})
}

// TestJobsThatCannotBeListedAnyMore is told although no reading is due for long.
func TestJobsThatCannotBeListedAnyMore(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Create(template("mail", settings{"polling-interval": "30m"}))
		w.Advance(time.Minute)
		w.API.Inject(apiserver.Fault{
			Match: looks("pods"), Err: forbidden("pods", "no rights"),
		})
		w.API.CutWatches(schema.GroupResource{Resource: "pods"})
		w.AwaitEvent("mail", "JobsUnknown", "cannot list pods", time.Minute)
	})
}

// TestARestartOfSpawning asks for no Job twice.
func TestARestartOfSpawning(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.API.DelayWatches(jobs(), 3*time.Second)
		w.Create(template("mail", nil))
		w.Set("orders", 3)
		w.Advance(10 * time.Second)
		for range 3 {
			w.Restart()
			w.Advance(10 * time.Second)
		}
		wantCreated(w, 3)
	})
}

// TestHistoryLimits keeps the latest of each kind.
func TestHistoryLimits(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.RunPods()
		w.Create(template("mail", settings{"successful-jobs-history-limit": "1", "failed-jobs-history-limit": "0"}))
		w.Set("orders", 4)
		w.Advance(5 * time.Second)
		w.Set("orders", 0)
		w.Advance(5 * time.Second)
		w.EndPods("mail", 3, corev1.PodSucceeded)
		w.Advance(10 * time.Second)
		if got := len(w.Children("mail")); got != 2 {
			t.Errorf("%d Jobs are left, want the last that succeeded and the one that runs", got)
		}
		wantCreated(w, 4)
		wantNoneCutShort(w)
	})
}

// TestReplace deletes Jobs of an older template of which nothing has run.
func TestReplace(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Create(template("mail", settings{"job-rollout": "replace"}))
		w.Set("orders", 2)
		w.Advance(5 * time.Second)
		if err := w.Patch("mail", `{"spec":{"backoffLimit":1}}`); err != nil {
			t.Fatal(err)
		}
		w.Advance(20 * time.Second)
		wantCreated(w, 4)
		for _, job := range w.Children("mail") {
			if job.Spec.BackoffLimit == nil || *job.Spec.BackoffLimit != 1 {
				t.Errorf("the Job %s is of the template before", job.Name)
			}
		}
		if got := len(w.Children("mail")); got != 2 {
			t.Errorf("%d Jobs are left, want 2", got)
		}
		wantEvents(w, "mail",
			"JobsStarted: started 2 Jobs: trigger orders: 2 at a target of 1 each asks for 2 Jobs; none runs; starting 2",
			"JobsReplaced: deleted 2 Jobs of an older template before they started; new ones follow where there is work",
			"JobsStarted: started 2 Jobs: trigger orders: 2 at a target of 1 each asks for 2 Jobs; none runs; starting 2",
		)
	})
}

func TestADryRunOfATemplate(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Create(template("mail", settings{"dry-run": "true"}))
		w.Set("orders", 2)
		w.Advance(20 * time.Second)
		w.Set("orders", 3)
		w.Advance(20 * time.Second)
		wantCreated(w, 0)
		wantEvents(w, "mail",
			"DryRun: would start 2 Jobs: trigger orders: 2 at a target of 1 each asks for 2 Jobs; none runs; starting 2",
			"DryRun: would start 3 Jobs: trigger orders: 3 at a target of 1 each asks for 3 Jobs; none runs; starting 3",
		)
	})
}

// TestJobsThatCannotBeListed starts none until it is known again how many run.
func TestJobsThatCannotBeListed(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		isPods := func(c apiserver.Call) bool { return calls("list", "pods")(c) || calls("watch", "pods")(c) }
		remove := w.API.Inject(apiserver.Fault{Match: isPods, Err: forbidden("pods", "no rights")})
		w.Create(template("mail", nil))
		w.Set("orders", 2)
		w.AwaitCondition("mail", "Ready", "JobsUnknown", "cannot list pods, which needs the ClusterRole autoscaler-jobs", 30*time.Second)
		wantCreated(w, 0)
		remove()
		w.Advance(2 * time.Minute)
		wantCreated(w, 2)
		wantEvents(w, "mail",
			"JobsUnknown: cannot list pods, which needs the ClusterRole autoscaler-jobs: failed to list *v1.Pod: pods is forbidden: no rights; no Job is started until it is known how many run",
			"JobsKnown: it is known again how many Jobs run",
			"JobsStarted: started 2 Jobs: trigger orders: 2 at a target of 1 each asks for 2 Jobs; none runs; starting 2",
		)
	})
}

// TestATemplateThatRunsByItself makes no Jobs.
func TestATemplateThatRunsByItself(t *testing.T) {
	scalingtest.RunWith(t, scalingtest.Options{NoWebhook: true}, func(w *scalingtest.World) {
		job := template("mail", nil)
		job.Spec.Suspend = nil
		w.Create(job)
		w.Set("orders", 2)
		w.Advance(4 * time.Minute)
		wantCreated(w, 0)
		w.AwaitCondition("mail", "Active", "LeftAlone", "the Job is not suspended", time.Minute)
	})
}

// TestATemplateThatIsMadeAnew counts its own Jobs alone.
func TestATemplateThatIsMadeAnew(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Create(template("mail", nil))
		w.Set("orders", 2)
		w.Advance(5 * time.Second)
		w.Delete("mail")
		w.Create(template("mail", settings{"job-strategy": "{strategy: accurate, pendingPodConditions: [Ready]}"}))
		w.Set("orders", 3)
		w.Advance(10 * time.Second)
		wantCreated(w, 5)
		if got := len(w.Children("mail")); got != 3 {
			t.Errorf("%d Jobs are left, want 3", got)
		}
	})
}

// TestALeaseThatEndsWhileJobsAreCreated stops the rest of the batch.
func TestALeaseThatEndsWhileJobsAreCreated(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.API.Inject(apiserver.Fault{Match: createsJobs, Before: time.Second})
		w.Create(template("mail", nil))
		w.Set("orders", 7)
		w.Await("the first Job", 10*time.Second, func() error {
			if created(w) == 0 {
				return errors.New("none")
			}
			return nil
		})
		w.Leader().Stop()
		at := created(w)
		w.Advance(30 * time.Second)
		wantCreated(w, at)
		w.Start("autoscaler-2")
		w.Advance(time.Minute)
		wantCreated(w, 7)
	})
}

// TestALeaseThatIsLostWhileJobsAreCreated stops the rest of the batch, too, although the process goes on.
func TestALeaseThatIsLostWhileJobsAreCreated(t *testing.T) {
	scalingtest.RunWith(t, scalingtest.Options{Lease: shards.DefaultTimes()}, func(w *scalingtest.World) {
		w.Create(template("mail", settings{"max-replicas": "40"}))
		w.Advance(5 * time.Second)
		remove := failLeases(w)
		w.API.Inject(apiserver.Fault{Match: createsJobs, Before: 3 * time.Second})
		w.Set("orders", 40)
		w.Advance(shards.DefaultTimes().RenewDeadline)
		at := created(w)
		if at == 0 || at == 40 {
			t.Fatalf("%d Jobs were created before the Lease ended, want some of 40", at)
		}
		w.Advance(time.Minute)
		wantCreated(w, at)
		remove()
		w.Advance(2 * time.Minute)
		wantCreated(w, 40)
	})
}

// TestALeaseThatIsLostAndWonAgain counts what has happened to the Jobs in between.
func TestALeaseThatIsLostAndWonAgain(t *testing.T) {
	scalingtest.RunWith(t, scalingtest.Options{Lease: shards.DefaultTimes()}, func(w *scalingtest.World) {
		w.Create(template("mail", nil))
		w.Set("orders", 3)
		w.Advance(5 * time.Second)
		wantCreated(w, 3)
		remove := failLeases(w)
		w.Advance(time.Minute)
		for _, job := range w.Children("mail") {
			w.Delete(job.Name)
		}
		remove()
		w.Advance(2 * time.Minute)
		wantCreated(w, 6)
	})
}
