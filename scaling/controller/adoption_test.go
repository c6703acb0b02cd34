package controller_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"autoscale.io/annotations"
	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/apiserver"
)

// unadmitted is a world without a webhook that has held all buckets for a while.
func unadmitted(t *testing.T, test func(*scalingtest.World)) {
	t.Helper()
	scalingtest.RunWith(t, scalingtest.Options{NoWebhook: true}, func(w *scalingtest.World) {
		w.Advance(2 * time.Second)
		test(w)
	})
}

func labelled(w *scalingtest.World, name string) bool {
	return w.Get(name).GetLabels()[annotations.Bucket] != ""
}

// TestTheSweepLooksAtEveryPage has more objects than two pages hold.
func TestTheSweepLooksAtEveryPage(t *testing.T) {
	unadmitted(t, func(w *scalingtest.World) {
		for i := range 1100 {
			w.Create(scalingtest.Deployment(fmt.Sprintf("other-%04d", i), 1, nil))
		}
		for _, name := range []string{"a", "other-0600-x", "z"} { // by name, on each page one
			w.Create(scalingtest.Deployment(name, 1, onOrders(nil)))
		}
		w.Set("orders", 12)
		w.Advance(3*time.Minute + 10*time.Second)
		for _, name := range []string{"a", "other-0600-x", "z"} {
			w.WantCounts(name, 1, 3)
		}
		if labelled(w, "other-0001") {
			t.Error("an object without annotations was adopted")
		}
	})
}

// TestAnAdoption writes the label and the state in one, and only to the version that it has seen.
func TestAnAdoption(t *testing.T) {
	unadmitted(t, func(w *scalingtest.World) {
		w.API.Inject(apiserver.Fault{Match: patchesMetadata, Err: conflict(), Times: 1})
		w.Create(scalingtest.Deployment("worker", 2, onOrders(settings{"min-replicas": "1"})))
		w.Set("orders", 12)
		w.AwaitReplicas("worker", 3, 4*time.Minute)
		w.Advance(time.Second)
		w.WantWrites("worker",
			"patch deployments.apps: Conflict", "patch deployments.apps labels=autoscale.io/bucket annotations=autoscale.io/state",
			"patch deployments.apps/scale replicas=3", statusOfDeployment,
		)
		wantEvents(w, "worker",
			"Adopted: found with annotations and without the managed label; managed from 2 replicas on",
			"ScaledUp: 2 → 3 replicas: trigger orders: 12 at a target of 5 each asks for 3 replicas",
		)
		state := w.State("worker")
		if state.Replicas == nil || *state.Replicas != 2 || state.Zero || state.UID != w.Get("worker").GetUID() {
			t.Errorf("the state is %s", state)
		}
	})
}

// TestAnAdoptionThatFails is tried again at the next sweep, and after a conflict the object is looked at anew.
func TestAnAdoptionThatFails(t *testing.T) {
	failure := apierrors.NewInternalError(errors.New("etcd is away"))
	for name, test := range map[string]struct {
		faults []apiserver.Fault
		sweeps time.Duration
	}{
		"the list fails":                  {[]apiserver.Fault{{Match: calls("list", "deployments"), Err: failure, Times: 1}}, 2},
		"the count cannot be read":        {[]apiserver.Fault{{Match: calls("get", "deployments"), Err: failure, Times: 1}}, 2},
		"the write fails":                 {[]apiserver.Fault{{Match: patchesMetadata, Err: failure, Times: 1}}, 2},
		"a conflict, and then no reading": {[]apiserver.Fault{{Match: patchesMetadata, Err: conflict(), Times: 1}, {Match: calls("get", "deployments"), Skip: 1, Err: failure, Times: 1}}, 2},
		"the answer is lost":              {[]apiserver.Fault{{Match: patchesMetadata, Err: errors.New("EOF"), TakesEffect: true, Times: 1}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			unadmitted(t, func(w *scalingtest.World) {
				w.Create(scalingtest.Deployment("worker", 1, onOrders(nil)))
				for _, fault := range test.faults {
					w.API.Inject(fault)
				}
				w.Set("orders", 12)
				w.Advance(test.sweeps*3*time.Minute - 30*time.Second)
				w.WantCounts("worker", 1)
				w.Advance(40 * time.Second)
				w.WantCounts("worker", 1, 3)
			})
		})
	}
}

// TestWhatIsNotAdopted has the annotations and is another's to manage.
func TestWhatIsNotAdopted(t *testing.T) {
	unadmitted(t, func(w *scalingtest.World) {
		owned := scalingtest.Deployment("owned", 1, onOrders(nil))
		owned.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "set", UID: "set", Controller: ptr.To(true)}}
		helped := scalingtest.Deployment("helped", 1, onOrders(nil))
		helped.OwnerReferences = []metav1.OwnerReference{{APIVersion: "example.com/v1", Kind: "App", Name: "app", UID: "app", Controller: ptr.To(true)}}
		w.Create(owned, helped, scalingtest.Deployment("classy", 1, onOrders(settings{"class": "other"})))
		w.Set("orders", 12)
		w.Advance(4 * time.Minute)
		w.WantCounts("owned", 1)
		w.WantCounts("classy", 1)
		w.WantCounts("helped", 1, 3)
		if labelled(w, "owned") || labelled(w, "classy") {
			t.Error("an object that is another's was adopted")
		}
	})
}

// TestAWrongBucket is put right by the sweep. A workload leaves one bucket and comes into another then, and the two
// watches say so in any order.
func TestAWrongBucket(t *testing.T) {
	unadmitted(t, func(w *scalingtest.World) {
		const many = 40
		for i := range many {
			name := fmt.Sprintf("worker-%d", i)
			d := scalingtest.Deployment(name, 1, onOrders(nil))
			right := annotations.BucketOf("apps", "Deployment", scalingtest.Namespace, name)
			for n := range annotations.Buckets {
				if wrong := annotations.BucketName(n); wrong != right {
					d.Labels = map[string]string{annotations.Bucket: annotations.BucketLabel("", wrong)}
				}
			}
			w.Create(d)
		}
		w.Advance(4 * time.Minute)
		w.Set("orders", 12)
		for i := range many {
			w.AwaitReplicas(fmt.Sprintf("worker-%d", i), 3, 5*time.Second)
		}
	})
}

// TestAClass has an install that manages its own class alone.
func TestAClass(t *testing.T) {
	scalingtest.RunWith(t, scalingtest.Options{Class: "blue", NoWebhook: true}, func(w *scalingtest.World) {
		w.Advance(time.Second)
		w.Create(scalingtest.Deployment("mine", 1, onOrders(settings{"class": "blue"})), scalingtest.Deployment("theirs", 1, onOrders(nil)))
		w.Set("orders", 12)
		w.AwaitReplicas("mine", 3, 4*time.Minute)
		if err := w.Annotate("mine", settings{"class": "green"}); err != nil {
			t.Fatal(err)
		}
		w.Set("orders", 50)
		w.Advance(time.Minute)
		w.WantCounts("mine", 1, 3)
		w.WantCounts("theirs", 1)
	})
}

// TestACronJobIsAdoptedWithoutACount has a kind that has none.
func TestACronJobIsAdoptedWithoutACount(t *testing.T) {
	unadmitted(t, func(w *scalingtest.World) {
		cron := &batchv1.CronJob{ObjectMeta: template("mail", nil).ObjectMeta, Spec: batchv1.CronJobSpec{Schedule: "@yearly", Suspend: ptr.To(true)}}
		delete(cron.Annotations, annotations.Prefix+"job-mode")
		cron.Annotations[annotations.Prefix+"job-mode"] = annotations.JobSpawn
		cron.Spec.JobTemplate.Spec = template("mail", nil).Spec
		w.Create(cron)
		w.Set("orders", 2)
		w.Advance(4 * time.Minute)
		if state := w.State("mail"); state.Replicas != nil || state.UID != w.Get("mail").GetUID() {
			t.Errorf("the state is %s", state)
		}
		if got := len(w.Children("mail")); got != 2 {
			t.Errorf("%d Jobs were started, want 2", got)
		}
		wantEvents(w, "mail",
			"Adopted: found with annotations and without the managed label; managed from 0 replicas on",
			"JobsStarted: started 2 Jobs: trigger orders: 2 at a target of 1 each asks for 2 Jobs; none runs; starting 2",
		)
	})
}

// TestAnInheritedLabel is on a child that has copied the metadata of its owner.
func TestAnInheritedLabel(t *testing.T) {
	unadmitted(t, func(w *scalingtest.World) {
		child := scalingtest.Deployment("child", 1, onOrders(nil))
		child.OwnerReferences = []metav1.OwnerReference{{APIVersion: "argoproj.io/v1alpha1", Kind: "Rollout", Name: "app", UID: "app", Controller: ptr.To(true)}}
		child.Labels = map[string]string{annotations.Bucket: annotations.BucketLabel("", annotations.BucketOf("apps", "Deployment", scalingtest.Namespace, "child"))}
		w.Create(child)
		w.Set("orders", 12)
		w.Advance(time.Minute)
		w.WantWrites("child",
			"patch deployments.apps annotations=autoscale.io/state",
			"patch deployments.apps/scale replicas=3",
			"patch deployments.apps annotations=autoscale.io/status",
		)
	})
}
