package shards

import (
	"context"
	"errors"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"
)

// lease15 is a Lease of 15 s.
func lease15(name, holder string, renewed time.Time) *coordinationv1.Lease {
	return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "system", Name: name}, Spec: coordinationv1.LeaseSpec{
		HolderIdentity: ptr.To(holder), LeaseDurationSeconds: ptr.To[int32](15), RenewTime: &metav1.MicroTime{Time: renewed},
	}}
}

// TestAHolderIsAskedForBeforeItsBucketIsTaken: the watch has shown no sign of life for a minute, which may be the watch's fault.
func TestAHolderIsAskedForBeforeItsBucketIsTaken(t *testing.T) {
	taken := time.Now().Add(-2 * time.Minute).Truncate(time.Microsecond)
	seenAlive := taken.Add(time.Minute)
	for name, c := range map[string]struct {
		live *coordinationv1.Lease
		fail error
		term time.Time
		want bool
	}{
		"it has not renewed":           {live: lease15("", "other", seenAlive), term: taken, want: true},
		"it has renewed":               {live: lease15("", "other", time.Now()), term: taken},
		"its Lease was deleted":        {term: taken, want: true},
		"it cannot be asked for":       {live: lease15("", "other", seenAlive), fail: errors.New("no answer"), term: taken},
		"the bucket was taken since":   {live: lease15("", "other", seenAlive), term: time.Now()},
		"its Lease is somebody else's": {live: lease15("", "new", time.Now()), term: taken},
	} {
		t.Run(name, func(t *testing.T) {
			kube := fake.NewClientset()
			s := New(Options{Kube: kube, Namespace: "system", Identity: "me", Times: DefaultTimes()})
			own := s.memberLease("other")
			if c.live != nil {
				c.live.Name = own
				if err := kube.Tracker().Add(c.live); err != nil {
					t.Fatal(err)
				}
			}
			if c.fail != nil {
				kube.PrependReactor("get", "leases", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, c.fail })
			}
			s.view.see(time.Now().Add(-2*time.Minute), lease15(s.bucketLease("07"), "other", taken))
			s.view.see(time.Now().Add(-time.Minute), lease15(own, "other", seenAlive))
			s.view.hear(time.Now().Add(-16 * time.Second))
			s.view.hear(time.Now())
			bucket := term{holder: "other", renewed: metav1.MicroTime{Time: c.term}}
			if got := s.expired(context.Background(), s.bucketLease("07"), bucket); got != c.want {
				t.Errorf("expired: %t, want %t", got, c.want)
			}
		})
	}
}
