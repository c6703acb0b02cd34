package target

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestLastScaler(t *testing.T) {
	entry := func(manager, subresource string, minute int, fields string) metav1.ManagedFieldsEntry {
		at := metav1.NewTime(time.Date(2026, 3, 2, 12, minute, 0, 0, time.UTC))
		return metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource, Time: &at, FieldsV1: metav1.NewFieldsV1(fields)}
	}
	const replicas, image = `{"f:spec":{"f:replicas":{}}}`, `{"f:spec":{"f:template":{}}}`
	for _, c := range []struct {
		name    string
		entries []metav1.ManagedFieldsEntry
		want    string
	}{
		{"nobody", nil, ""},
		{"the same of a Job", []metav1.ManagedFieldsEntry{entry("kubectl", "", 1, `{"f:spec":{"f:parallelism":{}}}`)}, ""},
		{"not the replicas", []metav1.ManagedFieldsEntry{entry("helm", "", 1, image)}, ""},
		{"the last of several", []metav1.ManagedFieldsEntry{entry("kubectl", "scale", 3, replicas), entry("autoscale.io", "scale", 2, replicas), entry("helm", "", 4, image)}, "kubectl (scale)"},
		{"an update", []metav1.ManagedFieldsEntry{entry("helm", "", 1, replicas)}, "helm"},
		{"malformed", []metav1.ManagedFieldsEntry{entry("x", "", 1, `{`), {Manager: "y"}}, ""},
	} {
		if got := lastScaler(c.entries, "replicas"); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if got := lastScaler([]metav1.ManagedFieldsEntry{entry("kubectl", "", 1, `{"f:spec":{"f:parallelism":{}}}`)}, "parallelism"); got != "kubectl" {
		t.Errorf("the parallelism of a Job: got %q, want kubectl", got)
	}
}
