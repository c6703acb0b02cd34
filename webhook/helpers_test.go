package webhook_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schema"
	"autoscale.io/webhook"
)

// sources are one type of trigger, queue, and one whose check panics.
type sources struct{}

type queueParams struct {
	Stream   string `name:"stream" required:"true"`
	Password string `name:"password" secret:"true"`
}

func (sources) TriggerTypeNames() []string { return []string{"queue"} }

func (sources) TriggerType(name string) (annotations.TriggerType, bool) {
	t := annotations.TriggerType{Name: name, Params: schema.For[queueParams]()}
	switch name {
	case "queue":
		t.Check = func(in annotations.CheckInput) (_, warnings []schema.Problem) {
			if in.Common.Activation >= in.Common.Target {
				warnings = append(warnings, schema.Problem{Param: "activation", Text: "is not below target"})
			}
			return nil, warnings
		}
		return t, true
	case "broken":
		t.Check = func(annotations.CheckInput) (_, _ []schema.Problem) { panic("no such thing") }
		return t, true
	}
	return annotations.TriggerType{}, false
}

const (
	identity = "system:serviceaccount:autoscale-system:autoscaler"
	person   = "jane"
	uid      = "4b0f2c1e"
	trigger  = "{type: queue, stream: orders, target: 10}"
	// bucket is that of shop/worker, a Deployment.
	bucket = "13"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 400_000_000, time.UTC)

// adoptedNow is the state of an object with the test's uid, adopted at 6 replicas by the request at hand.
const adoptedNow = `{"uid":"4b0f2c1e","replicas":6,"adopted":"2026-03-01T12:00:00Z"}`

// before is the state of an object that was adopted at 3 replicas earlier, and slept one whose zero is the autoscaler's.
const (
	before = `{"uid":"4b0f2c1e","replicas":3,"adopted":"2026-01-01T00:00:00Z"}`
	slept  = `{"uid":"4b0f2c1e","replicas":3,"adopted":"2026-01-01T00:00:00Z","zero":true}`
)

// object is a Deployment shop/worker; the zero value has no metadata that matters.
type object struct {
	name, generateName  string
	uid                 string
	labels, annotations map[string]string
	owner               *metav1.OwnerReference
	deleting            bool
	// replicas is a number, nil for an absent field, or anything else.
	replicas any
	// noSpec leaves the spec out, onlyReplicas leaves nothing else in it.
	noSpec, onlyReplicas bool
}

func (o object) raw(t testing.TB) []byte {
	t.Helper()
	metadata := map[string]any{"namespace": "shop"}
	put := func(key string, value any, present bool) {
		if present {
			metadata[key] = value
		}
	}
	name := o.name
	if name == "" && o.generateName == "" {
		name = "worker"
	}
	put("name", name, name != "")
	put("generateName", o.generateName, o.generateName != "")
	put("uid", o.uid, o.uid != "")
	put("labels", o.labels, o.labels != nil)
	put("annotations", o.annotations, o.annotations != nil)
	put("deletionTimestamp", "2026-03-01T11:00:00Z", o.deleting)
	if o.owner != nil {
		metadata["ownerReferences"] = []metav1.OwnerReference{*o.owner}
	}
	spec := map[string]any{"paused": false}
	if o.onlyReplicas {
		clear(spec)
	}
	if o.replicas != nil {
		spec["replicas"] = o.replicas
	}
	whole := map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
	if o.noSpec {
		delete(whole, "spec")
	}
	data, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// with returns sound annotations with changes: pairs of a key below the prefix and a text; "-" removes the key.
func with(pairs ...string) map[string]string {
	return change(map[string]string{"autoscale.io/max-replicas": "10", "autoscale.io/trigger.orders": trigger}, pairs...)
}

func change(all map[string]string, pairs ...string) map[string]string {
	all = maps.Clone(all)
	for i := 0; i < len(pairs); i += 2 {
		if all[annotations.Prefix+pairs[i]] = pairs[i+1]; pairs[i+1] == "-" {
			delete(all, annotations.Prefix+pairs[i])
		}
	}
	return all
}

// stamped is the label of the test's object; more are pairs of other labels.
func stamped(more ...string) map[string]string {
	all := map[string]string{annotations.Bucket: bucket}
	for i := 0; i < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}

// live is the test's object in the cluster: managed, with a state.
func live(replicas any, pairs ...string) object {
	return object{uid: uid, labels: stamped(), annotations: with(append([]string{"state", before}, pairs...)...), replicas: replicas}
}

// reviewer is the test's install; set changes it.
func reviewer(set ...func(*webhook.Reviewer)) webhook.Reviewer {
	r := webhook.Reviewer{Types: sources{}, Identity: identity, Now: func() time.Time { return now }}
	for _, f := range set {
		f(&r)
	}
	return r
}

func handler(t testing.TB, r webhook.Reviewer, registerer prometheus.Registerer) *webhook.Handler {
	t.Helper()
	h, err := webhook.NewHandler(r, logr.Discard(), registerer)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// ask sends an UPDATE, or a CREATE when old is nil.
func ask(t testing.TB, user string, old, new []byte) admission.Request {
	t.Helper()
	r := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		UID: "request", Kind: metav1.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}, Namespace: "shop", Name: "worker",
		Operation: admissionv1.Create, UserInfo: authenticationv1.UserInfo{Username: user}, Object: runtime.RawExtension{Raw: new},
	}}
	if old != nil {
		r.Operation, r.OldObject.Raw = admissionv1.Update, old
	}
	return r
}

// answer completes the response as the server does before it is sent.
func answer(t testing.TB, h *webhook.Handler, r admission.Request) admission.Response {
	t.Helper()
	response := h.Handle(t.Context(), r)
	if err := response.Complete(r); err != nil {
		t.Fatal(err)
	}
	if response.UID != types.UID("request") {
		t.Errorf("the response is for the request %q", response.UID)
	}
	return response
}

// apply applies the patch as the API server does.
func apply(t testing.TB, response admission.Response, to []byte) []byte {
	t.Helper()
	if response.Patch == nil {
		return to
	}
	patch, err := jsonpatch.DecodePatch(response.Patch)
	if err != nil {
		t.Fatalf("the patch %s: %v", response.Patch, err)
	}
	after, err := patch.Apply(to)
	if err != nil {
		t.Fatalf("the patch %s does not apply to %s: %v", response.Patch, to, err)
	}
	return after
}

func parsed(t testing.TB, data []byte) map[string]any {
	t.Helper()
	var whole map[string]any
	if err := json.Unmarshal(data, &whole); err != nil {
		t.Fatal(err)
	}
	return whole
}

// admissionCase is one request and what must come of it.
type admissionCase struct {
	name string
	user string // a person when empty
	old  *object
	new  object
	// want is the object as it is stored.
	want     object
	warnings []string
	// denied is the whole message.
	denied string
}

// run sends the request, then the answer to it once more, and the same as a dry run.
func (c admissionCase) run(t *testing.T, reviewer webhook.Reviewer) {
	t.Helper()
	user := person
	if c.user != "" {
		user = c.user
	}
	var old []byte
	if c.old != nil {
		old = c.old.raw(t)
	}
	h := handler(t, reviewer, prometheus.NewRegistry())
	r := ask(t, user, old, c.new.raw(t))
	response := answer(t, h, r)
	if c.denied != "" {
		wantDenied(t, response, c.denied)
		return
	}
	if !response.Allowed {
		t.Fatalf("denied: %s", response.Result.Message)
	}
	stored := apply(t, response, c.new.raw(t))
	if got, want := parsed(t, stored), parsed(t, c.want.raw(t)); !reflect.DeepEqual(got, want) {
		t.Errorf("stored\n got %v\nwant %v\npatch %s", got, want, response.Patch)
	}
	if !slices.Equal(response.Warnings, c.warnings) {
		t.Errorf("warnings\n got %q\nwant %q", response.Warnings, c.warnings)
	}
	again := ask(t, user, old, stored)
	if response := answer(t, h, again); response.Patch != nil {
		t.Errorf("asked again about its own answer, it changes %s", response.Patch)
	}
	dry := true
	r.DryRun = &dry
	if got := answer(t, h, r); !reflect.DeepEqual(got, response) {
		t.Errorf("a dry run answers\n     %+v\nnot %+v", got, response)
	}
}

func wantDenied(t *testing.T, response admission.Response, message string) {
	t.Helper()
	if response.Allowed || response.Patch != nil {
		t.Fatalf("admitted with the patch %q, want a denial", response.Patch)
	}
	want := &metav1.Status{Status: "Failure", Code: 422, Reason: metav1.StatusReasonInvalid, Message: message}
	if !reflect.DeepEqual(response.Result, want) {
		t.Errorf("denied\n got %q\nwant %q", response.Result, want)
	}
}
