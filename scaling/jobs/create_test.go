package jobs

import (
	"errors"
	"sync/atomic"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kubetesting "k8s.io/client-go/testing"
)

// TestCreationStopsAtAnError is JB-10, and begins slowly: one, two, four at a time.
func TestCreationStopsAtAnError(t *testing.T) {
	var asked, made atomic.Int32
	w := newWorld(t, func(w *world) {
		w.kube.PrependReactor("create", "jobs", func(kubetesting.Action) (bool, runtime.Object, error) {
			asked.Add(1)
			if made.Add(1) > 3 {
				return true, nil, apierrors.NewForbidden(schema.GroupResource{Group: "batch", Resource: "jobs"}, "x", errors.New("exceeded quota: few"))
			}
			return false, nil, nil
		})
	}, suspended("consumer"))
	template := w.template("consumer")
	created, err := w.Create(t.Context(), template, 100)
	const want = `create a Job of Job shop/consumer: jobs.batch "x" is forbidden: exceeded quota: few`
	if created != 3 || err == nil || err.Error() != want {
		t.Errorf("created %d: %v\nwant 3: %s", created, err, want)
	}
	if n := asked.Load(); n != 7 { // 1 + 2 + 4
		t.Errorf("the API server was asked %d times, want 7", n)
	}
	w.awaitCount(template.UID, 3, 3)
}

// TestMissingRightIsTold: a right that is missing is told from a quota, with the role that has it.
func TestMissingRightIsTold(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.kube.PrependReactor("create", "jobs", func(kubetesting.Action) (bool, runtime.Object, error) {
			return true, nil, apierrors.NewForbidden(schema.GroupResource{Group: "batch", Resource: "jobs"}, "", errors.New(`User "x" cannot create resource "jobs" in API group "batch" in the namespace "shop"`))
		})
	}, suspended("consumer"))
	created, err := w.Create(t.Context(), w.template("consumer"), 2)
	if created != 0 {
		t.Errorf("created %d", created)
	}
	wantError(t, err, `create a Job of Job shop/consumer, which needs the ClusterRole autoscaler-spawn: jobs.batch is forbidden: User "x" cannot create resource "jobs" in API group "batch" in the namespace "shop"`)
}
