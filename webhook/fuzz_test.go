package webhook_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"autoscale.io/annotations"
)

// changeable is a part of an object that the fuzzer writes.
type changeable struct {
	setting, trigger, state, label string
	replicas                       int32
}

// maxCount is beyond any real workload, and what a state may hold.
const maxCount = 1_000_000

func (c changeable) object(configured bool) object {
	o := object{uid: uid, replicas: c.replicas % maxCount, annotations: map[string]string{}}
	if key, value, ok := strings.Cut(c.setting, "="); configured && ok {
		o.annotations = with(key, value, "trigger.orders", c.trigger)
	}
	if c.state != "" {
		o.annotations[annotations.StateKey] = c.state
	}
	if c.label != "" {
		o.labels = map[string]string{annotations.Bucket: c.label}
	}
	return o
}

// FuzzReview holds for all pairs of objects: nothing panics; the answer applies, and reviewed again changes nothing and warns of no new
// fault; an UPDATE whose annotations did not change is admitted; a managed object is stamped and its count is the live one or within the bounds; and
// an unmanaged one has nothing of ours.
func FuzzReview(f *testing.F) {
	settings := []string{"max-replicas=5", "min-replicas=0", "pause=true", "dry-run=true", "class=blue", "on-removal=restore", "idle-replicas=0", "cooldwn=1", ""}
	for i, setting := range settings {
		next := settings[(i+1)%len(settings)]
		f.Add(setting, trigger, slept, bucket, int32(0), next, trigger, "", "", int32(1), uint8(0b111))
		f.Add(setting, trigger, before, bucket, int32(6), next, "{type: queue}", slept, "blue.01", int32(2), uint8(0b011))
		f.Add(setting, trigger, `{"replicas":0}`, "", int32(0), next, "", "{", bucket, int32(0), uint8(0b101))
		f.Add(setting, trigger, "", "", int32(6), setting, trigger, "", "", int32(6), uint8(0b110))
	}
	f.Fuzz(func(t *testing.T, setting1, trigger1, state1, label1 string, replicas1 int32, setting2, trigger2, state2, label2 string, replicas2 int32, flags uint8) {
		oldObject := changeable{setting1, trigger1, state1, label1, replicas1}.object(flags&1 != 0)
		newObject := changeable{setting2, trigger2, state2, label2, replicas2}.object(flags&2 != 0)
		var old []byte
		if flags&4 != 0 {
			old = oldObject.raw(t)
		}
		new := newObject.raw(t)
		h := handler(t, reviewer(), prometheus.NewRegistry())
		response := answer(t, h, ask(t, person, old, new))
		if !response.Allowed {
			if old != nil && maps.Equal(oldObject.annotations, newObject.annotations) {
				t.Fatalf("an UPDATE that leaves the annotations %q is denied: %s", newObject.annotations, response.Result.Message)
			}
			return
		}
		stored := apply(t, response, new)
		again := answer(t, h, ask(t, person, old, stored))
		if again.Patch != nil || !again.Allowed {
			t.Fatalf("old %s\nnew %s\nstored %s\nis changed again by %s", old, new, stored, again.Patch)
		}
		var after stub
		if err := json.Unmarshal(stored, &after); err != nil {
			t.Fatal(err)
		}
		wantSound(t, oldObject, old != nil, newObject, after)
		if oldObject.annotations["autoscale.io/class"] != "" {
			return // another install's leftovers are ours to clean at the next request only
		}
		// The next request that changes nothing is stored as it is.
		if next := answer(t, h, ask(t, person, stored, stored)); !next.Allowed || next.Patch != nil {
			t.Fatalf("stored %s\nis changed by an empty UPDATE: %s", stored, next.Patch)
		}
	})
}

// stub is what the test looks at of a stored object.
type stub struct {
	Metadata struct{ Labels, Annotations map[string]string }
	Spec     struct{ Replicas int32 }
}

func (s stub) configured() bool { return annotations.Configured(s.Metadata.Annotations) }
func (s stub) class() string    { return s.Metadata.Annotations["autoscale.io/class"] }

func known(s stub) bool {
	_, ok := annotations.ReadState(s.Metadata.Annotations, uid)
	return ok
}

func wantSound(t *testing.T, old object, update bool, new object, after stub) {
	t.Helper()
	managed := after.configured() && after.class() == ""
	if label := after.Metadata.Labels[annotations.Bucket]; managed && (label != bucket || !known(after)) {
		t.Fatalf("a managed object is stored with the label %q and the state %q", label, after.Metadata.Annotations[annotations.StateKey])
	}
	if !managed || !update {
		return
	}
	decoded := annotations.Decode(new.annotations, sources{}).Workload.Settings
	live, asked, stored := old.replicas.(int32), new.replicas.(int32), after.Spec.Replicas
	if live < 0 || asked < 0 || decoded.DryRun {
		if stored != asked {
			t.Fatalf("a dry run, or a count that cannot be, turned %d into %d", asked, stored)
		}
		return
	}
	if stored != live && (stored != max(min(live, decoded.MaxReplicas), decoded.MinReplicas) && decoded.IdleReplicas == nil) {
		t.Fatalf("the live count %d became %d within %d to %d", live, stored, decoded.MinReplicas, decoded.MaxReplicas)
	}
}

// FuzzHandle holds for all bytes: nothing panics, and what cannot be read is admitted.
func FuzzHandle(f *testing.F) {
	f.Add([]byte(`{"metadata":{"annotations":{"autoscale.io/max-replicas":"1"}},"spec":null}`), []byte(`{"metadata":null}`))
	f.Add([]byte(`{"metadata":{"labels":null,"annotations":{}},"spec":{"replicas":1e3}}`), []byte(`{"spec":{"replicas":"1"}}`))
	f.Add([]byte(`null`), []byte(``))
	f.Fuzz(func(t *testing.T, old, new []byte) {
		h := handler(t, reviewer(), prometheus.NewRegistry())
		for _, before := range [][]byte{nil, old} {
			response := answer(t, h, ask(t, person, before, new))
			if response.Allowed && response.Patch != nil && json.Valid(new) {
				apply(t, response, new)
			}
			if len(response.Warnings) > 0 && strings.Contains(response.Warnings[0], "could not check") {
				t.Fatalf("old %q\nnew %q\nmade it panic", before, new)
			}
		}
	})
}
