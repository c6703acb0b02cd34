package app

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// apiServer is an API server in memory: discovery, reviews of the account, and objects of any kind that are created,
// updated, deleted, listed and watched by path. It ignores selectors, schemas and permissions.
type apiServer struct {
	*httptest.Server
	mu sync.Mutex
	// writes are all writes in their order. The resource version of an object is the number of writes up to its own.
	writes  []write
	objects map[string]*unstructured.Unstructured
	changed chan struct{}
	// served are the answers that never change, by path.
	served map[string]any
	// forbidden is a request that is rejected, such as "POST /api/v1/pods".
	forbidden string
	// requests counts all requests, such as "GET /api/v1/pods".
	requests map[string]int
}

type write struct {
	path, verb string
	object     *unstructured.Unstructured
}

// newAPIServer serves Deployments and Jobs. It ends with the test, after everything that was cleaned up later.
func newAPIServer(t *testing.T) *apiServer {
	t.Helper()
	kinds := func(version string, resources ...metav1.APIResource) *metav1.APIResourceList {
		return &metav1.APIResourceList{GroupVersion: version, APIResources: resources}
	}
	group := func(name string) metav1.APIGroup {
		v1 := metav1.GroupVersionForDiscovery{GroupVersion: name + "/v1", Version: "v1"}
		return metav1.APIGroup{Name: name, Versions: []metav1.GroupVersionForDiscovery{v1}, PreferredVersion: v1}
	}
	s := &apiServer{
		objects: map[string]*unstructured.Unstructured{}, changed: make(chan struct{}), requests: map[string]int{},
		served: map[string]any{
			"/api": &metav1.APIVersions{}, "/apis": &metav1.APIGroupList{Groups: []metav1.APIGroup{group("apps"), group("batch")}},
			"/apis/apps/v1":  kinds("apps/v1", metav1.APIResource{Name: "deployments", Kind: "Deployment", Namespaced: true}),
			"/apis/batch/v1": kinds("batch/v1", metav1.APIResource{Name: "jobs", Kind: "Job", Namespaced: true}),
			"/apis/authentication.k8s.io/v1/selfsubjectreviews": map[string]any{"status": map[string]any{
				"userInfo": map[string]any{"username": ownUser}}},
			"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews": map[string]any{"status": map[string]any{"allowed": true}},
		},
	}
	s.Server = httptest.NewUnstartedServer(s)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// kubeconfig writes a kubeconfig for the server and returns its path.
func (s *apiServer) kubeconfig(t *testing.T) string {
	t.Helper()
	return writeKubeconfig(t, &api.Cluster{Server: s.URL, CertificateAuthorityData: pemOf(s.Certificate())})
}

func writeKubeconfig(t *testing.T, cluster *api.Cluster) string {
	t.Helper()
	config := api.NewConfig()
	config.Clusters["test"] = cluster
	config.AuthInfos["test"] = &api.AuthInfo{Token: "token"}
	config.Contexts["test"] = &api.Context{Cluster: "test", AuthInfo: "test"}
	config.CurrentContext = "test"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// ServeHTTP implements http.Handler.
func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	request := r.Method + " " + r.URL.Path
	s.requests[request]++
	served, forbidden := s.served[r.URL.Path], s.forbidden == request
	s.mu.Unlock()
	switch {
	case forbidden:
		fail(w, apierrors.NewForbidden(schema.GroupResource{}, "", errors.New("the test forbids it")))
	case served != nil:
		reply(w, http.StatusOK, served)
	case r.URL.Query().Get("sendInitialEvents") != "":
		fail(w, apierrors.NewInvalid(schema.GroupKind{}, "", nil)) // as a server without streaming lists does
	case r.URL.Query().Get("watch") != "":
		s.watch(w, r)
	default:
		s.serveObject(w, r)
	}
}

// serveObject answers a request for one object, or for a list.
func (s *apiServer) serveObject(w http.ResponseWriter, r *http.Request) {
	given := &unstructured.Unstructured{}
	if r.Method == http.MethodPost || r.Method == http.MethodPut {
		var err error
		if given, err = read(r.Body); err != nil {
			fail(w, apierrors.NewBadRequest(err.Error()))
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	path := r.URL.Path
	if r.Method == http.MethodPost {
		path += "/" + cmp.Or(given.GetName(), given.GetGenerateName())
	}
	found := s.objects[path]
	switch {
	case r.Method == http.MethodGet && found == nil && !isObject(path):
		list := map[string]any{"metadata": map[string]any{"resourceVersion": strconv.Itoa(len(s.writes))}, "items": s.list(path)}
		if strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadataList") {
			list["kind"], list["apiVersion"] = "PartialObjectMetadataList", "meta.k8s.io/v1"
		}
		reply(w, http.StatusOK, list)
	case r.Method == http.MethodPost && found != nil:
		fail(w, apierrors.NewAlreadyExists(schema.GroupResource{}, path))
	case r.Method != http.MethodPost && found == nil:
		fail(w, apierrors.NewNotFound(schema.GroupResource{}, path))
	case r.Method == http.MethodPut && given.GetResourceVersion() != found.GetResourceVersion():
		fail(w, apierrors.NewConflict(schema.GroupResource{}, path, nil))
	case r.Method == http.MethodGet:
		reply(w, http.StatusOK, found)
	case r.Method == http.MethodDelete:
		s.write(path, "DELETED", found.DeepCopy())
		reply(w, http.StatusOK, found)
	default:
		s.write(path, map[bool]string{true: "ADDED", false: "MODIFIED"}[found == nil], given)
		reply(w, http.StatusOK, given)
	}
}

// isObject says whether a path ends with the name of an object. It then has a name for each resource, as in
// namespaces/NAME/leases/NAME.
func isObject(path string) bool {
	parts := strings.Split(strings.TrimPrefix(strings.TrimPrefix(path, "/apis"), "/api/v1"), "/")
	if strings.HasPrefix(path, "/apis/") {
		parts = parts[2:]
	}
	return len(parts)%2 == 1
}

// write stores an object and tells the watches. The caller holds s.mu.
func (s *apiServer) write(path, verb string, object *unstructured.Unstructured) {
	object.SetResourceVersion(strconv.Itoa(len(s.writes) + 1))
	s.writes = append(s.writes, write{path, verb, object})
	s.objects[path] = object
	if verb == "DELETED" {
		delete(s.objects, path)
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// list returns the objects of a collection, by name. The caller holds s.mu.
func (s *apiServer) list(path string) []*unstructured.Unstructured {
	items := []*unstructured.Unstructured{}
	for name, object := range s.objects {
		if filepath.Dir(name) == path {
			items = append(items, object)
		}
	}
	slices.SortFunc(items, func(a, b *unstructured.Unstructured) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return items
}

// watch sends the writes to a collection until the client leaves.
func (s *apiServer) watch(w http.ResponseWriter, r *http.Request) {
	next, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	w.Header().Set("Content-Type", "application/json")
	for {
		w.(http.Flusher).Flush()
		s.mu.Lock()
		writes, changed := s.writes[next:], s.changed
		s.mu.Unlock()
		for _, write := range writes {
			if next++; filepath.Dir(write.path) == r.URL.Path {
				_ = json.NewEncoder(w).Encode(map[string]any{"type": write.verb, "object": write.object})
			}
		}
		w.(http.Flusher).Flush()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// read decodes an object from JSON or protobuf.
func read(body io.Reader) (*unstructured.Unstructured, error) {
	content, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	object, kind, err := scheme.Codecs.UniversalDeserializer().Decode(content, nil, nil)
	if err != nil {
		return nil, err
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	result := &unstructured.Unstructured{Object: fields}
	result.SetGroupVersionKind(*kind)
	return result, err
}

func reply(w http.ResponseWriter, status int, object any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(object)
}

func fail(w http.ResponseWriter, err *apierrors.StatusError) {
	err.ErrStatus.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	reply(w, int(err.ErrStatus.Code), err.ErrStatus)
}

// add stores an object in a collection.
func (s *apiServer) add(collection string, fields map[string]any) {
	object := &unstructured.Unstructured{Object: fields}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write(collection+"/"+object.GetName(), "ADDED", object)
}

// forbid makes the server reject a request and no other one.
func (s *apiServer) forbid(request string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forbidden = request
}

// leases returns the holder of each Lease of the namespace.
func (s *apiServer) leases() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	holders := map[string]string{}
	for _, lease := range s.list("/apis/coordination.k8s.io/v1/namespaces/autoscale-system/leases") {
		holders[lease.GetName()], _, _ = unstructured.NestedString(lease.Object, "spec", "holderIdentity")
	}
	return holders
}

// asked says how often a request came.
func (s *apiServer) asked(request string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[request]
}
