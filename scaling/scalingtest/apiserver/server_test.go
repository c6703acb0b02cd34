package apiserver_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"autoscale.io/scalers/scalertest/bubble"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"autoscale.io/scaling/scalingtest/apiserver"
)

// run runs a test with the client of ConfigMaps in one namespace.
func run(t *testing.T, test func(*testing.T, *apiserver.Server, corev1client.ConfigMapInterface)) {
	bubble.Test(t, func(t *testing.T) {
		s := apiserver.New()
		clients, err := s.Clients("jane", nil)
		if err != nil {
			t.Fatal(err)
		}
		test(t, s, clients.Kube.CoreV1().ConfigMaps("shop"))
	})
}

func named(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"team": "a"}}, Data: map[string]string{"key": "1"}}
}

func TestAnOldVersionIsAConflict(t *testing.T) {
	run(t, func(t *testing.T, _ *apiserver.Server, client corev1client.ConfigMapInterface) {
		first, err := client.Create(t.Context(), named("a"), metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		patch := func(text string) error {
			_, err := client.Patch(t.Context(), "a", types.MergePatchType, []byte(text), metav1.PatchOptions{})
			return err
		}
		if err := patch(`{"data":{"key":"2"}}`); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Update(t.Context(), first, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
			t.Errorf("an update of an old version: %v", err)
		}
		if err := patch(fmt.Sprintf(`{"metadata":{"resourceVersion":%q},"data":{"key":"3"}}`, first.ResourceVersion)); !apierrors.IsConflict(err) {
			t.Errorf("a patch of an old version: %v", err)
		}
		if err := patch(`{"metadata":{"uid":"other"},"data":{"key":"3"}}`); !apierrors.IsInvalid(err) || !apierrors.HasStatusCause(err, metav1.CauseTypeFieldValueInvalid) {
			t.Errorf("a patch of another object: %v", err)
		}
		uid := types.UID("other")
		if err := client.Delete(t.Context(), "a", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}); !apierrors.IsConflict(err) {
			t.Errorf("a deletion of another object: %v", err)
		}
		before, err := client.Get(t.Context(), "a", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := patch(`{"data":{"key":"2"}}`); err != nil {
			t.Fatal(err)
		}
		if after, err := client.Get(t.Context(), "a", metav1.GetOptions{}); err != nil || after.ResourceVersion != before.ResourceVersion {
			t.Errorf("a write of nothing new led from version %s to %s (%v)", before.ResourceVersion, after.ResourceVersion, err)
		}
	})
}

func TestAListIsPaged(t *testing.T) {
	run(t, func(t *testing.T, _ *apiserver.Server, client corev1client.ConfigMapInterface) {
		for i := range 5 {
			if _, err := client.Create(t.Context(), named(fmt.Sprint("a", i)), metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		var pages []int
		options := metav1.ListOptions{Limit: 2, LabelSelector: "team=a", FieldSelector: "metadata.name!=a4"}
		for more := true; more; more = options.Continue != "" {
			list, err := client.List(t.Context(), options)
			if err != nil {
				t.Fatal(err)
			}
			pages, options.Continue = append(pages, len(list.Items)), list.Continue
		}
		if fmt.Sprint(pages) != "[2 2]" {
			t.Errorf("the pages have %v, want 2 and 2", pages)
		}
	})
}

// TestAWatchShowsEveryChange leaves and enters the selection of the watch, and is cut in between.
func TestAWatchShowsEveryChange(t *testing.T) {
	run(t, func(t *testing.T, s *apiserver.Server, client corev1client.ConfigMapInterface) {
		s.DelayWatches(schema.GroupResource{Resource: "configmaps"}, time.Minute)
		watching, err := client.Watch(t.Context(), metav1.ListOptions{LabelSelector: "team=a"})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := client.Create(t.Context(), named("a"), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, team := range []string{"a", "b", "a"} {
			patch := fmt.Appendf(nil, `{"metadata":{"labels":{"team":%q}},"data":{"key":"to %[1]s"}}`, team)
			if _, err := client.Patch(t.Context(), "a", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := client.Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []watch.EventType{watch.Added, watch.Modified, watch.Deleted, watch.Added, watch.Deleted} {
			if got := <-watching.ResultChan(); got.Type != want {
				t.Errorf("got %s, want %s", got.Type, want)
			}
		}
		if took := time.Since(began); took != time.Minute {
			t.Errorf("the events came after %s, want 1m", took)
		}
		s.CutWatches(schema.GroupResource{Resource: "configmaps"})
		if _, open := <-watching.ResultChan(); open {
			t.Error("the watch goes on after it was cut")
		}
	})
}

func TestFaults(t *testing.T) {
	run(t, func(t *testing.T, s *apiserver.Server, client corev1client.ConfigMapInterface) {
		creates := func(c apiserver.Call) bool { return c.Verb == "create" }
		s.Inject(apiserver.Fault{Match: creates, Times: 1, Skip: 1, Err: apierrors.NewTooManyRequestsError("slow down")})
		s.Inject(apiserver.Fault{Match: creates, Times: 1, Before: time.Second, After: time.Second, Err: errors.New("EOF"), TakesEffect: true})
		began := time.Now()
		if _, err := client.Create(t.Context(), named("a"), metav1.CreateOptions{}); err == nil || time.Since(began) != 2*time.Second {
			t.Errorf("after %s: %v, want EOF after 2s", time.Since(began), err)
		}
		if _, err := client.Get(t.Context(), "a", metav1.GetOptions{}); err != nil {
			t.Errorf("what was created without an answer is not there: %v", err)
		}
		if _, err := client.Create(t.Context(), named("b"), metav1.CreateOptions{}); !apierrors.IsTooManyRequests(err) {
			t.Errorf("the second create: %v", err)
		}
		if _, err := client.Create(t.Context(), named("b"), metav1.CreateOptions{}); err != nil {
			t.Errorf("the third create: %v", err)
		}
	})
}
