package webhook

import (
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/json"

	"autoscale.io/annotations"
)

// object is the little of a workload that admission looks at, whatever its kind.
type object struct {
	Metadata struct {
		Name              string                  `json:"name"`
		GenerateName      string                  `json:"generateName"`
		UID               types.UID               `json:"uid"`
		Labels            map[string]string       `json:"labels"`
		Annotations       map[string]string       `json:"annotations"`
		OwnerReferences   []metav1.OwnerReference `json:"ownerReferences"`
		DeletionTimestamp *metav1.Time            `json:"deletionTimestamp"`
	} `json:"metadata"`
	Spec *struct {
		Replicas    count `json:"replicas"`
		Parallelism count `json:"parallelism"`
		Suspend     flag  `json:"suspend"`
		ManagedBy   any   `json:"managedBy"`
	} `json:"spec"`

	// field is the name in the spec under which the kind has its count; empty when it has none.
	field string
}

// parse returns nil for no object.
func parse(raw []byte, field string) (*object, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	// The decoder of the API machinery tells upper case from lower case in names, which encoding/json does not.
	var o *object
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, err
	}
	if o != nil {
		o.field = field
	}
	return o, nil
}

// count is a field of the spec: absent, a number ≥ 0, or something that only the kind itself understands, or refuses.
type count struct {
	n        int32
	set, odd bool
}

// UnmarshalJSON implements json.Unmarshaler. It never fails, since an unusual kind may keep anything under that name.
func (c *count) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	n, err := strconv.ParseInt(string(data), 10, 32)
	if err != nil || n < 0 {
		*c = count{odd: true}
		return nil
	}
	*c = count{n: int32(n), set: true}
	return nil
}

// flag is a truth in the spec; anything else that an unusual kind keeps under that name is false.
type flag bool

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (f *flag) UnmarshalJSON(data []byte) error {
	*f = string(data) == "true"
	return nil
}

// defaultReplicas is what Kubernetes makes of an absent count.
const defaultReplicas = 1

// replicas is the count that the spec asks for; an absent one is the default. ok is false when it cannot be told.
func (o *object) replicas() (n int32, ok bool) {
	c := o.count()
	switch {
	case o.field == "" || c.odd:
		return 0, false
	case !c.set:
		return defaultReplicas, true
	}
	return c.n, true
}

// count is the count as it is written.
func (o *object) count() count {
	switch {
	case o.Spec == nil:
		return count{}
	case o.field == "replicas":
		return o.Spec.Replicas
	case o.field == "parallelism":
		return o.Spec.Parallelism
	}
	return count{}
}

// writtenReplicas is the count where it stands in the object, nil otherwise.
func (o *object) writtenReplicas() *int32 {
	c := o.count()
	if !c.set {
		return nil
	}
	return &c.n
}

// suspended says whether spec.suspend is set.
func (o *object) suspended() bool { return o.Spec != nil && bool(o.Spec.Suspend) }

// configured says whether the annotations ask for management by any install.
func (o *object) configured() bool { return o != nil && annotations.Configured(o.Metadata.Annotations) }

// class is the install that the annotations name; empty for the usual one.
func (o *object) class() string { return o.Metadata.Annotations[annotations.Prefix+"class"] }

// displayName is the name for messages.
func (o *object) displayName() string {
	if o.Metadata.Name == "" {
		return o.Metadata.GenerateName
	}
	return o.Metadata.Name
}

// ownMetadata is what the autoscaler itself keeps on an object; nil for what is absent.
type ownMetadata struct {
	label, state, status *string
}

func (o *object) own() ownMetadata {
	return ownMetadata{
		label:  lookup(o.Metadata.Labels, annotations.Bucket),
		state:  lookup(o.Metadata.Annotations, annotations.StateKey),
		status: lookup(o.Metadata.Annotations, annotations.StatusKey),
	}
}

func (m ownMetadata) equal(o ownMetadata) bool {
	return equal(m.label, o.label) && equal(m.state, o.state) && equal(m.status, o.status)
}

func lookup(m map[string]string, key string) *string {
	if text, ok := m[key]; ok {
		return &text
	}
	return nil
}

func equal[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
