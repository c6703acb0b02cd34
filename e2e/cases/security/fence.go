package security

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"autoscale.io/annotations"
	"autoscale.io/e2e/product"
	"autoscale.io/e2e/world"
)

func fenceCases() []world.Case {
	return []world.Case{
		{ID: "AU-fence", Symptom: "who takes over the autoscaler, or its token, may patch every workload: an image, a command, an owner", Holds: "an admission policy refuses everything but its own label, state and status, and the parallelism of a Job", In: world.Test, Refused: true, Run: fencedPatches},
		{ID: "AU-fence-jobs", Symptom: "an autoscaler that may create and delete Jobs may create and delete any", Holds: "only those that a template has", In: world.Test, Run: fencedJobs},
	}
}

// fence is a case seen with the token of the autoscaler's own account.
type fence struct {
	*world.World
	account dynamic.Interface
	kube    kubernetes.Interface
}

func newFence(w *world.World) fence {
	w.T.Helper()
	config, err := w.Cluster.TokenConfig(w.T.Context(), product.Namespace, product.ServiceAccount)
	if err != nil {
		w.T.Fatal(err)
	}
	account, err := dynamic.NewForConfig(config)
	if err != nil {
		w.T.Fatal(err)
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		w.T.Fatal(err)
	}
	return fence{w, account, kube}
}

// denied is the answer of the policy.
func denied(resource, name, text string) string {
	return fmt.Sprintf("%s %q is forbidden: ValidatingAdmissionPolicy 'autoscale.io' with binding 'autoscale.io' denied request: %s", resource, name, text)
}

// refused is the policy's answer to an update that would change what it may not.
func refused(resource, name, what string) string {
	parallelism := ""
	if resource == "jobs.batch" {
		parallelism = ", spec.parallelism"
	}
	return denied(resource, name, "the account of the autoscaler may change the label autoscale.io/bucket, the annotations autoscale.io/state and autoscale.io/status"+
		parallelism+" and nothing else of this object; refused: "+what)
}

// patch is one attempt; what is empty when it must pass.
type patch struct {
	resource, name string
	kind           types.PatchType
	text           string
	what           string
}

func (f fence) resource(text string) dynamic.NamespaceableResourceInterface {
	return f.account.Resource(schema.ParseGroupResource(text).WithVersion("v1"))
}

func (f fence) try(p patch) {
	f.T.Helper()
	options := metav1.PatchOptions{FieldManager: "thief"}
	if p.kind == types.ApplyPatchType {
		options.Force = ptr.To(true)
	}
	_, err := f.resource(p.resource).Namespace(f.Namespace).Patch(f.T.Context(), p.name, p.kind, []byte(p.text), options)
	switch {
	case p.what == "" && err != nil:
		f.T.Errorf("%s of %s: %v; want it to pass", p.text, p.resource, err)
	case p.what != "" && err == nil:
		f.T.Errorf("%s of %s has passed; want it refused", p.text, p.resource)
	case p.what != "" && err.Error() != refused(p.resource, p.name, p.what):
		f.T.Errorf("%s of %s:\n got %s\nwant %s", p.text, p.resource, err, refused(p.resource, p.name, p.what))
	}
}

// fenced are objects that nobody manages, so that only this case writes to them.
func (f fence) fenced() {
	f.T.Helper()
	ctx := f.T.Context()
	d := f.Deployment("web", 1, nil)
	meta := metav1.ObjectMeta{Name: "web", Labels: map[string]string{"team": "a"}, Annotations: map[string]string{"note": "kept"}}
	d.ObjectMeta = *meta.DeepCopy()
	f.CreateDeployment(d)
	stateful := &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Replicas: ptr.To[int32](1), Selector: d.Spec.Selector, Template: d.Spec.Template}}
	if _, err := f.World.Kube.AppsV1().StatefulSets(f.Namespace).Create(ctx, stateful, metav1.CreateOptions{}); err != nil {
		f.T.Fatal(err)
	}
	job := f.indexed("web", meta)
	if _, err := f.World.Kube.BatchV1().Jobs(f.Namespace).Create(ctx, job, metav1.CreateOptions{}); err != nil {
		f.T.Fatal(err)
	}
	cron := &batchv1.CronJob{ObjectMeta: meta, Spec: batchv1.CronJobSpec{Schedule: "0 0 1 1 *", Suspend: ptr.To(true), JobTemplate: batchv1.JobTemplateSpec{Spec: job.Spec}}}
	if _, err := f.World.Kube.BatchV1().CronJobs(f.Namespace).Create(ctx, cron, metav1.CreateOptions{}); err != nil {
		f.T.Fatal(err)
	}
}

// indexed is a Job whose completions could be changed, together with its parallelism.
func (f fence) indexed(name string, meta metav1.ObjectMeta) *batchv1.Job {
	meta.Name = name
	indexed := batchv1.IndexedCompletion
	return &batchv1.Job{ObjectMeta: meta, Spec: batchv1.JobSpec{
		Parallelism: ptr.To[int32](2), Completions: ptr.To[int32](2), CompletionMode: &indexed,
		Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"pod-complete.stage.kwok.x-k8s.io/delay": world.ForHours}},
			Spec:       corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "worker", Image: "worker"}}},
		},
	}}
}

const (
	merge     = types.MergePatchType
	strategic = types.StrategicMergePatchType
	jsonPatch = types.JSONPatchType
	applied   = types.ApplyPatchType
)

func fencedPatches(t *testing.T, w *world.World) {
	f := newFence(w)
	f.fenced()
	for _, resource := range []string{"deployments.apps", "statefulsets.apps", "jobs.batch", "cronjobs.batch"} {
		for _, p := range metadataPatches(resource, "web") {
			f.try(p)
		}
	}
	for _, resource := range []string{"deployments.apps", "statefulsets.apps"} {
		for _, p := range podPatches(resource, "web") {
			f.try(p)
		}
		f.statusIsOutOfReach(resource)
	}
	const job, cron = "jobs.batch", "cronjobs.batch"
	for _, p := range []patch{
		{job, "web", merge, `{"spec":{"parallelism":3,"completions":3}}`, "spec.completions"},
		{job, "web", merge, `{"spec":{"activeDeadlineSeconds":1}}`, "spec.activeDeadlineSeconds"},
		{job, "web", merge, `{"spec":{"ttlSecondsAfterFinished":1}}`, "spec.ttlSecondsAfterFinished"},
		{job, "web", jsonPatch, `[{"op":"replace","path":"/spec/suspend","value":true}]`, "spec.suspend"}, // it would end the pods
		{job, "web", merge, `{"spec":{"parallelism":1}}`, ""},
		{cron, "web", merge, `{"spec":{"suspend":false}}`, "spec.suspend"},
		{cron, "web", jsonPatch, `[{"op":"replace","path":"/spec/schedule","value":"* * * * *"}]`, "spec.schedule"},
		{cron, "web", strategic, `{"spec":{"jobTemplate":{"spec":{"template":{"spec":{"containers":[{"name":"worker","image":"evil"}]}}}}}}`, "spec.jobTemplate"},
		{cron, "web", merge, `{"spec":{"jobTemplate":{"spec":{"parallelism":9}}}}`, "spec.jobTemplate"},
	} {
		f.try(p)
	}
	// A Job that has no other label is given those of its pods by Kubernetes, in the same request.
	bare := f.indexed("bare", metav1.ObjectMeta{Labels: map[string]string{annotations.Bucket: "03"}})
	if _, err := f.World.Kube.BatchV1().Jobs(w.Namespace).Create(t.Context(), bare, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	f.try(patch{job, "bare", merge, `{"metadata":{"labels":{"autoscale.io/bucket":null}}}`, ""})
	f.largest()
	// The count is changed through the scale, and by people as ever.
	for _, kind := range []string{"deployments.apps", "statefulsets.apps"} {
		if _, err := f.resource(kind).Namespace(w.Namespace).Patch(t.Context(), "web", merge, []byte(`{"spec":{"replicas":2}}`), metav1.PatchOptions{}, "scale"); err != nil {
			t.Error(err)
		}
	}
	image := []byte(`{"metadata":{"labels":{"team":"b"}},"spec":{"template":{"spec":{"containers":[{"name":"worker","image":"better"}]}}}}`)
	if _, err := w.Kube.AppsV1().Deployments(w.Namespace).Patch(t.Context(), "web", strategic, image, metav1.PatchOptions{}); err != nil {
		t.Errorf("an administrator's change: %v", err)
	}
}

// largest tries a workload that is about as large as the API server takes: the policy must not be too costly there.
func (f fence) largest() {
	f.T.Helper()
	d := f.Deployment("large", 1, nil)
	d.Annotations, d.Labels = map[string]string{}, map[string]string{}
	container := &d.Spec.Template.Spec.Containers[0]
	for i := range 1000 {
		container.Env = append(container.Env, corev1.EnvVar{Name: fmt.Sprint("E", i), Value: strings.Repeat("x", 1000)})
		d.Annotations[fmt.Sprint("a", i)], d.Labels[fmt.Sprint("l", i)] = strings.Repeat("x", 200), "x"
	}
	f.CreateDeployment(d)
	f.try(patch{"deployments.apps", "large", merge, `{"metadata":{"labels":{"autoscale.io/bucket":"03"},"annotations":{"autoscale.io/status":"[]"}}}`, ""})
	f.try(patch{"deployments.apps", "large", jsonPatch, `[{"op":"replace","path":"/spec/template/spec/containers/0/env/999/value","value":"evil"}]`, "spec.template"})
	f.try(patch{"deployments.apps", "large", merge, `{"metadata":{"annotations":{"a999":"evil"}}}`, "the annotation a999"})
}

// metadataPatches are the same for every kind.
func metadataPatches(resource, name string) []patch {
	group, kind, _ := strings.Cut(resource, ".")
	group, kind = kind, map[string]string{"deployments": "Deployment", "statefulsets": "StatefulSet", "jobs": "Job", "cronjobs": "CronJob"}[group]
	whole := func(metadata string) string {
		return fmt.Sprintf(`{"apiVersion":"%s/v1","kind":"%s","metadata":{"name":"%s",%s}}`, group, kind, name, metadata)
	}
	return []patch{
		{resource, name, merge, `{"metadata":{"labels":{"autoscale.io/bucket":"03"},"annotations":{"autoscale.io/state":"{}","autoscale.io/status":"[]"}}}`, ""},
		{resource, name, jsonPatch, `[{"op":"replace","path":"/metadata/annotations/autoscale.io~1status","value":"x"}]`, ""},
		{resource, name, applied, whole(`"annotations":{"autoscale.io/status":"y"}`), ""},
		{resource, name, merge, `{"metadata":{"labels":{"autoscale.io/bucket":null},"annotations":{"autoscale.io/state":null,"autoscale.io/status":null}}}`, ""},
		{resource, name, merge, `{"metadata":{"annotations":{"note":"other"}}}`, "the annotation note"},
		{resource, name, merge, `{"metadata":{"annotations":{"note":null}}}`, "the annotation note"},
		{resource, name, jsonPatch, `[{"op":"add","path":"/metadata/annotations/other","value":"x"}]`, "the annotation other"},
		{resource, name, applied, whole(`"annotations":{"other":"x"}`), "the annotation other"},
		{resource, name, merge, `{"metadata":{"annotations":{"autoscale.io/max-replicas":"1000"}}}`, "the annotation autoscale.io/max-replicas"},
		{resource, name, merge, `{"metadata":{"labels":{"team":null}}}`, "the label team"},
		{resource, name, merge, `{"metadata":{"labels":null,"annotations":{"autoscale.io/status":"x"}}}`, "the label team"},
		{resource, name, merge, `{"metadata":{"labels":{"autoscale.io/template":"x"}}}`, "the label autoscale.io/template"},
		{resource, name, merge, `{"metadata":{"finalizers":["thief.example/hold"]}}`, "metadata.finalizers"},
		{resource, name, merge, `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"gone","uid":"1"}]}}`, "metadata.ownerReferences"},
	}
}

// podPatches are those of what runs pods for ever.
func podPatches(resource, name string) []patch {
	kind := map[string]string{"deployments.apps": "Deployment", "statefulsets.apps": "StatefulSet"}[resource]
	const image = `"spec":{"template":{"spec":{"containers":[{"name":"worker","image":"evil"}]}}}`
	return []patch{
		{resource, name, strategic, "{" + image + "}", "spec.template"},
		{resource, name, jsonPatch, `[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"evil"}]`, "spec.template"},
		{resource, name, applied, fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"%s","metadata":{"name":"%s"},%s}`, kind, name, image), "spec.template"},
		{resource, name, strategic, `{"spec":{"template":{"spec":{"containers":[{"name":"worker","args":["rm"]}]}}}}`, "spec.template"},
		{resource, name, merge, `{"spec":{"template":{"spec":{"serviceAccountName":"admin"}}}}`, "spec.template"},
		{resource, name, merge, `{"spec":{"template":{"metadata":{"annotations":{"autoscale.io/status":"x"}}}}}`, "spec.template"},
		{resource, name, merge, `{"spec":{"replicas":9}}`, "spec.replicas"},
		{resource, name, merge, `{"spec":{"minReadySeconds":100}}`, "spec.minReadySeconds"},
	}
}

// statusIsOutOfReach tries the status in both ways: RBAC refuses one, and Kubernetes ignores the other.
func (f fence) statusIsOutOfReach(resource string) {
	f.T.Helper()
	client := f.resource(resource).Namespace(f.Namespace)
	status := []byte(`{"status":{"replicas":99}}`)
	_, err := client.Patch(f.T.Context(), "web", merge, status, metav1.PatchOptions{}, "status")
	plural, _, _ := strings.Cut(resource, ".")
	want := fmt.Sprintf("%s %q is forbidden: User %q cannot patch resource %q in API group \"apps\" in the namespace %q", resource, "web", world.Account, plural+"/status", f.Namespace)
	if err == nil || err.Error() != want {
		f.T.Errorf("a patch of the status of %s: %v, want %s", resource, err, want)
	}
	if got, err := client.Patch(f.T.Context(), "web", merge, status, metav1.PatchOptions{}); err == nil {
		if n := got.Object["status"].(map[string]any)["replicas"]; fmt.Sprint(n) == "99" {
			f.T.Errorf("the status of %s was changed", resource)
		}
	}
}

func fencedJobs(t *testing.T, w *world.World) {
	f := newFence(w)
	f.fenced()
	template, err := w.Kube.BatchV1().CronJobs(w.Namespace).Get(t.Context(), "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	owner := metav1.OwnerReference{APIVersion: "batch/v1", Kind: "CronJob", Name: "web", UID: template.UID}
	labels := map[string]string{annotations.Template: "web", annotations.TemplateBucket: "03", annotations.TemplateHash: "h"}
	const (
		onlyChildren = "the account of the autoscaler may create and delete only Jobs that a template has: with one owner, of the kind Job or CronJob, and the labels " +
			"autoscale.io/template, autoscale.io/template-bucket and autoscale.io/template-hash"
		onlyPlain = "the account of the autoscaler may create only Jobs that run and are not managed: not suspended, without finalizers, without the label autoscale.io/bucket " +
			"and without annotations of autoscale.io/"
	)
	for _, c := range []struct {
		name string
		edit func(*batchv1.Job)
		want string
	}{
		{"orphan", func(j *batchv1.Job) { j.OwnerReferences = nil }, onlyChildren},
		{"others", func(j *batchv1.Job) {
			j.OwnerReferences[0].Kind, j.OwnerReferences[0].APIVersion = "Deployment", "apps/v1"
		}, onlyChildren},
		{"two", func(j *batchv1.Job) {
			j.OwnerReferences = append(j.OwnerReferences, metav1.OwnerReference{APIVersion: "v1", Kind: "Pod", Name: "p", UID: "1"})
		}, onlyChildren},
		{"unlabelled", func(j *batchv1.Job) { delete(j.Labels, annotations.TemplateHash) }, onlyChildren},
		{"suspended", func(j *batchv1.Job) { j.Spec.Suspend = ptr.To(true) }, onlyPlain},
		{"managed", func(j *batchv1.Job) { j.Labels[annotations.Bucket] = "03" }, onlyPlain},
		{"annotated", func(j *batchv1.Job) { j.Annotations = map[string]string{"autoscale.io/max-replicas": "3"} }, onlyPlain},
		{"held", func(j *batchv1.Job) { j.Finalizers = []string{"thief.example/hold"} }, onlyPlain},
		{"child", func(*batchv1.Job) {}, ""},
	} {
		job := f.indexed(c.name, *(&metav1.ObjectMeta{Labels: labels, OwnerReferences: []metav1.OwnerReference{owner}}).DeepCopy())
		c.edit(job)
		_, err := f.kube.BatchV1().Jobs(w.Namespace).Create(t.Context(), job, metav1.CreateOptions{})
		wantText(t, "create "+c.name, err, c.want, denied("jobs.batch", c.name, c.want))
	}
	for name, want := range map[string]string{"web": onlyChildren, "child": ""} {
		background := metav1.DeletePropagationBackground
		err := f.kube.BatchV1().Jobs(w.Namespace).Delete(t.Context(), name, metav1.DeleteOptions{PropagationPolicy: &background})
		wantText(t, "delete "+name, err, want, denied("jobs.batch", name, want))
	}
}

// wantText compares an error with a text, or wants none when the reason is empty.
func wantText(t *testing.T, what string, err error, reason, text string) {
	t.Helper()
	switch {
	case reason == "" && err != nil:
		t.Errorf("%s: %v; want it to pass", what, err)
	case reason != "" && err == nil:
		t.Errorf("%s has passed; want it refused", what)
	case reason != "" && err.Error() != text:
		t.Errorf("%s:\n got %s\nwant %s", what, err, text)
	}
}
