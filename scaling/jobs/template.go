package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/validation"
	batchv1client "k8s.io/client-go/kubernetes/typed/batch/v1"

	"autoscale.io/annotations"
)

// Template is what Jobs are made of: a suspended Job or CronJob.
type Template struct {
	Owner
	UID types.UID
	// Bucket is the value of the label that its Jobs are found by.
	Bucket string
	// Refusal says in a sentence why no Job is made of it; empty when it can be used.
	Refusal string
	// Hash is of what its Jobs are made of.
	Hash string

	made batchv1.JobTemplateSpec
}

// Owner identifies a template.
type Owner struct {
	// Kind is Job or CronJob.
	Kind, Namespace, Name string
}

const (
	kindJob     = "Job"
	kindCronJob = "CronJob"
)

// Read reads a template. bucket is the value of the label that its Jobs get.
func Read(ctx context.Context, client batchv1client.BatchV1Interface, owner Owner, bucket string) (*Template, error) {
	t := &Template{Owner: owner, Bucket: bucket}
	if owner.Kind == kindCronJob {
		cron, err := client.CronJobs(owner.Namespace).Get(ctx, owner.Name, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("read the CronJob %s/%s: %w", owner.Namespace, owner.Name, err)
		}
		t.fromCronJob(cron)
		return t, t.finish(cron.UID)
	}
	job, err := client.Jobs(owner.Namespace).Get(ctx, owner.Name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read the Job %s/%s: %w", owner.Namespace, owner.Name, err)
	}
	t.fromJob(job)
	return t, t.finish(job.UID)
}

func (t *Template) fromJob(job *batchv1.Job) {
	t.made = batchv1.JobTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: job.Labels, Annotations: job.Annotations}, Spec: job.Spec}
	if job.Spec.Suspend == nil || !*job.Spec.Suspend {
		t.Refusal = "the Job is not suspended, so it runs by itself; a template is created with spec.suspend: true"
	}
}

func (t *Template) fromCronJob(cron *batchv1.CronJob) {
	t.made = cron.Spec.JobTemplate
	if cron.Spec.Suspend == nil || !*cron.Spec.Suspend {
		t.Refusal = "the CronJob is not suspended, so it starts Jobs by its schedule too; set spec.suspend to true to use it as a template"
	}
}

// finish turns what was read into what Jobs are made of.
func (t *Template) finish(uid types.UID) error {
	spec := &t.made.Spec
	if spec.ManualSelector != nil && *spec.ManualSelector && t.Refusal == "" {
		t.Refusal = "spec.manualSelector is set, so all Jobs of the template would share their pods; remove it and the selector"
	}
	t.UID = uid
	running := false
	spec.Suspend, spec.Selector, spec.ManualSelector = &running, nil, nil
	t.made.ObjectMeta = metav1.ObjectMeta{Labels: kept(t.made.Labels), Annotations: kept(t.made.Annotations)}
	spec.Template.Labels = kept(spec.Template.Labels)
	data, err := json.Marshal(t.made)
	if err != nil {
		return fmt.Errorf("encode the template %s/%s: %w", t.Namespace, t.Name, err)
	}
	sum := sha256.Sum256(data)
	const hashBytes = 5
	t.Hash = hex.EncodeToString(sum[:hashBytes])
	t.stamp()
	return nil
}

// kept leaves out what belongs to the template itself: what the autoscaler is told, what the API server has generated for the template's own pods, and what
// kubectl keeps.
func kept(all map[string]string) map[string]string {
	out := maps.Clone(all)
	maps.DeleteFunc(out, func(key, _ string) bool {
		return strings.HasPrefix(key, annotations.Prefix) || strings.HasPrefix(key, "batch.kubernetes.io/") ||
			key == "controller-uid" || key == "job-name" || key == corev1.LastAppliedConfigAnnotation
	})
	return out
}

// stamp puts our labels on Jobs and pods, and makes the template the owner, so that deleting it cleans up. A CronJob owns without controlling: its controller
// would take the Jobs of another for its own, prune them by its own history limits and warn of each.
func (t *Template) stamp() {
	for _, meta := range []*metav1.ObjectMeta{&t.made.ObjectMeta, &t.made.Spec.Template.ObjectMeta} {
		if meta.Labels == nil {
			meta.Labels = map[string]string{}
		}
		meta.Labels[annotations.Template] = labelOf(t.Name)
		meta.Labels[annotations.TemplateBucket] = t.Bucket
		meta.Labels[annotations.TemplateHash] = t.Hash
	}
	owner := metav1.OwnerReference{APIVersion: batchv1.SchemeGroupVersion.String(), Kind: t.Kind, Name: t.Name, UID: t.UID}
	if t.Kind == kindJob {
		controls := true
		owner.Controller = &controls
	}
	t.made.OwnerReferences = []metav1.OwnerReference{owner}
}

// labelOf makes a label's value of a name; one that is too long is cut and told apart by a hash.
func labelOf(name string) string {
	if len(name) <= validation.LabelValueMaxLength {
		return name
	}
	const cut = 52
	sum := sha256.Sum256([]byte(name))
	return name[:cut] + "-" + hex.EncodeToString(sum[:5])
}

const (
	// maxName leaves room for what the Job controller puts behind the name of a Job: an index and a suffix.
	maxName = 52
	// suffix is the length of the random end of a name.
	suffix = 8
)

// newName is a name that no other Job has. It is chosen here and not by the API server, so that a create whose answer was lost can be tried again.
func (t *Template) newName() string {
	name := t.Name
	if most := maxName - suffix - 1; len(name) > most {
		name = strings.TrimRight(name[:most], "-.")
	}
	return name + "-" + rand.String(suffix)
}

// job is a new Job of that name.
func (t *Template) job(name string) *batchv1.Job {
	made := t.made.DeepCopy()
	job := &batchv1.Job{ObjectMeta: made.ObjectMeta, Spec: made.Spec}
	job.Name, job.Namespace = name, t.Namespace
	return job
}
