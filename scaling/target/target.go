package target

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"gomodules.xyz/jsonpatch/v2"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	appsv1client "k8s.io/client-go/kubernetes/typed/apps/v1"
	batchv1client "k8s.io/client-go/kubernetes/typed/batch/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/scale"
	"k8s.io/client-go/util/retry"

	"autoscale.io/annotations"
	"autoscale.io/scaling/decisions"
)

// FieldManager owns spec.replicas after a scale, and the autoscaler's metadata.
const FieldManager = "autoscale.io"

// Client reads and writes workloads.
type Client struct {
	Scales      scale.ScalesGetter
	Metadata    metadata.Interface
	Deployments appsv1client.DeploymentsGetter
	Jobs        batchv1client.JobsGetter
}

// Scale is the count of a workload at one version of it.
type Scale struct {
	Replicas        int32
	UID             types.UID
	ResourceVersion string
	// LeftAlone says in a sentence why the count is not to be touched; empty when it may be. Only Jobs know such states.
	LeftAlone string
	// Pods selects the pods of a Job; nil for other kinds.
	Pods *metav1.LabelSelector
}

// Get reads the count that the workload's spec asks for: through the scale subresource, and the parallelism of a Job, which has none. A CronJob has no
// count; its is 0.
func (c *Client) Get(ctx context.Context, key decisions.Key) (Scale, error) {
	switch {
	case IsJob(key.Resource):
		return c.getJob(ctx, key)
	case IsCronJob(key.Resource):
		return c.getUncounted(ctx, key)
	}
	got, err := c.Scales.Scales(key.Namespace).Get(ctx, key.Resource.GroupResource(), key.Name, metav1.GetOptions{})
	if err != nil {
		return Scale{}, fmt.Errorf("read the scale of %s: %w", key, err)
	}
	return scaleOf(got), nil
}

func scaleOf(s *autoscalingv1.Scale) Scale {
	return Scale{Replicas: s.Spec.Replicas, UID: s.UID, ResourceVersion: s.ResourceVersion}
}

// ChangedError says that the workload no longer has the count that a decision was made for. Nothing was written.
type ChangedError struct {
	Live Scale
}

// Error implements error.
func (e *ChangedError) Error() string {
	return fmt.Sprintf("the count has become %d meanwhile", e.Live.Replicas)
}

// Scale writes to, provided that the workload still has the count of version and is the same object, and returns what
// is live afterwards. The resource version in version saves a read when it is current; empty reads first. A conflict is
// retried after a fresh read. When the count or the object is another one by then, the error is a *ChangedError and
// nothing was written. The parallelism of a Job is not lowered below the number of its pods that have not ended; see
// Shrink.
func (c *Client) Scale(ctx context.Context, key decisions.Key, version Scale, to int32) (Scale, error) {
	switch {
	case IsJob(key.Resource) && to < version.Replicas:
		return c.Shrink(ctx, key, version, to, 0)
	case IsJob(key.Resource):
		return c.write(ctx, key, version, to, func(live Scale) (Scale, error) { return c.patchJob(ctx, key, live.ResourceVersion, to) })
	}
	return c.write(ctx, key, version, to, func(live Scale) (Scale, error) { return c.patchScale(ctx, key, live.ResourceVersion, to) })
}

// write calls patch with the workload as it is live, as often as that is needed; to is for messages.
func (c *Client) write(ctx context.Context, key decisions.Key, version Scale, to int32, patch func(live Scale) (Scale, error)) (Scale, error) {
	live := version
	var written Scale
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if live.ResourceVersion == "" {
			var err error
			if live, err = c.Get(ctx, key); err != nil {
				return err
			}
			if live.Replicas != version.Replicas || live.UID != version.UID {
				return &ChangedError{live}
			}
		}
		var err error
		written, err = patch(live)
		live.ResourceVersion = ""
		return err
	})
	if err != nil {
		return Scale{}, fmt.Errorf("scale %s from %d to %d: %w", key, version.Replicas, to, err)
	}
	return written, nil
}

func (c *Client) patchScale(ctx context.Context, key decisions.Key, resourceVersion string, to int32) (Scale, error) {
	patch := fmt.Appendf(nil, `{"metadata":{"resourceVersion":%q},"spec":{"replicas":%d}}`, resourceVersion, to)
	got, err := c.Scales.Scales(key.Namespace).Patch(ctx, key.Resource, key.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: FieldManager})
	if err != nil {
		return Scale{}, err
	}
	return scaleOf(got), nil
}

// Metadata is a change of labels and annotations; a nil value removes the key.
type Metadata struct {
	Labels      map[string]*string `json:"labels,omitempty"`
	Annotations map[string]*string `json:"annotations,omitempty"`
	// UID guards against another object of the same name; it must be set.
	UID types.UID `json:"uid"`
	// ResourceVersion, when set, guards against any change since.
	ResourceVersion string `json:"resourceVersion,omitempty"`
}

// Annotate writes a change of metadata and nothing else. The object being gone or replaced is an error that IsGone recognises.
func (c *Client) Annotate(ctx context.Context, key decisions.Key, change Metadata) (*metav1.PartialObjectMetadata, error) {
	patch, err := json.Marshal(map[string]Metadata{"metadata": change})
	if err != nil {
		return nil, fmt.Errorf("encode metadata of %s: %w", key, err)
	}
	got, err := c.Metadata.Resource(key.Resource).Namespace(key.Namespace).Patch(ctx, key.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: FieldManager})
	if err != nil {
		return nil, fmt.Errorf("write metadata of %s: %w", key, err)
	}
	return got, nil
}

// ErrNotManaged says that an object is not managed any more, or is another one of its name. Nothing was written.
var ErrNotManaged = errors.New("the object is not managed any more")

// Note writes one of the autoscaler's own annotations, provided that the object is still that of uid and still carries the bucket label with that value: a
// note that comes after the removal of the annotations would stay for ever. The error is ErrNotManaged when it is not.
func (c *Client) Note(ctx context.Context, key decisions.Key, managed Managed, annotation, text string) (*metav1.PartialObjectMetadata, error) {
	patch, err := json.Marshal([]jsonpatch.Operation{
		jsonpatch.NewOperation("test", "/metadata/uid", managed.UID),
		jsonpatch.NewOperation("test", "/metadata/labels/"+escape(annotations.Bucket), managed.Label),
		jsonpatch.NewOperation("add", "/metadata/annotations/"+escape(annotation), text),
	})
	if err != nil {
		return nil, fmt.Errorf("encode annotation %s of %s: %w", annotation, key, err)
	}
	got, err := c.Metadata.Resource(key.Resource).Namespace(key.Namespace).Patch(ctx, key.Name, types.JSONPatchType, patch, metav1.PatchOptions{FieldManager: FieldManager})
	if apierrors.IsInvalid(err) {
		return nil, fmt.Errorf("write annotation %s of %s: %w (%w)", annotation, key, ErrNotManaged, err)
	}
	if err != nil {
		return nil, fmt.Errorf("write annotation %s of %s: %w", annotation, key, err)
	}
	return got, nil
}

// Managed identifies an object under management.
type Managed struct {
	UID types.UID
	// Label is the value of the bucket label.
	Label string
}

// escape makes a key a part of a JSON pointer.
func escape(key string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(key) }

// IsGone says whether an error means that the object is not there any more, or is another one of its name.
func IsGone(err error) bool {
	return apierrors.IsNotFound(err) || errors.Is(err, ErrNotManaged) || isOtherUID(err)
}

// isOtherUID recognises the API server's answer to a patch whose uid is not the object's: it is Invalid, since a uid
// cannot be changed, and not the Conflict of a stale resource version.
func isOtherUID(err error) bool {
	return apierrors.IsInvalid(err) && apierrors.HasStatusCause(err, metav1.CauseTypeFieldValueInvalid)
}
