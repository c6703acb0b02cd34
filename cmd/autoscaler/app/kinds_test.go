package app

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
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
