package controller

import (
	"errors"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"autoscale.io/scaling/target"
)

// podClock is a podWatch without a watch, on a clock that stands still.
type podClock struct {
	*podWatch
	at    time.Time
	woken []time.Duration
}

func newPodClock() *podClock {
	c := &podClock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	c.podWatch = &podWatch{
		job: target.Scale{UID: "job"}, present: map[string]bool{}, now: func() time.Time { return c.at },
		wake: func(after time.Duration) { c.woken = append(c.woken, after) },
	}
	return c
}

// full has n pods since long ago.
func full(n int) *podClock {
	c := newPodClock()
	for i := range n {
		c.see(podNamed(i))
	}
	c.complete()
	c.at = c.at.Add(time.Minute)
	return c
}

func podNamed(i int) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Name: fmt.Sprint("pod-", i), OwnerReferences: []metav1.OwnerReference{{UID: "job", Controller: ptr.To(true)}},
	}}
}

func (c *podClock) want(t *testing.T, after time.Duration, want pods) {
	t.Helper()
	c.at = c.at.Add(after)
	got, err := c.look(5, time.Time{})
	if late := got.until; got.ready && (late.IsZero() == c.due.After(c.at) || !late.IsZero() && !late.Equal(c.due)) {
		t.Errorf("it is too late at %s, want %s", late, c.due)
	}
	if got.until = (time.Time{}); err != nil || got != want {
		t.Errorf("after %s: got %+v and %v, want %+v", after, got, err, want)
	}
}

func TestAWatchIsTrustedOnceTheJobControllerHasLooked(t *testing.T) {
	c := newPodClock()
	c.see(podNamed(0))
	c.want(t, time.Hour, pods{})
	c.complete()
	c.want(t, 0, pods{wait: jobSync + syncGuard})
	c.want(t, jobSync+syncGuard-time.Millisecond, pods{wait: time.Millisecond})
	c.want(t, time.Millisecond, pods{ready: true, running: 1})
}

func TestAPodThatEndedCountsForAWhile(t *testing.T) {
	c := full(5)
	c.want(t, 0, pods{ready: true, running: 5})
	c.unsee(podNamed(0))
	c.want(t, 0, pods{wait: podSettle})
	c.want(t, podSettle, pods{ready: true, running: 4})
	if len(c.woken) != 1 || c.woken[0] != podSettle {
		t.Errorf("the workload is queued after %v, want once after %s", c.woken, podSettle)
	}
}

func TestPodsThatEndOneAfterTheOtherAreTakenTogether(t *testing.T) {
	c := full(5)
	c.unsee(podNamed(0))
	c.at = c.at.Add(podSettle / 2)
	c.unsee(podNamed(1))
	c.want(t, podSettle/2, pods{wait: podSettle / 2}) // the first has settled
	c.want(t, podSettle/2, pods{ready: true, running: 3})
}

func TestPodsThatKeepEndingAreTakenBeforeTheJobControllerLooks(t *testing.T) {
	c := full(5)
	for i := range 3 { // at 0, 200 and 400 ms
		c.at = c.at.Add(time.Duration(min(i, 1)) * 200 * time.Millisecond)
		c.unsee(podNamed(i))
	}
	c.at = c.at.Add(100 * time.Millisecond)
	c.unsee(podNamed(3)) // at 500 ms; it would settle at 900 ms
	c.want(t, 0, pods{wait: 200 * time.Millisecond})
	c.want(t, 200*time.Millisecond, pods{ready: true, running: 1, leaving: 2})
}

func TestNothingIsLoweredAroundALookOfTheJobController(t *testing.T) {
	c := full(5)
	c.heard()
	c.want(t, jobSync-2*syncGuard, pods{ready: true, running: 5})
	c.want(t, syncGuard+time.Millisecond, pods{wait: 2*syncGuard - time.Millisecond})
	c.at = c.at.Add(syncGuard)
	c.heard() // what it has done; the next look follows that
	c.want(t, 0, pods{wait: syncGuard - time.Millisecond})
	c.want(t, syncGuard-time.Millisecond, pods{ready: true, running: 5})
}

func TestWhatGoesIsCountedOnce(t *testing.T) {
	c := full(3)
	leaving := podNamed(0)
	leaving.DeletionTimestamp = ptr.To(metav1.Now())
	c.see(leaving)
	c.unsee(cache.DeletedFinalStateUnknown{Obj: leaving})
	other := podNamed(7)
	other.OwnerReferences[0].UID = "other"
	c.see(other)
	c.unsee(other)
	c.want(t, podSettle, pods{ready: true, running: 2})
}

func TestAfterARiseThePodsAreAwaited(t *testing.T) {
	look := func(c *podClock, rose time.Time, want pods) {
		t.Helper()
		got, err := c.look(5, rose)
		if got.until = (time.Time{}); err != nil || got != want {
			t.Errorf("got %+v and %v, want %+v", got, err, want)
		}
	}
	c := full(3)
	rose := c.at
	look(c, rose, pods{wait: riseSettle})
	c.at = c.at.Add(time.Second)
	c.see(podNamed(3))
	look(c, rose, pods{wait: riseSettle})
	c.at = c.at.Add(riseSettle) // no more came, for want of completions
	look(c, rose, pods{ready: true, running: 4})
	c.see(podNamed(4)) // all that were asked for
	look(c, c.at, pods{ready: true, running: 5})
}

func TestNothingIsKnownWithoutAWatch(t *testing.T) {
	c := newPodClock()
	c.failure = errors.New("forbidden")
	const want = "watch the pods that still run: forbidden"
	if got, err := c.look(5, time.Time{}); err == nil || err.Error() != want || got.ready {
		t.Errorf("got %+v and %v, want the error %s", got, err, want)
	}
	c.complete() // it works after all, and a break later on does no harm
	c.want(t, time.Minute, pods{ready: true})
}

func TestEventsBeforeTheFirstLookProlongTheWait(t *testing.T) {
	c := newPodClock()
	c.complete()
	c.at = c.at.Add(jobSync / 2)
	c.heard() // the Job controller may have looked just before that
	c.want(t, 0, pods{wait: jobSync + syncGuard})
	c.at = c.at.Add(jobSync - time.Millisecond)
	c.heard() // it looks about now
	c.want(t, syncGuard+time.Millisecond, pods{ready: true})
}
