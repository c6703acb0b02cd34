package apiserver

import (
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// read answers a get.
func (s *Server) read(q request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.table(q.Resource.GroupResource())
	if err != nil {
		return nil, err
	}
	found, err := t.get(q.Call)
	switch {
	case err != nil:
		return nil, err
	case q.Subresource == "scale" && !hasScale(found):
		return nil, notServed()
	case q.Subresource == "scale":
		return scaleOf(found), nil
	}
	return q.shape(found), nil
}

// Object is an object as it is stored, nil when there is none. It must not be changed.
func (s *Server) Object(resource schema.GroupResource, namespace, name string) *unstructured.Unstructured {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tables[resource]; t != nil {
		return t.objects[types.NamespacedName{Namespace: namespace, Name: name}]
	}
	return nil
}

// shape is an object as the caller wants it.
func (q request) shape(object *unstructured.Unstructured) any {
	if !q.partial {
		return object.Object
	}
	return map[string]any{"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object.Object["metadata"]}
}

// list answers a list, page by page. Pages show the objects as they are when the page is asked for.
func (s *Server) list(q request) (any, error) {
	pick, err := q.selector()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.table(q.Resource.GroupResource())
	if err != nil {
		return nil, err
	}
	meta := map[string]any{"resourceVersion": strconv.FormatInt(s.version, 10)}
	items, limit, after := []any{}, 0, q.query.Get("continue")
	if text := q.query.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
	}
	last := ""
	for _, object := range s.computed(t, q.Namespace) {
		if !pick(object) || after != "" && pageKey(object) <= after {
			continue
		}
		if limit > 0 && len(items) == limit {
			meta["continue"] = last
			break
		}
		items, last = append(items, q.shape(object)), pageKey(object)
	}
	gvk := schema.GroupVersionKind{Group: t.Group, Version: t.Version, Kind: t.Kind.Kind + "List"}
	if q.partial {
		gvk = metav1.SchemeGroupVersion.WithKind("PartialObjectMetadataList")
		gvk.Group = "meta.k8s.io"
	}
	version, kind := gvk.ToAPIVersionAndKind()
	return map[string]any{"apiVersion": version, "kind": kind, "metadata": meta, "items": items}, nil
}

func pageKey(object *unstructured.Unstructured) string {
	return object.GetNamespace() + "/" + object.GetName()
}

// sorted are the objects of a namespace, or of all when it is empty, in the order of their names.
func (t *table) sorted(namespace string) []*unstructured.Unstructured {
	var found []*unstructured.Unstructured
	for key, object := range t.objects {
		if namespace == "" || key.Namespace == namespace {
			found = append(found, object)
		}
	}
	slices.SortFunc(found, func(a, b *unstructured.Unstructured) int { return strings.Compare(pageKey(a), pageKey(b)) })
	return found
}

// selector says which objects the selectors of a list or watch pick, of the namespace that it is about.
func (q request) selector() (func(*unstructured.Unstructured) bool, error) {
	byLabel, err := labels.Parse(q.query.Get("labelSelector"))
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	byField, err := fields.ParseSelector(q.query.Get("fieldSelector"))
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return func(object *unstructured.Unstructured) bool {
		if object == nil || q.Namespace != "" && object.GetNamespace() != q.Namespace {
			return false
		}
		phase, _, _ := unstructured.NestedString(object.Object, "status", "phase")
		known := fields.Set{"metadata.name": object.GetName(), "metadata.namespace": object.GetNamespace(), "status.phase": phase}
		return byLabel.Matches(labels.Set(object.GetLabels())) && byField.Matches(known)
	}, nil
}

// computed is sorted, of a kind that is computed from another.
func (s *Server) computed(t *table, namespace string) []*unstructured.Unstructured {
	if t.Compute == nil {
		return t.sorted(namespace)
	}
	of := s.tables[t.Of]
	if of == nil {
		return nil
	}
	var found []*unstructured.Unstructured
	for _, object := range of.sorted(namespace) {
		if made := t.Compute(object); made != nil {
			found = append(found, made)
		}
	}
	return found
}
