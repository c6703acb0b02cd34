package apiserver

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// Kind is a kind of objects that the server serves.
type Kind struct {
	schema.GroupVersionKind
	Resource schema.GroupVersionResource
	// Workload says that writes pass admission.
	Workload bool
	// Compute makes an object of one of another kind at each read, as an aggregated API does; nil leaves it out. Of is
	// that kind.
	Compute func(*unstructured.Unstructured) *unstructured.Unstructured
	Of      schema.GroupResource
}

// Server is an API server. It is safe for concurrent use.
type Server struct {
	mu      sync.Mutex
	version int64
	uids    int64
	tables  map[schema.GroupResource]*table
	faults  []*Fault
	// lates is how long after their change the events of a kind come, where that is not usualLate.
	lates  map[schema.GroupResource]time.Duration
	writes []Write
	admit  Admission
	// warnings are those of admission.
	warnings []string
}

// table holds the objects of one kind.
type table struct {
	Kind
	objects map[types.NamespacedName]*unstructured.Unstructured
	// log has the latest changes, oldest first, and trimmed is the resource version of the latest that it has no more.
	log     []change
	trimmed int64
	// changed is closed and replaced at each change; cut is closed and replaced to end all watches.
	changed, cut chan struct{}
}

// change is one change of an object; before or after is nil when it was created or deleted.
type change struct {
	version       int64
	at            time.Time
	before, after *unstructured.Unstructured
}

// logged is how many changes of a kind can be watched afterwards.
const logged = 1000

// New returns a server of the built-in kinds that the autoscaler works with.
func New() *Server {
	s := &Server{version: 1, tables: map[schema.GroupResource]*table{}, lates: map[schema.GroupResource]time.Duration{}}
	for _, k := range builtin() {
		s.Serve(k)
	}
	return s
}

// Serve adds a kind, as the installation of a CustomResourceDefinition does.
func (s *Server) Serve(kind Kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tables[kind.Resource.GroupResource()] = &table{
		Kind: kind, objects: map[types.NamespacedName]*unstructured.Unstructured{}, changed: make(chan struct{}), cut: make(chan struct{}),
		trimmed: s.version,
	}
}

// Remove ceases to serve a kind.
func (s *Server) Remove(resource schema.GroupResource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tables[resource]; t != nil {
		close(t.cut)
		delete(s.tables, resource)
	}
}

// Admission answers for a write of a workload. It returns the object to be stored, warnings, or why the write is
// denied. It must not call the server.
type Admission func(Call, Objects) (*unstructured.Unstructured, []string, error)

// Objects are an object before and after a write; Old is nil for a new one.
type Objects struct{ Old, New *unstructured.Unstructured }

// Admit sets the admission of workloads; nil removes it.
func (s *Server) Admit(admit Admission) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.admit = admit
}

// Warnings are those of all admissions so far.
func (s *Server) Warnings() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.warnings)
}

func (s *Server) table(resource schema.GroupResource) (*table, error) {
	if t := s.tables[resource]; t != nil {
		return t, nil
	}
	return nil, notServed()
}

// notServed is the answer for a path that the server does not know.
func notServed() error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound,
		Message: "the server could not find the requested resource",
	}}
}

func (t *table) get(c Call) (*unstructured.Unstructured, error) {
	if found := t.objects[types.NamespacedName{Namespace: c.Namespace, Name: c.Name}]; found != nil {
		return found, nil
	}
	return nil, apierrors.NewNotFound(c.Resource.GroupResource(), c.Name)
}

// store keeps an object with a new resource version and tells the watches. The caller holds the lock.
func (s *Server) store(t *table, before, after *unstructured.Unstructured) {
	s.version++
	if after != nil {
		after.SetResourceVersion(strconv.FormatInt(s.version, 10))
		t.objects[keyOf(after)] = after
	} else {
		// The last state of a deleted object has the resource version of its deletion.
		before = before.DeepCopy()
		before.SetResourceVersion(strconv.FormatInt(s.version, 10))
		delete(t.objects, keyOf(before))
	}
	t.log = append(t.log, change{s.version, time.Now(), before, after})
	if len(t.log) > 2*logged {
		t.trimmed = t.log[len(t.log)-logged-1].version
		t.log = slices.Clone(t.log[len(t.log)-logged:])
	}
	close(t.changed)
	t.changed = make(chan struct{})
}

func keyOf(object *unstructured.Unstructured) types.NamespacedName {
	return types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
}

// newUID is the next of a series, so that a test that is run again has the same.
func (s *Server) newUID() types.UID {
	s.uids++
	return types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", s.uids))
}

// builtin are the kinds of a cluster without extensions.
func builtin() []Kind {
	kind := func(group, version, name, resource string) Kind {
		gv := schema.GroupVersion{Group: group, Version: version}
		return Kind{GroupVersionKind: gv.WithKind(name), Resource: gv.WithResource(resource)}
	}
	workload := func(k Kind) Kind {
		k.Workload = true
		return k
	}
	return []Kind{
		workload(kind("apps", "v1", "Deployment", "deployments")),
		workload(kind("apps", "v1", "StatefulSet", "statefulsets")),
		workload(kind("batch", "v1", "Job", "jobs")),
		workload(kind("batch", "v1", "CronJob", "cronjobs")),
		kind("apps", "v1", "ReplicaSet", "replicasets"),
		kind("", "v1", "Pod", "pods"),
		kind("", "v1", "Secret", "secrets"),
		kind("", "v1", "ConfigMap", "configmaps"),
		kind("coordination.k8s.io", "v1", "Lease", "leases"),
		kind("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
	}
}
