package controller_test

import (
	"errors"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/apiserver"
)

type settings = scalingtest.Settings

// Writes of a Deployment by the autoscaler, as World.Writes lists them.
const (
	stateOfDeployment  = "patch deployments.apps annotations=autoscale.io/state"
	statusOfDeployment = "patch deployments.apps annotations=autoscale.io/status"
)

// onOrders are quick settings with a trigger on the source orders and a target of 5.
func onOrders(more settings) settings {
	s := settings{"trigger.orders": scalingtest.Trigger("orders", "")}
	for key, value := range more {
		s[key] = value
	}
	return scalingtest.Quick(s)
}

// template has one Job made of it for each piece of work of the source orders.
func template(name string, more settings) *batchv1.Job {
	s := settings{"min-replicas": "0", "max-replicas": "10", "polling-interval": "1s", "trigger.orders": "{type: fake, source: orders, target: 1}"}
	for key, value := range more {
		s[key] = value
	}
	return scalingtest.Template(name, s)
}

func deployments() schema.GroupResource {
	return schema.GroupResource{Group: "apps", Resource: "deployments"}
}

func jobs() schema.GroupResource { return schema.GroupResource{Group: "batch", Resource: "jobs"} }

// patchesScale picks the writes of replica counts.
func patchesScale(c apiserver.Call) bool {
	return c.User == scalingtest.Autoscaler && c.Verb == "patch" && c.Subresource == "scale"
}

// patchesCount picks the writes of replica counts and parallelisms.
func patchesCount(write apiserver.Write) bool {
	return patchesScale(write.Call) || write.User == scalingtest.Autoscaler && write.Verb == "patch" && strings.Contains(write.String(), " parallelism=")
}

// patchesMetadata picks the writes of labels and annotations of Deployments.
func patchesMetadata(c apiserver.Call) bool {
	return c.User == scalingtest.Autoscaler && c.Verb == "patch" && c.Subresource == "" && c.Resource.Resource == "deployments"
}

// createsJobs picks the creation of Jobs.
func createsJobs(c apiserver.Call) bool {
	return c.User == scalingtest.Autoscaler && c.Verb == "create" && c.Resource.Resource == "jobs"
}

// calls picks the calls of the autoscaler with that verb to that resource.
func calls(verb, resource string) func(apiserver.Call) bool {
	return func(c apiserver.Call) bool {
		return c.User == scalingtest.Autoscaler && c.Verb == verb && c.Resource.Resource == resource
	}
}

// looks picks the calls by which the autoscaler comes to see a resource.
func looks(resource string) func(apiserver.Call) bool {
	return func(c apiserver.Call) bool { return calls("list", resource)(c) || calls("watch", resource)(c) }
}

func conflict() error {
	return apierrors.NewConflict(deployments(), "worker", errors.New("the object has been modified"))
}

func forbidden(resource, why string) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "", errors.New(why))
}

// wantScales compares the writes of counts and parallelisms alone.
func wantScales(w *scalingtest.World, name string, want ...string) {
	w.Helper()
	w.Settle()
	var got []string
	for _, write := range w.API.Writes(func(write apiserver.Write) bool { return write.Name == name && patchesCount(write) }) {
		got = append(got, write.String())
	}
	if !slices.Equal(got, want) {
		w.Fatalf("the writes of counts of %s were\n%s\nwant\n%s", name, lines(got), lines(want))
	}
}

// wantEvents compares all events about an object.
func wantEvents(w *scalingtest.World, name string, want ...string) {
	w.Helper()
	w.Settle()
	if got := texts(w, name); !slices.Equal(got, want) {
		w.Fatalf("the events of %s were\n%s\nwant\n%s", name, lines(got), lines(want))
	}
}

func texts(w *scalingtest.World, name string) []string {
	var all []string
	for _, e := range w.Events(name) {
		all = append(all, e.String())
	}
	return all
}

// wantCounted compares a counter with its text as Prometheus reads it.
func wantCounted(w *scalingtest.World, counter prometheus.Collector, want string) {
	w.Helper()
	w.Settle()
	if err := testutil.CollectAndCompare(counter, strings.NewReader(want)); err != nil {
		w.Error(err)
	}
}

// lines is a list as it stands in a test.
func lines(all []string) string {
	return "\t\"" + strings.Join(all, "\",\n\t\"") + "\","
}
