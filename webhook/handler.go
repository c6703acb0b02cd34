package webhook

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
	"unicode"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// Path is where the webhook is served.
const Path = "/mutate"

// Handler speaks the admission protocol for a Reviewer.
type Handler struct {
	reviewer Reviewer
	log      logr.Logger
	requests *prometheus.CounterVec
	duration prometheus.Histogram
	last     prometheus.Gauge
}

var _ admission.Handler = (*Handler)(nil)

// NewHandler returns a handler and registers its metrics, which fails when they are registered already.
func NewHandler(reviewer Reviewer, log logr.Logger, registerer prometheus.Registerer) (*Handler, error) {
	h := &Handler{
		reviewer: reviewer, log: log,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "autoscale_admission_requests_total",
			Help: "Admission requests, dry runs left out, by outcome (ignored, adopted, managed, released, cleaned, denied; failed ones were admitted unseen).",
		}, []string{"outcome"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "autoscale_admission_duration_seconds", Help: "Time to answer an admission request, dry runs and the network left out.",
			Buckets: prometheus.ExponentialBuckets(50e-6, 2, 14),
		}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "autoscale_admission_last_request_timestamp_seconds",
			Help: "Unix time of the last admission request, dry runs included; 0 before the first. If it stands still while autoscale_adoptions_total rises, the API server does not reach the webhook.",
		}),
	}
	for _, c := range []prometheus.Collector{h.requests, h.duration, h.last} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("register the webhook's metrics: %w", err)
		}
	}
	return h, nil
}

// Handle implements admission.Handler. It admits whatever it cannot judge, and leaves no trace of a dry run.
func (h *Handler) Handle(_ context.Context, req admission.Request) admission.Response {
	began := time.Now()
	h.last.SetToCurrentTime()
	response, result := h.answer(req)
	if req.DryRun == nil || !*req.DryRun {
		h.requests.WithLabelValues(string(result)).Inc()
		h.duration.Observe(time.Since(began).Seconds())
	}
	return response
}

// answer lets no panic through: a fault of ours must not stop anybody's deployment.
func (h *Handler) answer(req admission.Request) (response admission.Response, result outcome) {
	defer func() {
		if p := recover(); p != nil {
			h.logOf(req).Error(fmt.Errorf("panic: %v", p), "a review panicked; the object is admitted as it is", "stack", string(debug.Stack()))
			response, result = admitted("autoscale.io could not check this object, so it is admitted as it is; the autoscaler's log says why"), outcomeFailed
		}
	}()
	if req.SubResource != "" || req.Operation != admissionv1.Create && req.Operation != admissionv1.Update {
		return admitted(), outcomeIgnored
	}
	q, err := h.read(req)
	if err != nil {
		h.logOf(req).Info("an object cannot be read and is admitted as it is", "error", err.Error())
		return admitted("autoscale.io cannot read this object, so it is admitted as it is: " + err.Error()), outcomeFailed
	}
	v := h.reviewer.review(q)
	if v.outcome == outcomeDenied {
		return denied(v.denial(q)), v.outcome
	}
	response = admitted(v.warnings...)
	response.Patches = v.patch(q.new)
	return response, v.outcome
}

func (h *Handler) logOf(req admission.Request) logr.Logger {
	return h.log.WithValues("kind", req.Kind.Kind, "object", req.Namespace+"/"+req.Name)
}

func (h *Handler) read(req admission.Request) (request, error) {
	q := request{group: req.Kind.Group, kind: req.Kind.Kind, namespace: req.Namespace, user: req.UserInfo.Username, now: h.reviewer.Now()}
	var err error
	if h.reviewer.Rival != nil {
		q.rival = h.reviewer.Rival(q.group, q.kind, q.namespace, req.Name)
	}
	field := countField(q.group, q.kind)
	if q.new, err = parse(req.Object.Raw, field); err != nil {
		return q, err
	}
	if req.Operation != admissionv1.Update {
		return q, nil
	}
	if q.old, err = parse(req.OldObject.Raw, field); err != nil {
		return q, fmt.Errorf("its old version: %w", err)
	}
	if q.old == nil {
		// Without it nothing can be told about the count, and it must not be taken for a creation.
		return q, fmt.Errorf("its old version is missing")
	}
	return q, nil
}

func admitted(warnings ...string) admission.Response {
	response := admission.Allowed("")
	for _, text := range warnings {
		response.Warnings = append(response.Warnings, oneLine(text))
	}
	return response
}

func denied(message string) admission.Response {
	return admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{
		Result: &metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusUnprocessableEntity, Reason: metav1.StatusReasonInvalid, Message: message,
		},
	}}
}

// denial says what a request is denied for: all faults at once.
func (v verdict) denial(q request) string {
	name := fmt.Sprintf("%s %s/%s", q.kind, q.namespace, q.new.displayName())
	if len(v.denied) == 0 {
		return v.rivalText(name)
	}
	heading := "1 fault"
	if len(v.denied) > 1 {
		heading = fmt.Sprintf("%d faults", len(v.denied))
	}
	text := fmt.Sprintf("%s in the annotations of %s:\n%s", heading, name, v.denied.Error())
	if v.rival != "" {
		text += "\n" + v.rivalText(name)
	}
	return text
}

// oneLine makes a text fit for a warning, which travels in an HTTP header: the API server drops one with control characters.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}
