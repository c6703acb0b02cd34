package jobs

import (
	"encoding/json"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/ptr"
)

// TestChild is the whole of a Job: ours are the name, the labels and the owner; the rest is the template's, without what belongs to the template itself.
func TestChild(t *testing.T) {
	w := newWorld(t, nil, suspended("consumer"))
	template := w.template("consumer")
	ours := map[string]string{"autoscale.io/template": "consumer", "autoscale.io/template-bucket": "07", "autoscale.io/template-hash": template.Hash}
	with := func(more map[string]string) map[string]string {
		for key, value := range ours {
			more[key] = value
		}
		return more
	}
	want := suspended("consumer")
	want.ObjectMeta = metav1.ObjectMeta{
		Name: "consumer-x", Namespace: "shop", Labels: with(map[string]string{"team": "blue"}), Annotations: map[string]string{"note": "kept"},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: "consumer", UID: "uid-of-consumer", Controller: ptr.To(true)}},
	}
	want.Spec.Suspend, want.Spec.Selector = ptr.To(false), nil
	want.Spec.Template.Labels = with(map[string]string{"app": "consumer"})
	same(t, template.job("consumer-x"), want)
	if template.Refusal != "" || len(template.Hash) != 10 {
		t.Errorf("got the refusal %q and the hash %q", template.Refusal, template.Hash)
	}
}

func TestChildOfACronJobIsNotControlled(t *testing.T) {
	cron := &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Name: "nightly", Namespace: "shop", UID: "uid-of-nightly", Labels: map[string]string{"own": "yes"}},
		Spec: batchv1.CronJobSpec{
			Suspend: ptr.To(true), JobTemplate: batchv1.JobTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"team": "blue"}}, Spec: suspended("x").Spec},
		},
	}
	read := func() *Template {
		template, err := Read(t.Context(), fake.NewClientset(cron).BatchV1(), Owner{"CronJob", "shop", "nightly"}, bucket)
		if err != nil {
			t.Fatal(err)
		}
		return template
	}
	first := read()
	job := first.job("nightly-x")
	same(t, job.OwnerReferences, []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "CronJob", Name: "nightly", UID: "uid-of-nightly"}})
	if job.Labels["team"] != "blue" || job.Labels["own"] != "" {
		t.Errorf("got the labels %v, want those of the jobTemplate", job.Labels)
	}
	cron.Spec.JobTemplate.Spec.Template.Spec.Containers[0].Image = "worker:2"
	if read().Hash == first.Hash {
		t.Error("another image has the same hash")
	}
	cron.Spec.Suspend = nil
	if got, want := read().Refusal, "the CronJob is not suspended, so it starts Jobs by its schedule too; set spec.suspend to true to use it as a template"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// same compares what the API server would be sent.
func same(t *testing.T, got, want any) {
	t.Helper()
	var texts [2]string
	for i, object := range []any{got, want} {
		data, err := json.MarshalIndent(object, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(data)
	}
	if texts[0] != texts[1] {
		t.Errorf("got  %s\nwant %s", texts[0], texts[1])
	}
}

func TestRefusals(t *testing.T) {
	for want, edit := range map[string]func(*batchv1.Job){
		"": func(*batchv1.Job) {},
		"the Job is not suspended, so it runs by itself; a template is created with spec.suspend: true":              func(j *batchv1.Job) { j.Spec.Suspend = nil },
		"spec.manualSelector is set, so all Jobs of the template would share their pods; remove it and the selector": func(j *batchv1.Job) { j.Spec.ManualSelector = ptr.To(true) },
	} {
		job := suspended("consumer")
		edit(job)
		template, err := Read(t.Context(), fake.NewClientset(job).BatchV1(), Owner{"Job", "shop", "consumer"}, bucket)
		if err != nil || template.Refusal != want {
			t.Errorf("got  %q (%v)\nwant %q", template.Refusal, err, want)
		}
	}
}

// TestNames: valid, short enough for an index and a suffix behind it, different, and still telling.
func TestNames(t *testing.T) {
	for _, name := range []string{"a", "consumer", strings.Repeat("x", 43), strings.Repeat("x", 42) + "-y", strings.Repeat("ab.", 20) + "z", strings.Repeat("long-", 50) + "x"} {
		template := &Template{Owner: Owner{Name: name}}
		first, second := template.newName(), template.newName()
		if first == second || len(first) > maxName || len(validation.IsDNS1123Subdomain(first)) > 0 || !strings.HasPrefix(first, name[:min(len(name), 40)]) {
			t.Errorf("%q: got %q and %q", name, first, second)
		}
		if label := labelOf(name); len(validation.IsValidLabelValue(label)) > 0 {
			t.Errorf("%q: got the label %q", name, label)
		}
	}
	if long := strings.Repeat("x", 100); labelOf(long+"a") == labelOf(long+"b") {
		t.Error("two long names have one label")
	}
}

func TestBegun(t *testing.T) {
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	waiting := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}
	for _, c := range []struct {
		name   string
		status corev1.PodStatus
		want   bool
	}{
		{"not scheduled", corev1.PodStatus{Phase: corev1.PodPending}, false},
		{"pulls", corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{State: waiting}}}, false},
		{"init container runs", corev1.PodStatus{Phase: corev1.PodPending, InitContainerStatuses: []corev1.ContainerStatus{{State: running}}}, true},
		{"init container ran", corev1.PodStatus{Phase: corev1.PodPending, InitContainerStatuses: []corev1.ContainerStatus{{State: waiting, RestartCount: 1}}}, true},
		{"one of two runs", corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{State: waiting}, {State: running}}}, true},
		{"runs", corev1.PodStatus{Phase: corev1.PodRunning}, true},
		{"failed", corev1.PodStatus{Phase: corev1.PodFailed}, true},
		{"unknown", corev1.PodStatus{Phase: corev1.PodUnknown}, true},
	} {
		if got := begun(&corev1.Pod{Status: c.status}); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
		slim, _ := slimPod(&corev1.Pod{Status: c.status})
		if got := begun(slim.(*corev1.Pod)); got != c.want {
			t.Errorf("%s: the slim pod has begun: %v, want %v", c.name, got, c.want)
		}
	}
}
