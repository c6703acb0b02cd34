package annotations_test

import (
	"strings"
	"testing"
	"time"

	"autoscale.io/annotations"
)

func state(text string) map[string]string { return map[string]string{annotations.StateKey: text} }

// Only a state that can be checked is believed (AN-09).
func TestReadState(t *testing.T) {
	three, adopted := int32(3), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	whole := annotations.State{UID: "u1", Replicas: &three, Adopted: adopted, Zero: true}
	const text = `{"uid":"u1","replicas":3,"adopted":"2026-01-02T03:04:05Z","zero":true}`
	for _, c := range []struct {
		name, text string
		want       annotations.State
		ok         bool
	}{
		{"our own", text, whole, true},
		{"another zone", strings.Replace(text, "03:04:05Z", "04:04:05+01:00", 1), whole, true},
		{"nothing known", "{}", annotations.State{}, true},
		{"another object's", strings.Replace(text, "u1", "u2", 1), annotations.State{}, false},
		{"from before there was a UID", `{"replicas":3,"adopted":"2026-01-02T03:04:05Z","zero":true}`, annotations.State{Replicas: &three}, true},
		{"empty", "", annotations.State{}, false},
		{"broken", `{"uid":"u1","replicas":3`, annotations.State{}, false},
		{"text after it", text + "x", annotations.State{}, false},
		{"wrong kind", `{"uid":"u1","replicas":"3"}`, annotations.State{}, false},
		{"negative count", `{"uid":"u1","replicas":-1}`, annotations.State{}, false},
		{"huge count", `{"uid":"u1","replicas":1000001}`, annotations.State{}, false},
		{"count beyond 32 bits", `{"uid":"u1","replicas":4294967296}`, annotations.State{}, false},
		{"fraction", `{"uid":"u1","replicas":1.5}`, annotations.State{}, false},
		{"no time", `{"uid":"u1","adopted":"yesterday"}`, annotations.State{}, false},
		{"a year that cannot be written again", `{"uid":"u1","adopted":"9999-12-31T23:59:59-01:00"}`, annotations.State{}, false},
		{"a year before the calendar", `{"uid":"u1","adopted":"0001-01-01T00:00:00+01:00"}`, annotations.State{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := annotations.ReadState(state(c.text), "u1")
			wantEqual(t, "ok", ok, c.ok)
			wantEqual(t, "state", got, c.want)
		})
	}
	_, ok := annotations.ReadState(nil, "u1")
	wantEqual(t, "ok without the annotation", ok, false)
	_, ok = annotations.ReadState(state(text), "")
	wantEqual(t, "ok for an object without a UID", ok, false)
}

func TestStateIsWrittenCompactly(t *testing.T) {
	zero := int32(0)
	for _, c := range []struct {
		state annotations.State
		want  string
	}{
		{annotations.State{}, `{}`},
		{annotations.State{UID: "u", Replicas: &zero, Zero: true}, `{"uid":"u","replicas":0,"zero":true}`},
		{annotations.State{Adopted: time.Date(2026, 1, 2, 3, 4, 5, 999, time.FixedZone("", 3600))}, `{"adopted":"2026-01-02T02:04:05Z"}`},
		{annotations.State{Adopted: time.Unix(0, 0)}, `{}`},
		{annotations.State{Adopted: time.Date(20_000, 1, 1, 0, 0, 0, 0, time.UTC)}, `{}`},
	} {
		wantEqual(t, "text", c.state.String(), c.want)
	}
}

func TestNobodyWasAdoptedInTheFuture(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for adopted, want := range map[time.Time]time.Time{
		now.Add(time.Hour):  now,
		now.Add(-time.Hour): now.Add(-time.Hour),
		{}:                  {},
	} {
		wantEqual(t, "adopted", annotations.State{Adopted: adopted}.AdoptedBy(now), want)
	}
}

func FuzzReadState(f *testing.F) {
	f.Add(`{"uid":"u1","replicas":3,"adopted":"2026-01-02T03:04:05Z","zero":true}`)
	f.Add(`{"adopted":"9999-12-31T23:59:59-01:00"}`)
	f.Add(`{"adopted":"0000-01-01T00:00:00Z"}`)
	f.Add(`{"replicas":1e3}`)
	f.Fuzz(func(t *testing.T, text string) {
		read, ok := annotations.ReadState(state(text), "u1")
		if !ok {
			return
		}
		again, ok := annotations.ReadState(state(read.String()), "u1")
		if !ok || again.String() != read.String() {
			t.Errorf("%q was read, written as %s and read as %s, %v", text, read, again, ok)
		}
	})
}

func TestBuckets(t *testing.T) {
	seen := map[string]int{}
	for i := range 1000 {
		name := strings.Repeat("n", i%253+1)
		bucket := annotations.BucketOf("apps", "Deployment", "team", name+string(rune('a'+i%26)))
		if len(bucket) != 2 || bucket < "00" || bucket >= annotations.BucketName(annotations.Buckets) {
			t.Fatalf("bucket %q, want two digits below %d", bucket, annotations.Buckets)
		}
		seen[bucket]++
	}
	for number := range annotations.Buckets {
		if n := seen[annotations.BucketName(number)]; n < 30 {
			t.Errorf("bucket %02d got %d of 1000 names, want a fair share", number, n)
		}
	}
	// A released bucket must never move: the label on every object in every cluster would be wrong.
	wantEqual(t, "bucket", annotations.BucketOf("apps", "Deployment", "default", "web"), "10")
	if annotations.BucketOf("apps", "Deployment", "a", "b") == annotations.BucketOf("apps", "StatefulSet", "a", "b") &&
		annotations.BucketOf("apps", "Deployment", "a", "c") == annotations.BucketOf("apps", "StatefulSet", "a", "c") {
		t.Error("the kind does not count")
	}
}

func TestConfigured(t *testing.T) {
	for _, c := range []struct {
		key  string
		want bool
	}{
		{"autoscale.io/max-replicas", true}, {"autoscale.io/colour", true}, {"autoscale.io/", true},
		{annotations.StateKey, false}, {annotations.StatusKey, false}, {"autoscale.iox/a", false}, {"example.com/autoscale.io/a", false},
	} {
		wantEqual(t, c.key, annotations.Configured(map[string]string{"a": "b", c.key: ""}), c.want)
	}
	wantEqual(t, "nothing", annotations.Configured(nil), false)
}
