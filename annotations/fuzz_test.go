package annotations_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"autoscale.io/annotations"
)

// FuzzDecode holds for all annotations: nothing panics; the same input gives the same result; faults are in order, on one line each and quote no
// secret; and a workload without faults can be written and is read back as it was.
func FuzzDecode(f *testing.F) {
	for _, trigger := range []string{goodTrigger, "type: queue-cluster\naddressFromEnv: A\nstream: b\npendingEntriesCount: 1", "{type: clock, start: a, target: 1}", "{type: queue, tls: {ca: x}, hosts: [a]}"} {
		f.Add("min-replicas", "0", trigger)
		f.Add("pause", "true", trigger)
		f.Add("pause-until", "9999-12-31T23:59:59-01:00", trigger)
		f.Add("cooldown", "1h1m1s1ms", trigger)
		f.Add("behavior", "{scaleDown: {stabilizationWindowSeconds: 60, tolerance: 0.1, policies: [{type: Pods, value: 1, periodSeconds: 1}]}}", trigger)
		f.Add("trigger.b", trigger, trigger)
		f.Add("guard.b", "{type: clock, start: a, limit: 1}", trigger)
		f.Add("fallback", "{replicas: 6, behavior: static}", trigger)
		f.Add("formula", "{expression: 'a + 2*(a ?? 0)', target: 10}", trigger)
		f.Add("job-mode", "spawn", trigger)
		f.Add("job-strategy", "{strategy: custom, runningJobPercentage: 0.5, pendingPodConditions: [Ready]}", trigger)
		f.Add("schedule.x", "{start: 0 8 * * 1-5, end: 0 20 * * 1-5, timezone: Europe/Berlin, min: 5, max: 20}", trigger)
	}
	f.Fuzz(func(t *testing.T, key, text, trigger string) {
		given := map[string]string{"autoscale.io/max-replicas": "10", "autoscale.io/trigger.a": trigger, annotations.Prefix + key: text}
		if strings.HasPrefix(key, "job-") && key != "job-mode" {
			given["autoscale.io/job-mode"] = "spawn"
		}
		result := annotations.Decode(given, types{})
		if again := annotations.Decode(given, types{}); !reflect.DeepEqual(result, again) {
			t.Fatalf("%q was decoded differently:\n%+v\n%+v", given, result, again)
		}
		texts := result.Faults.Texts()
		if !slices.IsSorted(texts) || slices.Contains(texts, "") {
			t.Errorf("faults of %q: %q", given, texts)
		}
		for _, fault := range result.Faults {
			if fault.Text == "" || strings.ContainsAny(fault.Problem.String(), "\n\r") {
				t.Errorf("fault of %q is not one line: %q", given, fault.Problem)
			}
		}
		if len(result.Faults) > 0 {
			return
		}
		written := result.Workload.Annotations()
		read := annotations.Decode(written, types{})
		if len(read.Faults) > 0 || !read.Workload.Equal(result.Workload) {
			t.Errorf("%q was decoded as %+v\nwritten as %q\nand read as %+v, %s", given, result.Workload, written, read.Workload, read.Faults)
		}
	})
}

// FuzzSecret: no fault quotes what stands where a secret is meant to.
func FuzzSecret(f *testing.F) {
	const canary = "hunter2"
	keys := []string{"password", "pw", "pasword", "passwordFrom", "tls"}
	for _, around := range []string{"'%'", "%", "{%}", "[%]", "{%: %}", "*%", "&%", "!%", "!!int %", "!!binary %", "a,%", "|\n  %", "%\npassword: %", "%}\n---\n{a: %"} {
		for i := range keys {
			f.Add(uint8(i), around)
		}
	}
	f.Fuzz(func(t *testing.T, i uint8, around string) {
		if looksLikeAKey(around) {
			return
		}
		key := keys[int(i)%len(keys)]
		text := "{type: queue, address: a, stream: b, target: 1, " + key + ": " + strings.ReplaceAll(around, "%", canary) + "}"
		for _, fault := range annotations.Decode(with("trigger.orders", text), types{}).Faults.Texts() {
			if strings.Contains(fault, canary) {
				t.Errorf("the fault of %q quotes the secret: %s", text, fault)
			}
		}
	})
}

// looksLikeAKey leaves out texts that close the value and open another parameter, which is no secret any more.
func looksLikeAKey(text string) bool { return strings.ContainsAny(text, ":,}") }
