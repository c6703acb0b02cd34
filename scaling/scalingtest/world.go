package scalingtest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"autoscale.io/scalers/scalertest/bubble"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"autoscale.io/scaling/controller"
	"autoscale.io/scaling/decisions"
	"autoscale.io/scaling/scalingtest/apiserver"
	"autoscale.io/scaling/shards"
)

const (
	// Namespace is that of the workloads.
	Namespace = "shop"
	// SystemNamespace is that of the autoscaler, which has its Leases.
	SystemNamespace = "autoscale-system"
	// Autoscaler is the user name of all autoscaler replicas.
	Autoscaler = "system:serviceaccount:autoscale-system:autoscaler"
	// User is the user name of everybody else.
	User = "jane"
)

// Options change a world. The zero value is that of an install with its defaults and one autoscaler replica.
type Options struct {
	// Class is that of the install.
	Class string
	// NoWebhook leaves the admission of workloads out, so that the sweep has to find them.
	NoWebhook bool
	// Kinds are managed; the default ones when empty.
	Kinds []controller.Kind
	// SweepInterval is as in controller.Options.
	SweepInterval time.Duration
	// Lease times the Leases. By default those of an install when there are several autoscaler replicas; one alone
	// renews its Leases every 4 minutes, so that a day takes moments.
	Lease shards.Times
	// Replicas is how many autoscaler replicas start, named autoscaler-1 and so on; 0 means one, and less than 0 none.
	Replicas int
}

// World is a cluster in memory with autoscaler replicas, event sources and users, inside a synctest bubble. Its methods
// fail the test when something does not work. All of them are for the goroutine of the test, which the world waits for:
// between two of them no time passes.
type World struct {
	*testing.T
	// API is the API server: it injects faults and delays watches.
	API *apiserver.Server
	// Clients are those of a user, for what World has no method for.
	apiserver.Clients

	options  Options
	sources  sources
	replicas []*Replica
	// controllers is nil before RunPods.
	controllers *controllers

	mu     sync.Mutex
	events []Event
	logs   []string
}

// Run runs a test in a world of its own, in a synctest bubble, and ends everything that the world has started.
func Run(t *testing.T, test func(*World)) {
	t.Helper()
	RunWith(t, Options{}, test)
}

// RunWith is Run in a world with options.
func RunWith(t *testing.T, options Options, test func(*World)) {
	t.Helper()
	if options.Replicas == 0 {
		options.Replicas = 1
	}
	if options.Replicas == 1 && options.Lease == (shards.Times{}) {
		options.Lease = shards.Times{Duration: 15 * time.Minute, RenewDeadline: 10 * time.Minute, RetryPeriod: 4 * time.Minute}
	}
	noErrorPause()
	bubble.Test(t, func(t *testing.T) {
		w := &World{T: t, API: apiserver.New(), options: options, sources: sources{byName: map[string]*Source{}}}
		var err error
		if w.Clients, err = w.API.Clients(User, nil); err != nil {
			t.Fatal(err)
		}
		w.API.Serve(w.podMetrics())
		if !options.NoWebhook {
			w.API.Admit(w.admit)
		}
		t.Cleanup(w.end)
		for i := range max(options.Replicas, 0) {
			w.Start(fmt.Sprintf("autoscaler-%d", i+1))
		}
		test(w)
	})
}

// end stops all autoscaler replicas and shows what happened, if the test has failed.
func (w *World) end() {
	w.controllers.end()
	for _, r := range w.replicas {
		r.Stop()
	}
	if w.Failed() {
		for _, e := range w.events {
			w.Logf("event %s", e)
		}
		w.Log("log of the autoscaler:\n" + strings.Join(w.logs, "\n"))
	}
}

// Advance lets time pass, and everything that is due until then happen.
func (w *World) Advance(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// Settle lets happen what needs no time.
func (w *World) Settle() { synctest.Wait() }

// step is how often a condition is looked at.
const step = 50 * time.Millisecond

// Await lets time pass until a condition holds, which is when it returns nil. After within the test fails with its
// latest error.
func (w *World) Await(what string, within time.Duration, condition func() error) {
	w.Helper()
	for began := time.Now(); ; w.Advance(step) {
		synctest.Wait()
		err := condition()
		if err == nil {
			return
		}
		if time.Since(began) >= within {
			w.Fatalf("%s: not within %s: %v", what, within, err)
		}
	}
}

// AwaitReplicas waits until a workload has that replica count.
func (w *World) AwaitReplicas(name string, want int32, within time.Duration) {
	w.Helper()
	w.Await(fmt.Sprintf("%s at %d replicas", name, want), within, func() error {
		if got := w.Replicas(name); got != want {
			return fmt.Errorf("it has had %v", w.Counts(name))
		}
		return nil
	})
}

// AwaitEvent waits for an event about an object with that reason and a note that contains the text.
func (w *World) AwaitEvent(name, reason, text string, within time.Duration) {
	w.Helper()
	w.Await(fmt.Sprintf("event %s on %s", reason, name), within, func() error {
		for _, e := range w.Events(name) {
			if e.Reason == reason && strings.Contains(e.Note, text) {
				return nil
			}
		}
		return fmt.Errorf("there are %v", w.Events(name))
	})
}

// AwaitCondition waits until a condition in the status of a workload has that reason, and a message that contains the text.
func (w *World) AwaitCondition(name, kind, reason, text string, within time.Duration) {
	w.Helper()
	w.Await(fmt.Sprintf("condition %s=%s on %s", kind, reason, name), within, func() error {
		for _, c := range w.Status(name) {
			if c.Type == kind && c.Reason == reason && strings.Contains(c.Message, text) {
				return nil
			}
		}
		return fmt.Errorf("the status is %s", w.Status(name))
	})
}

// Decision is the latest decision about a workload, of whichever autoscaler replica has made one; nil when there is none.
func (w *World) Decision(name string) *decisions.Entry {
	w.Settle()
	key := decisions.Key{Resource: resourceOf(w.Get(name).GetKind()).WithVersion("v1"), Namespace: Namespace, Name: name}
	for _, r := range w.replicas {
		if entry := r.Decisions.Get(key); entry != nil && !r.dead.Load() {
			return entry
		}
	}
	return nil
}

// WantCounts fails the test unless a workload has had exactly these replica counts, in this order.
func (w *World) WantCounts(name string, want ...int32) {
	w.Helper()
	w.Settle()
	if got := w.Counts(name); !slices.Equal(got, want) {
		w.Fatalf("%s has had the replica counts %v, want %v", name, got, want)
	}
}

// WantWrites fails the test unless the autoscaler has written exactly this to a workload, in this order; see Writes.
func (w *World) WantWrites(name string, want ...string) {
	w.Helper()
	w.Settle()
	if got := w.Writes(name); !slices.Equal(got, want) {
		w.Fatalf("the writes to %s were\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Counts are the replica counts that a workload has had since it was created last, in order. A Job's is its
// parallelism.
func (w *World) Counts(name string) []int32 {
	counts, _ := w.history(name)
	return counts
}

// ChangedAt is when a workload got the replica count that it has now.
func (w *World) ChangedAt(name string) time.Time {
	_, at := w.history(name)
	return at
}

// history are the replica counts that a workload has had, and when it got the last of them.
func (w *World) history(name string) (counts []int32, at time.Time) {
	for _, write := range w.API.Writes(func(write apiserver.Write) bool { return write.Name == name && write.Err == nil && write.After != nil }) {
		count, ok := countOf(write.After)
		if !ok {
			continue
		}
		if write.Verb == "create" {
			counts = nil
		}
		if len(counts) == 0 || counts[len(counts)-1] != count {
			counts, at = append(counts, count), write.At
		}
	}
	return counts, at
}

// Writes are the writes of the autoscaler to an object so far, as apiserver.Write describes them, in order.
func (w *World) Writes(name string) []string {
	var texts []string
	for _, write := range w.API.Writes(func(write apiserver.Write) bool { return write.Name == name && write.User == Autoscaler }) {
		texts = append(texts, write.String())
	}
	return texts
}

// countOf is the replica count in the spec of an object.
func countOf(object *unstructured.Unstructured) (int32, bool) {
	for _, field := range []string{"replicas", "parallelism"} {
		if count, found, err := unstructured.NestedInt64(object.Object, "spec", field); found && err == nil {
			return int32(count), true //nolint:gosec // tests have small counts
		}
	}
	return 0, false
}

// resourceOf is the group resource of a kind that workloads have.
func resourceOf(kind string) schema.GroupResource {
	switch kind {
	case "Job", "CronJob":
		return schema.GroupResource{Group: "batch", Resource: strings.ToLower(kind) + "s"}
	}
	return schema.GroupResource{Group: "apps", Resource: strings.ToLower(kind) + "s"}
}
