package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"autoscale.io/scalers/scalertest/bubble"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"autoscale.io/cmd/autoscaler/clients"
	"autoscale.io/scaling/controller"
)

func TestParseKinds(t *testing.T) {
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}, meta.RESTScopeNamespace)
	mapper.Add(schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "Rollout"}, meta.RESTScopeNamespace)
	for _, test := range []struct {
		texts []string
		want  string
	}{
		{[]string{"deployments.apps", "rollouts.argoproj.io"}, "[apps/v1, Kind=Deployment argoproj.io/v1alpha1, Kind=Rollout] absent [] <nil>"},
		{[]string{"deployments.apps", "widgets.example.com", "rollouts.v1alpha1.argoproj.io"}, "[apps/v1, Kind=Deployment argoproj.io/v1alpha1, Kind=Rollout] absent [widgets.example.com] <nil>"},
		{[]string{"deploymnets.apps"}, `[] absent [] --kinds: kind "deploymnets.apps": the API server does not serve it; want RESOURCE.GROUP such as deployments.apps: no matches for apps/, Resource=deploymnets`},
		{[]string{"flowschemas.flowcontrol.apiserver.k8s.io"}, `[] absent [] --kinds: kind "flowschemas.flowcontrol.apiserver.k8s.io": the API server does not serve it; want RESOURCE.GROUP such as deployments.apps: ` +
			`no matches for flowcontrol.apiserver.k8s.io/, Resource=flowschemas`},
	} {
		kinds, absent, err := parseKinds(test.texts, mapper)
		var names []string
		for _, kind := range kinds {
			names = append(names, kind.String())
		}
		if got := fmt.Sprint(names, " absent ", absent, " ", err); got != test.want {
			t.Errorf("%v:\n got %s\nwant %s", test.texts, got, test.want)
		}
	}
}

// kindsLater is a mapper that is changed while it is in use.
type kindsLater struct {
	*meta.DefaultRESTMapper
	mu      sync.Mutex
	failing error
}

// ResourceFor implements meta.RESTMapper.
func (m *kindsLater) ResourceFor(r schema.GroupVersionResource) (schema.GroupVersionResource, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failing != nil {
		return schema.GroupVersionResource{}, m.failing
	}
	return m.DefaultRESTMapper.ResourceFor(r)
}

// KindFor implements meta.RESTMapper.
func (m *kindsLater) KindFor(r schema.GroupVersionResource) (schema.GroupVersionKind, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.DefaultRESTMapper.KindFor(r)
}

func (m *kindsLater) serve(group, version, kind string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failing = nil
	m.Add(schema.GroupVersionKind{Group: group, Version: version, Kind: kind}, meta.RESTScopeNamespace)
}

func (m *kindsLater) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failing = err
}

// forgetful counts how often what is known of the API is thrown away.
type forgetful struct {
	discovery.CachedDiscoveryInterface
	times int
}

// Invalidate implements discovery.CachedDiscoveryInterface.
func (f *forgetful) Invalidate() { f.times++ }

func TestKindsAreManagedFromWhenTheyAreServed(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		mapper := &kindsLater{DefaultRESTMapper: meta.NewDefaultRESTMapper(nil)}
		served := &forgetful{}
		loop := controller.New(controller.Options{})
		w := &wiring{loop: loop, absent: []string{"widgets.example.com", "rollouts.argoproj.io"}, ways: ways{Access: clients.Access{Served: served}}}
		var logged lines
		done := make(chan error, 1)
		go func() { done <- w.awaitKinds(mapper, logged.log())(t.Context()) }()
		// look lets the time between two looks go by.
		look := func(want ...string) {
			t.Helper()
			<-time.After(18 * time.Second)
			synctest.Wait()
			for i := range want {
				want[i] = info + want[i]
			}
			if got := logged.take(); !slices.Equal(got, want) {
				t.Errorf("logged\n%q, want\n%q", got, want)
			}
		}
		manages := func(want string) {
			t.Helper()
			if got := fmt.Sprint(loop.Manages("example.com", "Widget"), loop.Manages("argoproj.io", "Rollout"), served.times); got != want {
				t.Errorf("Widget, Rollout, times invalidated: got %s, want %s", got, want)
			}
		}
		look(`"msg"="the API server does not serve these kinds of --kinds yet; each is managed from when it is" "kinds"=["widgets.example.com" "rollouts.argoproj.io"]`)
		manages("false false 0")
		mapper.fail(errors.New("no answer"))
		look(`"msg"="cannot look for the kinds that are not served yet; it is tried again" "error"="--kinds: kind \"widgets.example.com\": the API server does not serve it; want RESOURCE.GROUP such as deployments.apps: no answer"`)
		mapper.serve("argoproj.io", "v1alpha1", "Rollout")
		look(`"msg"="a kind of --kinds is served now and managed" "kind"="argoproj.io/v1alpha1, Kind=Rollout"`)
		manages("false true 1")
		look()
		mapper.serve("example.com", "v1", "Widget")
		look(`"msg"="a kind of --kinds is served now and managed" "kind"="example.com/v1, Kind=Widget"`)
		manages("true true 2")
		if err := <-done; err != nil { // nothing is left to wait for
			t.Error(err)
		}
	})
}

func TestWaitingForKindsEndsWithTheProcess(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		w := &wiring{absent: []string{"widgets.example.com"}}
		var logged lines
		done := make(chan error, 1)
		go func() { done <- w.awaitKinds(meta.NewDefaultRESTMapper(nil), logged.log())(ctx) }()
		synctest.Wait()
		began := time.Now()
		stop()
		if err := <-done; err != nil || time.Since(began) != 0 {
			t.Errorf("ended after %s with %v", time.Since(began), err)
		}
	})
}
