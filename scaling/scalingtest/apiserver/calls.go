package apiserver

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Call is one request.
type Call struct {
	User string
	// Verb is that of RBAC: get, list, watch, create, update, patch or delete.
	Verb            string
	Resource        schema.GroupVersionResource
	Subresource     string
	Namespace, Name string
	// Manager is the field manager of a write.
	Manager string
}

// String is "patch deployments.apps/scale".
func (c Call) String() string {
	text := c.Verb + " " + c.Resource.GroupResource().String()
	if c.Subresource != "" {
		text += "/" + c.Subresource
	}
	return text
}

// writes says whether a call may change something.
func (c Call) writes() bool { return !slices.Contains([]string{"get", "list", "watch"}, c.Verb) }

// Write is a call that changed something or tried to.
type Write struct {
	Call
	At time.Time
	// Before and After are the object around the write; After is nil when it was deleted or the write failed, Before
	// when it was created.
	Before, After *unstructured.Unstructured
	// Err is why the write failed; nil when it had an effect, even if its answer was lost.
	Err error
}

// String says what was written: "patch deployments.apps/scale replicas=5", "patch jobs.batch parallelism=2", "patch
// deployments.apps annotations=autoscale.io/state", "delete jobs.batch", "patch deployments.apps/scale: Conflict". A
// label or annotation that was removed has a minus before it.
func (w Write) String() string {
	text := w.Call.String()
	switch {
	case w.Err != nil:
		return text + ": " + reasonOf(w.Err)
	case w.After == nil || w.Verb == "create":
		return text
	}
	for _, field := range []string{"replicas", "parallelism", "suspend"} {
		before, _, _ := unstructured.NestedFieldNoCopy(w.Before.Object, "spec", field)
		after, _, _ := unstructured.NestedFieldNoCopy(w.After.Object, "spec", field)
		if before != after {
			text += fmt.Sprintf(" %s=%v", field, after)
		}
	}
	if keys := changedKeys(w.Before.GetLabels(), w.After.GetLabels()); len(keys) > 0 {
		text += " labels=" + strings.Join(keys, ",")
	}
	if keys := changedKeys(w.Before.GetAnnotations(), w.After.GetAnnotations()); len(keys) > 0 {
		text += " annotations=" + strings.Join(keys, ",")
	}
	return text
}

func changedKeys(before, after map[string]string) []string {
	var keys []string
	for key, value := range after {
		if old, ok := before[key]; !ok || old != value {
			keys = append(keys, key)
		}
	}
	for key := range before {
		if _, ok := after[key]; !ok {
			keys = append(keys, "-"+key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Writes are all writes so far that match, in order.
func (s *Server) Writes(match func(Write) bool) []Write {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []Write
	for _, w := range s.writes {
		if match(w) {
			found = append(found, w)
		}
	}
	return found
}

// record notes a write. Leases are written so often that a day of them would be most of what is kept, so they are left
// out.
func (s *Server) record(w Write) {
	if w.Resource.Resource == "leases" {
		return
	}
	s.writes = append(s.writes, w)
}

// Fault is what happens to calls instead of their usual answer.
type Fault struct {
	// Match picks the calls.
	Match func(Call) bool
	// Skip lets that many calls pass before the first fault. Times is how many calls fail then; 0 means all, until the
	// fault is removed.
	Skip, Times int
	// Before and After let time pass before a call takes effect, and between that and the answer. The context of the
	// call may end it.
	Before, After time.Duration
	// Err is the answer: an API error, or what a broken connection would say. Nil means the usual answer.
	Err error
	// TakesEffect says that a call with an Err takes effect all the same, so that its answer alone is lost.
	TakesEffect bool
}

// Inject adds a fault and returns what removes it. Of several faults that match a call the oldest counts.
func (s *Server) Inject(f Fault) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	added := &f
	s.faults = append(s.faults, added)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.faults = slices.DeleteFunc(s.faults, func(f *Fault) bool { return f == added })
	}
}

// fault is what is wrong with a call; the zero Fault when nothing is.
func (s *Server) fault(c Call) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if !f.Match(c) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		found := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				s.faults = slices.DeleteFunc(s.faults, func(other *Fault) bool { return other == f })
			}
		}
		return found
	}
	return Fault{}
}

// pause lets time pass, unless the call is given up before.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
