package scalingtest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"

	"autoscale.io/annotations"
	"autoscale.io/scaling/controller"
	"autoscale.io/scaling/report"
)

// Settings are annotations without their prefix.
type Settings map[string]string

// Quick are settings with short times: one read a second, a cooldown of 3 seconds, no stabilization window. The bounds
// are 0 and 10. more is added; an empty text removes a key.
func Quick(more Settings) Settings {
	s := Settings{
		"min-replicas": "0", "max-replicas": "10", "polling-interval": "1s", "cooldown": "3s", "behavior": "{scaleDown: {stabilizationWindowSeconds: 0}}",
	}
	for key, value := range more {
		s[key] = value
		if value == "" {
			delete(s, key)
		}
	}
	return s
}

// Trigger is the text of a trigger on a source of the test with a target of 5; more is further parameters, such as ",
// activation: 3".
func Trigger(source, more string) string {
	return fmt.Sprintf("{type: fake, source: %s, target: 5%s}", source, more)
}

func (s Settings) annotations() map[string]string {
	full := map[string]string{}
	for key, value := range s {
		full[annotations.Prefix+key] = value
	}
	return full
}

// DefaultKinds are those that an install manages unless it is told others.
func DefaultKinds() []controller.Kind {
	var kinds []controller.Kind
	for _, gvk := range []struct{ group, kind string }{{"apps", "Deployment"}, {"apps", "StatefulSet"}, {"batch", "Job"}, {"batch", "CronJob"}} {
		r := resourceOf(gvk.kind)
		k := controller.Kind{Resource: r.WithVersion("v1")}
		k.GroupVersionKind = r.WithVersion("v1").GroupVersion().WithKind(gvk.kind)
		kinds = append(kinds, k)
	}
	return kinds
}

// Deployment is a manifest as a user would write it.
func Deployment(name string, replicas int32, settings Settings) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: Namespace, Annotations: settings.annotations()},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}, Template: podTemplate(name),
		},
	}
}

// StatefulSet is a manifest as a user would write it.
func StatefulSet(name string, replicas int32, settings Settings) *appsv1.StatefulSet {
	return &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: Namespace, Annotations: settings.annotations()},
		Spec: appsv1.StatefulSetSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}, Template: podTemplate(name),
		},
	}
}

// Job is a manifest as a user would write it, with 50 completions.
func Job(name string, parallelism int32, settings Settings) *batchv1.Job {
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: Namespace, Annotations: settings.annotations()},
		Spec:       batchv1.JobSpec{Parallelism: &parallelism, Completions: ptr.To[int32](50), Template: podTemplate(name)},
	}
	job.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	return job
}

// Template is a Job in spawn mode: a suspended one, of which a Job is made for each message.
func Template(name string, settings Settings) *batchv1.Job {
	job := Job(name, 1, settings)
	job.Annotations[annotations.Prefix+"job-mode"] = annotations.JobSpawn
	job.Spec.Suspend, job.Spec.Parallelism, job.Spec.Completions = ptr.To(true), nil, nil
	return job
}

func podTemplate(app string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": app}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "worker", Image: "worker"}}},
	}
}

// Create creates objects as a user.
func (w *World) Create(objects ...runtime.Object) {
	w.Helper()
	for _, object := range objects {
		if err := w.TryCreate(object); err != nil {
			w.Fatal(err)
		}
	}
	w.Settle()
}

// TryCreate creates an object as a user and says why that is refused.
func (w *World) TryCreate(object runtime.Object) error {
	w.Helper()
	kinds, _, err := clientscheme.Scheme.ObjectKinds(object)
	if err != nil {
		w.Fatal(err)
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		w.Fatal(err)
	}
	u := &unstructured.Unstructured{Object: fields}
	u.SetGroupVersionKind(kinds[0])
	if u.GetNamespace() == "" {
		u.SetNamespace(Namespace)
	}
	plural := strings.ToLower(kinds[0].Kind) + "s"
	_, err = w.Dynamic.Resource(kinds[0].GroupVersion().WithResource(plural)).Namespace(u.GetNamespace()).Create(context.Background(), u, metav1.CreateOptions{FieldManager: "kubectl"})
	return err
}

// Get is the Deployment, StatefulSet, Job or CronJob of that name, whichever there is. It must not be changed.
func (w *World) Get(name string) *unstructured.Unstructured {
	w.Helper()
	for _, kind := range DefaultKinds() {
		if found := w.API.Object(kind.Resource.GroupResource(), Namespace, name); found != nil {
			return found
		}
	}
	w.Fatalf("there is no workload %s", name)
	return nil
}

// Replicas is the replica count of a workload; a Job's is its parallelism.
func (w *World) Replicas(name string) int32 {
	w.Helper()
	count, _ := countOf(w.Get(name))
	return count
}

// State is what the autoscaler keeps on a workload; it is the zero State when there is none that can be believed.
func (w *World) State(name string) annotations.State {
	w.Helper()
	object := w.Get(name)
	state, _ := annotations.ReadState(object.GetAnnotations(), object.GetUID())
	return state
}

// Status are the conditions that the autoscaler reports on a workload.
func (w *World) Status(name string) report.Conditions {
	w.Helper()
	return report.Parse(w.Get(name).GetAnnotations()[annotations.StatusKey])
}

// Patch merges a patch in JSON into a workload as a user, into a subresource if one is given, and says why that is
// refused.
func (w *World) Patch(name, patch string, subresource ...string) error {
	w.Helper()
	object := w.Get(name)
	r := resourceOf(object.GetKind()).WithVersion("v1")
	_, err := w.Dynamic.Resource(r).Namespace(Namespace).Patch(context.Background(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl"}, subresource...)
	w.Settle()
	return err
}

// Annotate changes annotations as kubectl annotate does; an empty text removes one. It says why that is refused.
func (w *World) Annotate(name string, settings Settings) error {
	w.Helper()
	changes := map[string]*string{}
	for key, value := range settings.annotations() {
		if changes[key] = &value; value == "" {
			changes[key] = nil
		}
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": changes}})
	if err != nil {
		w.Fatal(err)
	}
	return w.Patch(name, string(patch))
}

// Scale sets the replica count as kubectl scale does, and the parallelism of a Job.
func (w *World) Scale(name string, replicas int32) {
	w.Helper()
	patch, subresources := fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas), []string{"scale"}
	if w.Get(name).GetKind() == "Job" {
		patch, subresources = fmt.Sprintf(`{"spec":{"parallelism":%d}}`, replicas), nil
	}
	if err := w.Patch(name, patch, subresources...); err != nil {
		w.Fatalf("scale %s: %v", name, err)
	}
}

// SetStatus merges a status in JSON into a workload, as its controller does.
func (w *World) SetStatus(name, status string) {
	w.Helper()
	if err := w.Patch(name, fmt.Sprintf(`{"status":%s}`, status), "status"); err != nil {
		w.Fatalf("set the status of %s: %v", name, err)
	}
}

// Delete deletes a workload and all that it owns.
func (w *World) Delete(name string) {
	w.Helper()
	r := resourceOf(w.Get(name).GetKind()).WithVersion("v1")
	if err := w.Dynamic.Resource(r).Namespace(Namespace).Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
		w.Fatalf("delete %s: %v", name, err)
	}
	w.Settle()
}

// Children are the Jobs that were made of a template and are there still.
func (w *World) Children(template string) []batchv1.Job {
	w.Helper()
	list, err := w.Kube.BatchV1().Jobs(Namespace).List(context.Background(), metav1.ListOptions{LabelSelector: annotations.Template + "=" + template})
	if err != nil {
		w.Fatal(err)
	}
	return list.Items
}
