package apiserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// transport is the way of one user to the server.
type transport struct {
	server *Server
	user   string
}

// request is a call with what it carries.
type request struct {
	Call
	query url.Values
	body  []byte
	// content is the type of the body; of a patch, which kind of patch it is.
	content string
	// partial says that only the metadata is wanted.
	partial bool
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	q, err := t.read(r)
	if err != nil {
		return nil, err
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	fault := t.server.fault(q.Call)
	if err := pause(r.Context(), fault.Before); err != nil {
		return nil, err
	}
	if fault.Err != nil && !fault.TakesEffect {
		t.server.failed(q.Call, fault.Err)
		return refuse(fault.Err)
	}
	answer, err := t.server.answer(r.Context(), q)
	if lost := pause(r.Context(), fault.After); lost != nil {
		return nil, lost
	}
	switch {
	case fault.Err != nil:
		return refuse(fault.Err)
	case err != nil:
		return refuse(err)
	}
	return respond(http.StatusOK, answer), nil
}

// read makes a call of an HTTP request.
func (t *transport) read(r *http.Request) (request, error) {
	q := request{Call: Call{User: t.user}, query: r.URL.Query(), content: r.Header.Get("Content-Type")}
	q.partial = strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata")
	q.Manager = q.query.Get("fieldManager")
	if q.Manager == "" {
		q.Manager = t.user
	}
	if r.Body != nil {
		defer r.Body.Close()
		var err error
		if q.body, err = io.ReadAll(r.Body); err != nil {
			return q, err
		}
	}
	q.path(strings.Split(strings.Trim(r.URL.Path, "/"), "/"))
	q.Verb = map[string]string{http.MethodGet: "get", http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete"}[r.Method]
	switch {
	case q.Verb != "get" || q.Name != "" || q.Resource.Resource == "":
	case q.query.Get("watch") == "true" || q.query.Get("watch") == "1":
		q.Verb = "watch"
	default:
		q.Verb = "list"
	}
	return q, nil
}

// path reads /api/v1/namespaces/NAMESPACE/RESOURCE/NAME/SUBRESOURCE, of which all from namespaces on may be absent, and
// its like of other groups.
func (q *request) path(parts []string) {
	next := func() (part string) {
		if len(parts) > 0 {
			part, parts = parts[0], parts[1:]
		}
		return part
	}
	if next() == "apis" {
		q.Resource.Group = next()
	}
	q.Resource.Version = next()
	if len(parts) > 2 && parts[0] == "namespaces" {
		next()
		q.Namespace = next()
	}
	q.Resource.Resource, q.Name, q.Subresource = next(), next(), next()
}

// answer carries a call out and returns what is to be sent: an object, or the reader of a watch.
func (s *Server) answer(ctx context.Context, q request) (any, error) {
	if q.Resource.Resource == "" {
		return s.discover(q.Resource.GroupVersion())
	}
	switch q.Verb {
	case "get":
		return s.read(q)
	case "list":
		return s.list(q)
	case "watch":
		return s.watch(ctx, q)
	}
	return s.write(q)
}

// failed records a write that a fault did not let through.
func (s *Server) failed(c Call, err error) {
	if c.writes() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.record(Write{Call: c, At: now(), Err: err})
	}
}

// discover lists the resources of a group version.
func (s *Server) discover(gv schema.GroupVersion) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: gv.String()}
	for _, t := range s.tables {
		if t.Resource.GroupVersion() == gv {
			list.APIResources = append(list.APIResources, metav1.APIResource{Name: t.Resource.Resource, Kind: t.Kind.Kind, Namespaced: true})
		}
	}
	if len(list.APIResources) == 0 {
		return nil, notServed()
	}
	return list, nil
}

func respond(code int, answer any) *http.Response {
	response := &http.Response{
		StatusCode: code, Status: http.StatusText(code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}},
	}
	if stream, ok := answer.(io.ReadCloser); ok {
		response.Body = stream
		return response
	}
	data, err := json.Marshal(answer)
	if err != nil {
		panic(fmt.Sprintf("an answer cannot be encoded: %v", err)) // it is made of JSON
	}
	response.Body = io.NopCloser(bytes.NewReader(data))
	return response
}

// refuse sends an API error as such; any other error is that of a broken connection.
func refuse(err error) (*http.Response, error) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return nil, err
	}
	answer := status.Status()
	answer.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	return respond(int(answer.Code), answer), nil
}

// reasonOf names an error in a word.
func reasonOf(err error) string {
	if reason := apierrors.ReasonForError(err); reason != metav1.StatusReasonUnknown {
		return string(reason)
	}
	return err.Error()
}
