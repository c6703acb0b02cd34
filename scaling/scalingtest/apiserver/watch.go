package apiserver

import (
	"context"
	"encoding/json"
	"io"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

// usualLate is how long after its change an event comes, so that the writer gets its answer first, as is usual.
const usualLate = time.Millisecond

// late is how long after their change the events of a kind come. The caller holds the lock.
func (s *Server) late(resource schema.GroupResource) time.Duration {
	if d, ok := s.lates[resource]; ok {
		return d
	}
	return usualLate
}

// DelayWatches makes every later event about a kind come that much after its change, instead of one millisecond.
func (s *Server) DelayWatches(resource schema.GroupResource, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lates[resource] = d
}

// CutWatches ends all watches of a kind, and what was under way to them is lost; the clients watch again from where they
// were.
func (s *Server) CutWatches(resource schema.GroupResource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tables[resource]; t != nil {
		close(t.cut)
		t.cut = make(chan struct{})
	}
}

// event is one line of a watch.
type event struct {
	Type   watch.EventType `json:"type"`
	Object any             `json:"object"`
}

// watcher is one watch under way.
type watcher struct {
	request
	server *Server
	table  *table
	picks  func(*unstructured.Unstructured) bool
	// version is that of the latest change that was sent.
	version int64
	cut     chan struct{}
}

// watch begins to send events. It lasts until ctx ends, the reader is closed or the watch is cut.
func (s *Server) watch(ctx context.Context, q request) (any, error) {
	picks, err := q.selector()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.table(q.Resource.GroupResource())
	if err != nil {
		return nil, err
	}
	w := &watcher{request: q, server: s, table: t, picks: picks, cut: t.cut}
	var first []event
	if from := q.query.Get("resourceVersion"); from == "" || from == "0" || q.query.Get("sendInitialEvents") == "true" {
		first, w.version = w.present(), s.version
	} else if w.version, err = strconv.ParseInt(from, 10, 64); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if w.version < t.trimmed {
		return nil, apierrors.NewResourceExpired("too old resource version: " + strconv.FormatInt(w.version, 10))
	}
	reader, writer := io.Pipe()
	go w.run(ctx, first, writer)
	return reader, nil
}

// present are the events for the objects that are there. The caller holds the lock.
func (w *watcher) present() []event {
	var events []event
	for _, object := range w.table.sorted(w.Namespace) {
		if w.picks(object) {
			events = append(events, event{watch.Added, w.shape(object)})
		}
	}
	if w.query.Get("sendInitialEvents") == "true" {
		mark := &unstructured.Unstructured{Object: map[string]any{"apiVersion": w.table.GroupVersion().String(), "kind": w.table.Kind.Kind}}
		mark.SetResourceVersion(strconv.FormatInt(w.server.version, 10))
		mark.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
		events = append(events, event{watch.Bookmark, w.shape(mark)})
	}
	return events
}

func (w *watcher) run(ctx context.Context, events []event, to *io.PipeWriter) {
	stop := context.AfterFunc(ctx, func() { _ = to.CloseWithError(ctx.Err()) }) // it returns no error
	defer stop()
	defer to.Close()
	lines := json.NewEncoder(to)
	for {
		for _, e := range events {
			if lines.Encode(e) != nil {
				return // nobody reads any more
			}
		}
		next, changed := w.next()
		events = nil
		if next != nil {
			events = next.events
			select {
			case <-ctx.Done():
				return
			case <-w.cut: // what was under way is lost
				return
			case <-time.After(time.Until(next.due)):
			}
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-w.cut:
			return
		case <-changed:
		}
	}
}

// dueEvents are the events of one change and when they are due.
type dueEvents struct {
	events []event
	due    time.Time
}

// next is the change after the latest, or what is closed once there is one.
func (w *watcher) next() (*dueEvents, <-chan struct{}) {
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	for _, c := range w.table.since(w.version) {
		w.version = c.version
		if e, ok := w.eventOf(c); ok {
			return &dueEvents{[]event{e}, c.at.Add(w.server.late(w.table.Resource.GroupResource()))}, nil
		}
	}
	return nil, w.table.changed
}

// since are the changes after a version.
func (t *table) since(version int64) []change {
	start := len(t.log)
	for start > 0 && t.log[start-1].version > version {
		start--
	}
	return t.log[start:]
}

// eventOf is what a change is for the selectors of the watch.
func (w *watcher) eventOf(c change) (event, bool) {
	was, is := w.picks(c.before), w.picks(c.after)
	switch {
	case is && was:
		return event{watch.Modified, w.shape(c.after)}, true
	case is:
		return event{watch.Added, w.shape(c.after)}, true
	case was && c.after == nil:
		return event{watch.Deleted, w.shape(c.before)}, true
	case was: // its last state has the version of the change by which it left
		gone := c.before.DeepCopy()
		gone.SetResourceVersion(strconv.FormatInt(c.version, 10))
		return event{watch.Deleted, w.shape(gone)}, true
	}
	return event{}, false
}
