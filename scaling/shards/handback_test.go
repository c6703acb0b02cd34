package shards

import (
	"context"
	"testing"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"
)

// TestABucketTakenWithoutAnAnswerIsHandedBack: the write that took it succeeded and its answer was lost, so the Lease names a replica that does not know of it. The
// replica lives, so nobody else would ever take the bucket.
func TestABucketTakenWithoutAnAnswerIsHandedBack(t *testing.T) {
	for name, c := range map[string]struct {
		holder  string // by the API server
		seen    string // by the watch
		rested  time.Duration
		refuses int // the first writes
		want    string
	}{
		"ours":                             {holder: "me", seen: "me", rested: time.Minute},
		"refused at first":                 {holder: "me", seen: "me", rested: time.Minute, refuses: 1},
		"another's by now":                 {holder: "other", seen: "me", rested: time.Minute, want: "other"},
		"nobody's by now":                  {seen: "me", rested: time.Minute},
		"another's":                        {holder: "other", seen: "other", rested: time.Minute, want: "other"},
		"of an elector that has just left": {holder: "me", seen: "me", rested: time.Second, want: "me"},
	} {
		t.Run(name, func(t *testing.T) {
			kube := fake.NewClientset()
			s := New(Options{Log: logr.Discard(), Kube: kube, Namespace: "system", Identity: "me", Buckets: []string{"07"}, Times: DefaultTimes()})
			if err := kube.Tracker().Add(lease15(s.bucketLease("07"), c.holder, time.Now())); err != nil {
				t.Fatal(err)
			}
			writes := 0
			kube.PrependReactor("update", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
				writes++
				return writes <= c.refuses, nil, apierrors.NewTimeoutError("busy", 1)
			})
			b := s.buckets[0]
			for range c.refuses + 1 {
				b.rested = time.Now().Add(-c.rested)
				s.want(t.Context(), b, false, c.seen)
				if b.stop != nil {
					<-b.ended
				}
				if b.running() {
					t.Fatal("it goes on for ever")
				}
			}
			got := holderOf(t, s)
			if got != c.want {
				t.Errorf("the bucket is held by %q, want %q", got, c.want)
			}
			if held := c.seen == "me" && c.holder == "me" && c.want == ""; writes != c.refuses+number(held) {
				t.Errorf("%d writes", writes)
			}
			if b.leads.Load() {
				t.Error("it has worked on the bucket")
			}
		})
	}
}

func holderOf(t *testing.T, s *Shards) string {
	t.Helper()
	var lease *coordinationv1.Lease
	lease, err := s.Kube.CoordinationV1().Leases("system").Get(context.Background(), s.bucketLease("07"), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return ptr.Deref(lease.Spec.HolderIdentity, "")
}
