package scalingtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"autoscale.io/scaling/scalingtest/apiserver"
)

// webhookName is that of the webhook in the manifests.
const webhookName = "workloads.autoscale.io"

// admit asks the webhook of an autoscaler replica that lives, as the API server does. Without one the write is admitted
// as it is: the webhook's failurePolicy is Ignore.
func (w *World) admit(call apiserver.Call, objects apiserver.Objects) (*unstructured.Unstructured, []string, error) {
	if call.User == Autoscaler {
		return objects.New, nil, nil // the webhook's configuration leaves the autoscaler's own writes out
	}
	request := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		UID: "request", Namespace: call.Namespace, Name: call.Name, Operation: admissionv1.Create,
		Kind:     metav1.GroupVersionKind(objects.New.GroupVersionKind()),
		Resource: metav1.GroupVersionResource(call.Resource),
		UserInfo: authenticationv1.UserInfo{Username: call.User},
		Object:   raw(objects.New),
	}}
	if objects.Old != nil {
		request.Operation, request.OldObject = admissionv1.Update, raw(objects.Old)
	}
	for _, r := range w.replicas {
		if r.dead.Load() {
			continue
		}
		response := r.webhook.Handle(context.Background(), request)
		if err := response.Complete(request); err != nil {
			return nil, nil, apierrors.NewInternalError(err)
		}
		return conclude(objects.New, response.AdmissionResponse)
	}
	return objects.New, nil, nil
}

// conclude carries out what the webhook has answered.
func conclude(object *unstructured.Unstructured, answer admissionv1.AdmissionResponse) (*unstructured.Unstructured, []string, error) {
	if !answer.Allowed {
		status := metav1.Status{Status: metav1.StatusFailure, Code: http.StatusBadRequest}
		if answer.Result != nil {
			status = *answer.Result
		}
		status.Message = fmt.Sprintf("admission webhook %q denied the request: %s", webhookName, status.Message)
		return nil, answer.Warnings, &apierrors.StatusError{ErrStatus: status}
	}
	if len(answer.Patch) == 0 {
		return object, answer.Warnings, nil
	}
	patch, err := jsonpatch.DecodePatch(answer.Patch)
	if err != nil {
		return nil, nil, apierrors.NewInternalError(err)
	}
	data, err := patch.Apply(raw(object).Raw)
	if err != nil {
		return nil, nil, apierrors.NewInternalError(err)
	}
	admitted := &unstructured.Unstructured{}
	if err := admitted.UnmarshalJSON(data); err != nil {
		return nil, nil, apierrors.NewInternalError(err)
	}
	return admitted, answer.Warnings, nil
}

func raw(object *unstructured.Unstructured) runtime.RawExtension {
	data, err := json.Marshal(object.Object)
	if err != nil {
		panic(err) // it came as JSON
	}
	return runtime.RawExtension{Raw: data}
}

// Warnings are those of the webhook so far.
func (w *World) Warnings() []string { return w.API.Warnings() }

// Denied fails the test unless an error is the webhook's and contains the text.
func (w *World) Denied(err error, text string) {
	w.Helper()
	if err == nil || !strings.Contains(err.Error(), "denied the request") || !strings.Contains(err.Error(), text) {
		w.Errorf("got %v, want a denial with %q", err, text)
	}
}
