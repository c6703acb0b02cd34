package webhook_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"autoscale.io/annotations"
	"autoscale.io/webhook"
)

// jobObject is a Job or a CronJob shop/worker.
type jobObject struct {
	annotations map[string]string
	labels      map[string]string
	owner       *metav1.OwnerReference
	spec        map[string]any
}

func (o jobObject) raw(t *testing.T) []byte {
	t.Helper()
	metadata := map[string]any{"name": "worker", "namespace": "shop", "uid": uid, "labels": map[string]string{}, "annotations": map[string]string{}}
	if o.labels != nil {
		metadata["labels"] = o.labels
	}
	if o.annotations != nil {
		metadata["annotations"] = o.annotations
	}
	if o.owner != nil {
		metadata["ownerReferences"] = []metav1.OwnerReference{*o.owner}
	}
	data, err := json.Marshal(map[string]any{"metadata": metadata, "spec": o.spec})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// jobSpec is a spec with content that is never ours; pairs are more fields.
func jobSpec(pairs ...any) map[string]any {
	spec := map[string]any{"completions": 50, "selector": map[string]any{"a": "b"}, "template": map[string]any{"spec": map[string]any{"parallelism": 9, "suspend": false}}}
	for i := 0; i < len(pairs); i += 2 {
		spec[pairs[i].(string)] = pairs[i+1]
	}
	return spec
}

// jobBucket is the label of the Job, cronBucket that of the CronJob.
var (
	jobBucket  = map[string]string{annotations.Bucket: annotations.BucketOf("batch", "Job", "shop", "worker")}
	cronBucket = map[string]string{annotations.Bucket: annotations.BucketOf("batch", "CronJob", "shop", "worker")}
)

// managedJob is a Job in the cluster that was adopted at 3.
func managedJob(spec map[string]any, pairs ...string) *jobObject {
	return &jobObject{labels: jobBucket, annotations: with(append([]string{"state", before}, pairs...)...), spec: spec}
}

// jobCase is one request and what must come of it.
type jobCase struct {
	name     string
	kind     string // Job when empty
	old      *jobObject
	new      jobObject
	labels   map[string]string
	spec     map[string]any
	warnings []string
	denied   string
}

func (c jobCase) run(t *testing.T, r webhook.Reviewer) {
	t.Helper()
	h := handler(t, r, prometheus.NewRegistry())
	kind := metav1.GroupVersionKind{Group: "batch", Version: "v1", Kind: "Job"}
	if c.kind != "" {
		kind.Kind = c.kind
	}
	send := func(new []byte) admission.Response {
		var old []byte
		if c.old != nil {
			old = c.old.raw(t)
		}
		request := ask(t, person, old, new)
		request.Kind = kind
		return answer(t, h, request)
	}
	response := send(c.new.raw(t))
	if c.denied != "" {
		wantDenied(t, response, c.denied)
		return
	}
	if !response.Allowed {
		t.Fatalf("denied: %s", response.Result.Message)
	}
	stored := apply(t, response, c.new.raw(t))
	var got struct {
		Metadata struct{ Labels map[string]string }
		Spec     map[string]any
	}
	if err := json.Unmarshal(stored, &got); err != nil {
		t.Fatal(err)
	}
	if want := parsed(t, jobObject{spec: c.spec}.raw(t))["spec"]; !reflect.DeepEqual(any(got.Spec), want) {
		t.Errorf("the spec is\n     %v\nwant %v", got.Spec, want)
	}
	if !maps.Equal(got.Metadata.Labels, c.labels) {
		t.Errorf("the labels are %v, want %v", got.Metadata.Labels, c.labels)
	}
	if !slices.Equal(response.Warnings, c.warnings) {
		t.Errorf("warnings\n got %q\nwant %q", response.Warnings, c.warnings)
	}
	if again := send(stored); again.Patch != nil || !again.Allowed {
		t.Errorf("asked again about its own answer, it changes %s", again.Patch)
	}
}

func runJobs(t *testing.T, cases []jobCase, set ...func(*webhook.Reviewer)) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, reviewer(set...)) })
	}
}

func TestParallelismIsTheCountOfAJob(t *testing.T) {
	six := managedJob(jobSpec("parallelism", 6))
	owner := &metav1.OwnerReference{APIVersion: "batch/v1", Kind: "CronJob", Name: "nightly", Controller: ref(true)}
	keeps := func(asked string) []string {
		return []string{"spec.parallelism stays at 6 instead of " + asked + ", since autoscale.io manages it: leave parallelism out of the manifest; to change the count use autoscale.io/pause or the bounds"}
	}
	runJobs(t, []jobCase{
		{name: "created", new: jobObject{annotations: with(), spec: jobSpec("parallelism", 2)}, labels: jobBucket, spec: jobSpec("parallelism", 2)},
		{name: "JB-16 a child of a CronJob", new: jobObject{annotations: with(), owner: owner, spec: jobSpec("parallelism", 2)}, labels: map[string]string{}, spec: jobSpec("parallelism", 2)},
		{name: "JB-16 adopted", old: &jobObject{spec: jobSpec("parallelism", 2)}, new: jobObject{annotations: with(), spec: jobSpec("parallelism", 2)}, labels: jobBucket, spec: jobSpec("parallelism", 2)},
		{name: "applied again", old: six, new: *managedJob(jobSpec("parallelism", 2)), labels: jobBucket, spec: jobSpec("parallelism", 6), warnings: keeps("2")},
		{name: "dropped from the manifest", old: six, new: *managedJob(jobSpec()), labels: jobBucket, spec: jobSpec("parallelism", 6), warnings: keeps("1")},
		{name: "replicas mean nothing", old: six, new: *managedJob(jobSpec("parallelism", 6, "replicas", 2)), labels: jobBucket, spec: jobSpec("parallelism", 6, "replicas", 2)},
		{name: "bounds that rise", old: six, new: *managedJob(jobSpec("parallelism", 6), "min-replicas", "8"), labels: jobBucket, spec: jobSpec("parallelism", 8),
			warnings: []string{"spec.parallelism goes from 6 to 8, the nearest count within the new bounds 8 to 10"}},
		{name: "bounds that fall end no pod", old: six, new: *managedJob(jobSpec("parallelism", 6), "max-replicas", "4"), labels: jobBucket, spec: jobSpec("parallelism", 6)},
		{name: "suspended by a person", old: six, new: *managedJob(jobSpec("parallelism", 6, "suspend", true)), labels: jobBucket, spec: jobSpec("parallelism", 6, "suspend", true)},
		{name: "in a queue of Kueue", old: &jobObject{labels: map[string]string{"kueue.x-k8s.io/queue-name": "main"}, annotations: with("state", before), spec: jobSpec("parallelism", 6)},
			new:    jobObject{labels: map[string]string{"kueue.x-k8s.io/queue-name": "main"}, annotations: with("state", before), spec: jobSpec("parallelism", 2)},
			labels: with2(jobBucket, "kueue.x-k8s.io/queue-name", "main"), spec: jobSpec("parallelism", 2)},
		{name: "of another manager", new: jobObject{annotations: with(), spec: jobSpec("parallelism", 2, "managedBy", "example.com/queue")}, labels: jobBucket, spec: jobSpec("parallelism", 2, "managedBy", "example.com/queue"),
			warnings: []string{"another controller leads this Job (spec.managedBy, or the label kueue.x-k8s.io/queue-name), so its parallelism is left alone"}},
	})
}

func with2(all map[string]string, key, value string) map[string]string {
	all = maps.Clone(all)
	all[key] = value
	return all
}

func TestRemovalOnAJob(t *testing.T) {
	left := func(pairs ...any) jobObject { return jobObject{spec: jobSpec(pairs...)} }
	none := map[string]string{}
	runJobs(t, []jobCase{
		{name: "kept", old: managedJob(jobSpec("parallelism", 6)), new: left("parallelism", 6), labels: none, spec: jobSpec("parallelism", 6)},
		{name: "with parallelism dropped", old: managedJob(jobSpec("parallelism", 6)), new: left(), labels: none, spec: jobSpec("parallelism", 6),
			warnings: []string{"spec.parallelism stays at 6 instead of 1 now that autoscale.io no longer manages it; to change the count use kubectl patch"}},
		{name: "restored upwards", old: managedJob(jobSpec("parallelism", 2), "on-removal", "restore"), new: left("parallelism", 2), labels: none, spec: jobSpec("parallelism", 3),
			warnings: []string{"spec.parallelism goes from 2 to 3 now that autoscale.io no longer manages it: autoscale.io/on-removal was restore"}},
		{name: "not restored downwards", old: managedJob(jobSpec("parallelism", 6), "on-removal", "restore"), new: left("parallelism", 6), labels: none, spec: jobSpec("parallelism", 6),
			warnings: []string{"autoscale.io/on-removal was restore, but spec.parallelism stays at 6: to lower it would end pods that run"}},
		{name: "a zero of the autoscaler", old: managedJob(jobSpec("parallelism", 0), "state", slept), new: left("parallelism", 0), labels: none, spec: jobSpec("parallelism", 3),
			warnings: []string{"spec.parallelism goes from 0 to 3 now that autoscale.io no longer manages it: a zero made by the autoscaler is not left behind"}},
	})
}

func TestTemplates(t *testing.T) {
	spawn := func(suspended bool, pairs ...any) *jobObject {
		return managedJob(jobSpec(append([]any{"parallelism", 2, "suspend", suspended}, pairs...)...), "job-mode", "spawn")
	}
	cron := func(suspended bool) *jobObject {
		o := spawn(suspended)
		o.labels = cronBucket
		return o
	}
	suspended, running := jobSpec("parallelism", 2, "suspend", true), jobSpec("parallelism", 2, "suspend", false)
	const (
		stays    = "spec.suspend stays true, since this Job is a template (autoscale.io/job-mode: spawn); to run it, remove the annotations first"
		unwanted = `autoscale.io/job-mode: "spawn" takes a suspended Job as the template of Jobs, and to suspend this one now would end its pods; want it on a Job that is created with it, or spec.suspend: true`
		free     = `autoscale.io/job-mode: "spawn" takes a suspended CronJob as the template of Jobs; want spec.suspend: true`
	)
	runJobs(t, []jobCase{
		{name: "created", new: jobObject{annotations: with("job-mode", "spawn"), spec: running}, labels: jobBucket, spec: suspended,
			warnings: []string{"spec.suspend is set, since this Job is a template (autoscale.io/job-mode: spawn): it starts no pods itself, a Job is made of it for each unit of work"}},
		{name: "created suspended", new: jobObject{annotations: with("job-mode", "spawn"), spec: suspended}, labels: jobBucket, spec: suspended},
		{name: "its parallelism is content", old: spawn(true), new: *spawn(true, "parallelism", 7), labels: jobBucket, spec: jobSpec("parallelism", 7, "suspend", true)},
		{name: "suspend set to false", old: spawn(true), new: *spawn(false), labels: jobBucket, spec: suspended, warnings: []string{stays}},
		{name: "suspend dropped", old: spawn(true), new: *managedJob(jobSpec("parallelism", 2), "job-mode", "spawn"), labels: jobBucket, spec: suspended, warnings: []string{stays}},
		{name: "of a Job that runs", old: managedJob(running), new: *spawn(false), denied: "1 fault in the annotations of Job shop/worker:\n" + unwanted},
		{name: "of a Job that a person suspends with it", old: managedJob(running), new: *spawn(true), labels: jobBucket, spec: suspended},
		{name: "one that runs since before the webhook", old: spawn(false), new: *spawn(false), labels: jobBucket, spec: running, warnings: []string{"replicas are held until this is mended: " + unwanted}},
		{name: "back to resize", old: spawn(true), new: *managedJob(running), labels: jobBucket, spec: running},
		{name: "removed", old: spawn(true), new: jobObject{spec: suspended}, labels: map[string]string{}, spec: suspended,
			warnings: []string{"spec.suspend stays true now that autoscale.io no longer manages this Job; to run it, set it to false"}},
		{name: "removed with suspend", old: spawn(true), new: jobObject{spec: running}, labels: map[string]string{}, spec: suspended,
			warnings: []string{"spec.suspend stays true now that autoscale.io no longer manages this Job; to run it, set it to false"}},
		{name: "a CronJob", kind: "CronJob", new: jobObject{annotations: with("job-mode", "spawn"), spec: suspended}, labels: cronBucket, spec: suspended},
		{name: "a CronJob that runs", kind: "CronJob", new: jobObject{annotations: with("job-mode", "spawn"), spec: running}, denied: "1 fault in the annotations of CronJob shop/worker:\n" + free},
		{name: "a CronJob that is to run again", kind: "CronJob", old: cron(true), new: *cron(false), denied: "1 fault in the annotations of CronJob shop/worker:\n" + free},
		{name: "a CronJob that runs since before the webhook", kind: "CronJob", old: cron(false), new: *cron(false), labels: cronBucket, spec: running, warnings: []string{"replicas are held until this is mended: " + free}},
		{name: "a CronJob, removed", kind: "CronJob", old: cron(true), new: jobObject{spec: suspended}, labels: map[string]string{}, spec: suspended,
			warnings: []string{"spec.suspend stays true now that autoscale.io no longer manages this CronJob; to run it, set it to false"}},
		{name: "a CronJob, removed and running", kind: "CronJob", old: cron(true), new: jobObject{spec: running}, labels: map[string]string{}, spec: running},
	})
}

func TestAnUnmanagedKindIsWarnedOf(t *testing.T) {
	may := func(r *webhook.Reviewer) {
		r.Unmanaged = func(group, kind string) string {
			if group == "batch" && kind == "Job" {
				return "no rights"
			}
			return ""
		}
	}
	text := []string{"the annotations autoscale.io/… have no effect on this Job: no rights"}
	runJobs(t, []jobCase{
		{name: "created", new: jobObject{annotations: with(), spec: jobSpec("parallelism", 2)}, labels: map[string]string{}, spec: jobSpec("parallelism", 2), warnings: text},
		{name: "a template", new: jobObject{annotations: with("job-mode", "spawn"), spec: jobSpec()}, labels: map[string]string{}, spec: jobSpec(), warnings: text},
		{name: "an update", old: managedJob(jobSpec("parallelism", 6)), new: *managedJob(jobSpec("parallelism", 2)), labels: jobBucket, spec: jobSpec("parallelism", 2), warnings: text},
		{name: "removed", old: managedJob(jobSpec("parallelism", 6)), new: jobObject{spec: jobSpec("parallelism", 6)}, labels: map[string]string{}, spec: jobSpec("parallelism", 6)},
	}, may)
}
