package jobs

import (
	"time"
	"unique"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"autoscale.io/annotations"
)

// child is what a count and a history need of a Job. Finished Jobs can be many, and a batchv1.Job takes five times as much even when it is empty.
type child struct {
	// ObjectMeta has the names, the UID and the version, by which an informer keeps it, and nothing else.
	metav1.ObjectMeta
	// made says what the Job was made of; thousands of Jobs share one.
	made unique.Handle[origin]

	leaves, finished, succeeded bool
	// ended is when it finished.
	ended time.Time
	// advanced says that a pod of it has succeeded, begun that one has run.
	advanced, begun bool
}

// origin is a template and what it was at the time.
type origin struct {
	Owner
	uid types.UID
	// hash is Template.Hash.
	hash string
}

// slimJob makes a child of a Job. It keeps Jobs that are not of a template out of every index.
func slimJob(object any) (any, error) {
	job, ok := object.(*batchv1.Job)
	if !ok {
		return object, nil
	}
	c := &child{
		ObjectMeta: metav1.ObjectMeta{Name: job.Name, Namespace: unique.Make(job.Namespace).Value(), UID: job.UID, ResourceVersion: job.ResourceVersion},
		leaves:     job.DeletionTimestamp != nil,
		advanced:   job.Status.Succeeded > 0,
		begun:      job.Status.Succeeded > 0 || job.Status.Failed > 0 || job.Status.Ready != nil && *job.Status.Ready > 0,
	}
	made := origin{Owner: Owner{Namespace: job.Namespace}, hash: job.Labels[annotations.TemplateHash]}
	if owner := ownerOf(job); owner != nil {
		made.Kind, made.Name, made.uid = owner.Kind, owner.Name, owner.UID
	}
	c.made = unique.Make(made)
	for _, condition := range job.Status.Conditions {
		if condition.Status == corev1.ConditionTrue && (condition.Type == batchv1.JobComplete || condition.Type == batchv1.JobFailed) {
			c.finished, c.succeeded, c.ended = true, condition.Type == batchv1.JobComplete, condition.LastTransitionTime.Time
		}
	}
	return c, nil
}

// template is the UID of the Job's template; empty without one.
func (c *child) template() types.UID { return c.made.Value().uid }

// ownerOf is the template that a Job was made of.
func ownerOf(job *batchv1.Job) *metav1.OwnerReference {
	for i := range job.OwnerReferences {
		owner := &job.OwnerReferences[i]
		if annotations.GroupOf(owner.APIVersion) == batchv1.GroupName && (owner.Kind == kindJob || owner.Kind == kindCronJob) {
			return owner
		}
	}
	return nil
}
