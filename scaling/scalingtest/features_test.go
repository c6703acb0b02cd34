package scalingtest_test

import (
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/annotations"
	"autoscale.io/scaling/decide"
	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/apiserver"
)

// TestASecretThatComesLate holds the replica count until the password can be read.
func TestASecretThatComesLate(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Source("orders").Password("s3cret")
		w.Set("orders", 28)
		w.Create(scalingtest.Deployment("worker", 3, scalingtest.Quick(settings{
			"trigger.orders": scalingtest.Trigger("orders", ", passwordFrom: {secret: redis, key: password}"),
		})))
		w.AwaitEvent("worker", "TriggerUnknown", `secrets "redis" not found`, 5*time.Second)
		w.Advance(time.Minute)
		w.Create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "redis"}, Data: map[string][]byte{"password": []byte("s3cret")}})
		w.AwaitReplicas("worker", 6, 10*time.Second)
		w.WantCounts("worker", 3, 6)
	})
}

func TestARolloutHoldsBackAScaleDown(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Set("orders", 20)
		w.Create(scalingtest.Deployment("worker", 4, onOrders(settings{"min-replicas": "1"})))
		w.SetStatus("worker", `{"replicas":5,"updatedReplicas":1}`)
		w.Set("orders", 0)
		w.Advance(time.Minute)
		if got := w.Decision("worker").Reason; got != decide.RollingOut {
			t.Errorf("the reason of the decision is %s", got)
		}
		w.WantCounts("worker", 4)
		w.SetStatus("worker", `{"replicas":4,"updatedReplicas":4}`)
		w.AwaitReplicas("worker", 1, 5*time.Second)
	})
}

// TestALongOutageHoldsTheReplicaCount also has a source that can tell when work arrives.
func TestALongOutageHoldsTheReplicaCount(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		w.Source("orders").Wakes()
		w.Set("orders", 28)
		w.Create(scalingtest.Deployment("worker", 6, onOrders(settings{"polling-interval": "1h"})))
		w.Advance(time.Minute)
		w.Break("orders", "connection refused")
		w.Advance(12 * time.Hour)
		w.WantCounts("worker", 6)
		w.Set("orders", 45)
		w.Wake("orders")
		w.AwaitReplicas("worker", 9, time.Second)
	})
}

func TestRemovedAnnotationsRestoreTheReplicaCount(t *testing.T) {
	scalingtest.Run(t, func(w *scalingtest.World) {
		s := onOrders(settings{"on-removal": "restore"})
		w.Create(scalingtest.Deployment("worker", 3, s))
		w.AwaitReplicas("worker", 0, time.Minute)
		w.Restart()
		w.Advance(time.Minute)
		for key := range s {
			s[key] = ""
		}
		if err := w.Annotate("worker", s); err != nil {
			t.Fatal(err)
		}
		w.Advance(time.Second)
		w.WantCounts("worker", 3, 1, 0, 3)
		if label, ok := w.Get("worker").GetLabels()[annotations.Bucket]; ok {
			t.Errorf("the label %s stayed", label)
		}
		w.Scale("worker", 7)
		w.Delete("worker")
		w.Create(scalingtest.StatefulSet("worker", 2, onOrders(nil)))
		w.Set("orders", 15)
		w.AwaitReplicas("worker", 3, 5*time.Second)
		w.WantCounts("worker", 2, 3)
	})
}

// TestAListThatFailsIsTriedAgain would hang if an error in a world waited for the time of the machine.
func TestAListThatFailsIsTriedAgain(t *testing.T) {
	scalingtest.RunWith(t, scalingtest.Options{Replicas: -1}, func(w *scalingtest.World) {
		w.Create(scalingtest.Deployment("worker", 1, onOrders(nil)))
		w.API.Inject(apiserver.Fault{
			Match: func(c apiserver.Call) bool { return c.Resource.Resource == "deployments" && c.Verb != "get" },
			Err:   apierrors.NewInternalError(errors.New("etcdserver: request timed out")), Times: 10,
		})
		w.Start("autoscaler-1")
		w.Set("orders", 12)
		w.AwaitReplicas("worker", 3, 2*time.Minute)
	})
}

// TestAReleaseIsToldOnce removes the annotations without a webhook, so that the loop sees its own write of the replica
// count before that of the labels.
func TestAReleaseIsToldOnce(t *testing.T) {
	scalingtest.RunWith(t, scalingtest.Options{NoWebhook: true}, func(w *scalingtest.World) {
		s := onOrders(nil)
		w.Create(scalingtest.Deployment("worker", 3, s))
		w.AwaitReplicas("worker", 0, 5*time.Minute)
		for range 2 {
			for key := range s {
				s[key] = ""
			}
			if err := w.Annotate("worker", s); err != nil {
				t.Fatal(err)
			}
			w.Advance(time.Minute)
			s = onOrders(nil)
			if err := w.Annotate("worker", s); err != nil {
				t.Fatal(err)
			}
			w.AwaitReplicas("worker", 0, 5*time.Minute)
		}
		var released []string
		for _, e := range w.Events("worker") {
			if e.Reason == "Released" {
				released = append(released, e.Note)
			}
		}
		if want := "the annotations are gone; 0 → 3 replicas"; len(released) != 2 || released[0] != want || released[1] != want {
			t.Errorf("released with %q, want twice %q", released, want)
		}
	})
}
