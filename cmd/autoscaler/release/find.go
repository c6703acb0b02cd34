package release

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"

	"autoscale.io/annotations"
	"autoscale.io/scaling/controller"
)

// found is one workload to release.
type found struct {
	kind   controller.Kind
	object *metav1.PartialObjectMetadata
}

// String names the workload as kubectl would take it.
func (f found) String() string {
	return fmt.Sprintf("%s %s/%s", f.kind.Resource.GroupResource(), f.object.Namespace, f.object.Name)
}

// find calls do for each workload to release.
func (r *releaser) find(ctx context.Context, do func(found) error) error {
	if len(r.options.Objects) > 0 {
		return r.findNamed(ctx, do)
	}
	for _, text := range r.options.Kinds {
		kind, err := controller.ParseKind(text, r.mapper)
		if err != nil {
			return fmt.Errorf("--kinds: %w", err)
		}
		list := pager.New(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return r.target.Metadata.Resource(kind.Resource).Namespace(r.options.Namespace).List(ctx, o)
		})
		options := metav1.ListOptions{LabelSelector: annotations.Bucket}
		if r.options.Annotations {
			// What was annotated while the autoscaler was away has no label.
			options = metav1.ListOptions{}
		}
		err = list.EachListItem(ctx, options, func(item runtime.Object) error {
			object, ok := item.(*metav1.PartialObjectMetadata)
			if !ok || !r.concerns(object) {
				return nil
			}
			return do(found{kind, object})
		})
		if err != nil {
			return fmt.Errorf("list %s: %w", text, err)
		}
	}
	return nil
}

// findNamed takes the objects that were named, whatever they carry.
func (r *releaser) findNamed(ctx context.Context, do func(found) error) error {
	for _, text := range r.options.Objects {
		resource, name, ok := strings.Cut(text, "/")
		if !ok || resource == "" || name == "" {
			return fmt.Errorf("got %q, want KIND/NAME such as deployment/web", text)
		}
		kind, err := controller.ParseKind(resource, r.mapper)
		if err != nil {
			return err
		}
		object, err := r.target.Metadata.Resource(kind.Resource).Namespace(r.options.Namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("read %s: %w", text, err)
		}
		if err := do(found{kind, object}); err != nil {
			return err
		}
	}
	return nil
}

// concerns says whether there is something of this install's on an object. What belongs to something scalable has inherited its annotations, and is left alone.
func (r *releaser) concerns(object *metav1.PartialObjectMetadata) bool {
	if owner := metav1.GetControllerOfNoCopy(object); owner != nil && annotations.ScalableOwner(owner.APIVersion, owner.Kind) {
		return false
	}
	if label, managed := object.Labels[annotations.Bucket]; managed {
		return annotations.OfClass(label, r.options.Class)
	}
	if object.Annotations[annotations.Prefix+"class"] != r.options.Class {
		return false
	}
	for key := range object.Annotations {
		if strings.HasPrefix(key, annotations.Prefix) {
			return true
		}
	}
	return false
}
