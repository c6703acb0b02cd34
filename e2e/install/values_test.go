package install_test

import (
	"fmt"
	"strings"
	"testing"

	"autoscale.io/e2e/product"
)

func TestWrongValuesAreRefused(t *testing.T) {
	for _, c := range []struct {
		values map[string]any
		want   string
	}{
		{map[string]any{"job": false}, "at '': additional properties 'job' not allowed"},
		{map[string]any{"jobs": "no"}, "at '/jobs': got string, want boolean"},
		{map[string]any{"replicas": 1.5}, "at '/replicas': got number, want integer"},
		{map[string]any{"args": []any{"debug"}}, "at '/args/0': 'debug' does not match pattern '^--'"},
		{map[string]any{"references": map[string]any{"namespace": "shop"}}, "at '/references': additional properties 'namespace' not allowed"},
		{map[string]any{"extraKinds": []any{map[string]any{"group": "argoproj.io", "version": "v1alpha1"}}}, "at '/extraKinds/0': missing property 'resource'"},
	} {
		_, _, err := chartIn(t, product.Namespace).Template(t.Context(), c.values)
		want := "render the chart: values don't meet the specifications of the schema(s) in the following chart(s):\nautoscaler:\n- " + c.want + "\n"
		if err == nil || err.Error() != want {
			t.Errorf("%v:\n got %q\nwant %q", c.values, fmt.Sprint(err), want)
		}
	}
}

func TestValuesReachThePod(t *testing.T) {
	list := templated(t, "scaling", map[string]any{
		"image":        map[string]any{"repository": "registry.example.com/autoscaler", "tag": "1.0", "pullPolicy": "Always"},
		"podLabels":    map[string]any{"team": "platform", "app.kubernetes.io/name": "other"},
		"nodeSelector": map[string]any{"pool": "system"}, "priorityClassName": "system-cluster-critical",
		"resources":  map[string]any{"requests": map[string]any{"cpu": "1"}},
		"references": map[string]any{"everywhere": false, "namespaces": []any{"shop"}},
	})
	bindings := 0
	for _, object := range list {
		if object.GetKind() == "RoleBinding" && object.GetNamespace() == "shop" {
			bindings++
		}
		if object.GetKind() != "Deployment" {
			continue
		}
		got := fmt.Sprint(object.Object["spec"].(map[string]any)["template"])
		for _, want := range []string{
			"image:registry.example.com/autoscaler:1.0", "imagePullPolicy:Always", "team:platform", "app.kubernetes.io/name:autoscaler",
			"nodeSelector:map[pool:system]", "priorityClassName:system-cluster-critical", "resources:map[requests:map[cpu:1]]",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("the pod lacks %s: %s", want, got)
			}
		}
	}
	if bindings != 1 {
		t.Errorf("there are %d RoleBindings in shop, want that of the references", bindings)
	}
	_, notes, err := chartIn(t, "scaling").Template(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(notes, "The autoscaler is in the namespace scaling.") || !strings.Contains(notes, "No image is published under the name autoscale.io/autoscaler.") {
		t.Errorf("the notes are\n%s", notes)
	}
}
