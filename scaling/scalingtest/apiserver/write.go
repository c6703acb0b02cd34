package apiserver

import (
	"net/http"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/util/validation/field"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
)

func now() time.Time { return time.Now() }

// write carries out a create, update, patch or delete.
func (s *Server) write(q request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.table(q.Resource.GroupResource())
	if err != nil {
		return nil, err
	}
	w := Write{Call: q.Call, At: now()}
	switch q.Verb {
	case "create":
		w.After, w.Err = s.create(t, &q)
		w.Name = q.Name
	case "delete":
		w.Before, w.Err = s.remove(t, q)
	default:
		w.Before, w.After, w.Err = s.change(t, q)
	}
	if dry := q.query.Get("dryRun"); dry == "" && (w.Err != nil || w.Before != w.After) {
		s.record(w)
	}
	switch {
	case w.Err != nil:
		return nil, w.Err
	case w.After == nil:
		return metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess}, nil
	case q.Subresource == "scale":
		return scaleOf(w.After), nil
	}
	return q.shape(w.After), nil
}

func (s *Server) create(t *table, q *request) (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal(q.body, &object.Object); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if object.GetName() == "" && object.GetGenerateName() != "" {
		object.SetName(object.GetGenerateName() + rand.String(5))
	}
	q.Name = object.GetName()
	if _, err := t.get(q.Call); err == nil {
		return nil, apierrors.NewAlreadyExists(q.Resource.GroupResource(), q.Name)
	}
	object.SetNamespace(q.Namespace)
	object.SetGroupVersionKind(t.GroupVersionKind)
	object.SetUID(s.newUID())
	object.SetResourceVersion("")
	object.SetCreationTimestamp(metav1.NewTime(now()))
	object.SetGeneration(1)
	object, err := s.pass(t, *q, nil, object)
	if err != nil {
		return nil, err
	}
	complete(object)
	observe(object)
	own(object, nil, q.Call)
	if q.query.Get("dryRun") == "" {
		s.store(t, nil, object)
	}
	return object, nil
}

// change carries out an update or a patch. It returns the same object twice when that changes nothing.
func (s *Server) change(t *table, q request) (before, after *unstructured.Unstructured, err error) {
	if before, err = t.get(q.Call); err != nil {
		return nil, nil, err
	}
	from := before
	if q.Subresource == "scale" {
		if !hasScale(before) {
			return before, nil, notServed()
		}
		from = scaleOf(before)
	}
	wanted, err := q.apply(from)
	if err != nil {
		return before, nil, err
	}
	if err := precondition(q, before, wanted); err != nil {
		return before, nil, err
	}
	after = merged(before, wanted, q.Subresource)
	if q.Subresource == "" {
		if after, err = s.pass(t, q, before, after); err != nil {
			return before, nil, err
		}
		complete(after)
	}
	after.SetGeneration(generation(before, after))
	if equality.Semantic.DeepEqual(before.Object, after.Object) {
		return before, before, nil
	}
	if q.Subresource != "status" {
		observe(after)
	}
	own(after, before, q.Call)
	if q.query.Get("dryRun") == "" {
		s.store(t, before, after)
	}
	return before, after, nil
}

// apply is the object as the body of the call wants it.
func (q request) apply(from *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	old, err := json.Marshal(from.Object)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	data := q.body
	switch {
	case q.Verb == "update":
	case q.content == string(types.JSONPatchType):
		var patch jsonpatch.Patch
		if patch, err = jsonpatch.DecodePatch(q.body); err == nil {
			data, err = patch.Apply(old)
		}
		if err != nil { // a test that failed, for one
			return nil, apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, q.Verb, q.Resource.GroupResource(), q.Name, err.Error(), 0, false)
		}
	case q.content == string(types.StrategicMergePatchType):
		typed, unknown := clientscheme.Scheme.New(from.GroupVersionKind())
		if unknown != nil {
			return nil, apierrors.NewGenericServerResponse(http.StatusUnsupportedMediaType, q.Verb, q.Resource.GroupResource(), q.Name, unknown.Error(), 0, false)
		}
		data, err = strategicpatch.StrategicMergePatch(old, q.body, typed)
	case q.content == string(types.MergePatchType):
		data, err = jsonpatch.MergePatch(old, q.body)
	default:
		return nil, apierrors.NewGenericServerResponse(http.StatusUnsupportedMediaType, q.Verb, q.Resource.GroupResource(), q.Name, q.content, 0, false)
	}
	wanted := &unstructured.Unstructured{}
	if err == nil {
		err = json.Unmarshal(data, &wanted.Object)
	}
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return wanted, nil
}

// precondition checks that a write is about the object that it was made for.
func precondition(q request, before, wanted *unstructured.Unstructured) error {
	if uid := wanted.GetUID(); uid != "" && uid != before.GetUID() {
		return apierrors.NewInvalid(before.GroupVersionKind().GroupKind(), q.Name, field.ErrorList{
			field.Invalid(field.NewPath("metadata", "uid"), uid, "field is immutable"),
		})
	}
	if version := wanted.GetResourceVersion(); version != "" && version != before.GetResourceVersion() {
		return conflict(q.Call)
	}
	return nil
}

func conflict(c Call) error {
	return apierrors.NewConflict(c.Resource.GroupResource(), c.Name,
		errorText("the object has been modified; please apply your changes to the latest version and try again"))
}

type errorText string

// Error implements error.
func (e errorText) Error() string { return string(e) }

// pass lets admission have its say about the write of a workload.
func (s *Server) pass(t *table, q request, before, after *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if s.admit == nil || !t.Workload || q.Subresource != "" {
		return after, nil
	}
	admitted, warnings, err := s.admit(q.Call, Objects{before, after})
	s.warnings = append(s.warnings, warnings...)
	return admitted, err
}

// remove carries out a deletion, and of all that the object owned.
func (s *Server) remove(t *table, q request) (*unstructured.Unstructured, error) {
	found, err := t.get(q.Call)
	if err != nil {
		return nil, err
	}
	var options metav1.DeleteOptions
	if len(q.body) > 0 {
		if err := json.Unmarshal(q.body, &options); err != nil {
			return found, apierrors.NewBadRequest(err.Error())
		}
	}
	if p := options.Preconditions; p != nil {
		if p.UID != nil && *p.UID != found.GetUID() || p.ResourceVersion != nil && *p.ResourceVersion != found.GetResourceVersion() {
			return found, conflict(q.Call)
		}
	}
	s.store(t, found, nil)
	if p := options.PropagationPolicy; p == nil || *p != metav1.DeletePropagationOrphan {
		s.removeOwned(found.GetUID())
	}
	return found, nil
}

func (s *Server) removeOwned(owner types.UID) {
	for _, t := range s.tables {
		for _, object := range t.sorted("") {
			for _, reference := range object.GetOwnerReferences() {
				if reference.UID == owner {
					s.store(t, object, nil)
					s.removeOwned(object.GetUID())
				}
			}
		}
	}
}
