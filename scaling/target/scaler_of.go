package target

import (
	"bytes"
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"autoscale.io/scaling/decisions"
)

// LastScaler names who set spec.replicas, or the parallelism of a Job, last, as the API server knows it: "kubectl (scale)". It is empty when nobody owns the field.
func (c *Client) LastScaler(ctx context.Context, key decisions.Key) (string, error) {
	object, err := c.Metadata.Resource(key.Resource).Namespace(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("read who scaled %s: %w", key, err)
	}
	field := "replicas"
	if IsJob(key.Resource) {
		field = "parallelism"
	}
	return lastScaler(object.ManagedFields, field), nil
}

func lastScaler(managers []metav1.ManagedFieldsEntry, field string) string {
	var last *metav1.ManagedFieldsEntry
	for i := range managers {
		entry := &managers[i]
		if owns(entry, field) && (last == nil || last.Time.Before(entry.Time)) {
			last = entry
		}
	}
	switch {
	case last == nil:
		return ""
	case last.Subresource != "":
		return last.Manager + " (" + last.Subresource + ")"
	}
	return last.Manager
}

// owns says whether an entry has a field of the spec.
func owns(entry *metav1.ManagedFieldsEntry, field string) bool {
	var owned fieldpath.Set
	if entry.FieldsV1 == nil || owned.FromJSON(bytes.NewReader(entry.FieldsV1.GetRawBytes())) != nil {
		return false
	}
	return owned.Has(fieldpath.MakePathOrDie("spec", field))
}
