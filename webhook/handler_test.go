package webhook_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"autoscale.io/webhook"
)

// wantAdmitted compares the warnings and wants no patch.
func wantAdmitted(t *testing.T, response admission.Response, warnings ...string) {
	t.Helper()
	if !response.Allowed || response.Patch != nil {
		t.Errorf("allowed: %t, patch %s; want it admitted as it is", response.Allowed, response.Patch)
	}
	if !slices.Equal(response.Warnings, warnings) {
		t.Errorf("warnings\n got %q\nwant %q", response.Warnings, warnings)
	}
}

func TestWhatCannotBeReadIsAdmitted(t *testing.T) {
	sound := live(6).raw(t)
	for _, c := range []struct {
		name, old, new, warning string
	}{
		{"no JSON", string(sound), "{\n", "autoscale.io cannot read this object, so it is admitted as it is: unexpected end of JSON input"},
		{"an annotation that is no text", string(sound), `{"metadata":{"annotations":{"autoscale.io/pause":true}}}`,
			"autoscale.io cannot read this object, so it is admitted as it is: json: cannot unmarshal bool into Go struct field .metadata.annotations of type string"},
		{"an old version that is no JSON", "[]", string(sound),
			"autoscale.io cannot read this object, so it is admitted as it is: its old version: json: cannot unmarshal array into Go value of type webhook.object"},
		{"no old version", "null", string(sound), "autoscale.io cannot read this object, so it is admitted as it is: its old version is missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantAdmitted(t, answer(t, handler(t, reviewer(), prometheus.NewRegistry()), ask(t, person, []byte(c.old), []byte(c.new))), c.warning)
		})
	}
}

func TestAPanicIsAdmitted(t *testing.T) {
	registry := prometheus.NewRegistry()
	new := object{annotations: with("trigger.orders", "{type: broken, stream: orders, target: 10}"), replicas: 4}
	response := answer(t, handler(t, reviewer(), registry), ask(t, person, nil, new.raw(t)))
	wantAdmitted(t, response, "autoscale.io could not check this object, so it is admitted as it is; the autoscaler's log says why")
	wantRequests(t, registry, "failed 1")
}

func TestOtherOperationsAreAdmitted(t *testing.T) {
	h := handler(t, reviewer(), prometheus.NewRegistry())
	r := ask(t, person, live(6).raw(t), live(0).raw(t))
	r.SubResource = "scale"
	wantAdmitted(t, answer(t, h, r))
	for _, operation := range []admissionv1.Operation{admissionv1.Delete, admissionv1.Connect} {
		r := ask(t, person, live(6).raw(t), nil)
		r.Operation = operation
		wantAdmitted(t, answer(t, h, r))
	}
	wantAdmitted(t, answer(t, h, ask(t, person, nil, nil)))
}

// wantRequests compares the counter of requests, by outcome.
func wantRequests(t *testing.T, registry *prometheus.Registry, want ...string) {
	t.Helper()
	var got []string
	for _, m := range gathered(t, registry, "autoscale_admission_requests_total") {
		got = append(got, fmt.Sprintf("%s %v", m.GetLabel()[0].GetValue(), m.GetCounter().GetValue()))
	}
	if !slices.Equal(got, want) {
		t.Errorf("requests\n got %q\nwant %q", got, want)
	}
}

func gathered(t *testing.T, registry *prometheus.Registry, name string) []*dto.Metric {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()
		}
	}
	return nil
}

func TestRequestsAreCountedByOutcomeAndDryRunsAreNot(t *testing.T) {
	registry := prometheus.NewRegistry()
	h := handler(t, reviewer(), registry)
	six, faulty, plain := live(6).raw(t), live(6, "max-replicas", "many").raw(t), object{uid: uid, replicas: 6}.raw(t)
	for _, dry := range []bool{true, false} {
		for _, versions := range [][2][]byte{
			{nil, six}, {plain, six}, {six, six}, {six, faulty}, {six, plain}, {plain, plain}, {nil, []byte("{")},
			{nil, object{labels: stamped(), replicas: 6}.raw(t)},
		} {
			r := ask(t, person, versions[0], versions[1])
			r.DryRun = &dry
			answer(t, h, r)
		}
		if dry {
			wantRequests(t, registry)
		}
	}
	wantRequests(t, registry, "adopted 2", "cleaned 1", "denied 1", "failed 1", "ignored 1", "managed 1", "released 1")
	if got := gathered(t, registry, "autoscale_admission_duration_seconds")[0].GetHistogram().GetSampleCount(); got != 8 {
		t.Errorf("%d durations were observed, want 8", got)
	}
}

func TestMetricsAreRegisteredOnce(t *testing.T) {
	registry := prometheus.NewRegistry()
	handler(t, reviewer(), registry)
	_, err := webhook.NewHandler(reviewer(), logr.Discard(), registry)
	if want := "register the webhook's metrics: duplicate metrics collector registration attempted"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// The protocol as the API server speaks it, from the body of the request to that of the answer.
func TestTheServerAnswersAReview(t *testing.T) {
	server := httptest.NewServer(&admission.Webhook{Handler: handler(t, reviewer(), prometheus.NewRegistry())})
	t.Cleanup(server.Close)
	six := live(6)
	request := ask(t, person, six.raw(t), live(0).raw(t)).AdmissionRequest
	body, err := json.Marshal(admissionv1.AdmissionReview{TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"}, Request: &request})
	if err != nil {
		t.Fatal(err)
	}
	got, err := http.Post(server.URL+webhook.Path, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	var review struct {
		Response struct {
			UID      string
			Allowed  bool
			Patch    []byte
			Warnings []string
		}
	}
	if err := json.NewDecoder(got.Body).Decode(&review); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("{request true %v %q}", []byte(`[{"op":"add","path":"/spec/replicas","value":6}]`), []string{stays(6, 0)})
	if have := fmt.Sprintf("{%s %t %v %q}", review.Response.UID, review.Response.Allowed, review.Response.Patch, review.Response.Warnings); have != want {
		t.Errorf("\n got %s\nwant %s", have, want)
	}
}
