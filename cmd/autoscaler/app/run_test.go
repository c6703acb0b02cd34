package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/clientcmd/api"

	"autoscale.io/scalers/scalertest/ports"
	"autoscale.io/webhook"
)

const ownUser = "system:serviceaccount:autoscale-system:autoscaler"

// await waits for a state that comes by itself.
func await(t *testing.T, what string, state func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) { return state(), nil })
	if err != nil {
		t.Fatalf("waited for 30 s: %s", what)
	}
}

func reserve(t *testing.T) *ports.Port {
	t.Helper()
	port, err := ports.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(port.Release)
	return port
}

// do sends one request on a connection of its own and returns the status and the body, or why there are none.
func do(ctx context.Context, client *http.Client, method, url string, content []byte) string {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(content))
	if err != nil {
		return err.Error()
	}
	request.Close = true
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return fmt.Sprintf("%d %s%s", response.StatusCode, answer, errorText(err))
}

// admissionReview is what the API server sends when a user creates an object of apps/v1 with one trigger.
func admissionReview(t *testing.T, user, kind, name, trigger string) []byte {
	t.Helper()
	object := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"replicas": 1}}}
	object.SetNamespace("shop")
	object.SetName(name)
	object.SetAnnotations(map[string]string{"autoscale.io/class": "blue", "autoscale.io/max-replicas": "5", "autoscale.io/trigger.orders": trigger})
	content, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "1", Operation: admissionv1.Create, Namespace: "shop", Name: name, UserInfo: authenticationv1.UserInfo{Username: user},
			Kind: metav1.GroupVersionKind{Group: "apps", Version: "v1", Kind: kind}, Object: runtime.RawExtension{Object: object},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// allowed is an answer that admits an object as it is, with warnings.
func allowed(warnings string) string {
	return `200 {"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":"1","allowed":true,"status":{"metadata":{},"code":200}` + warnings + "}}\n"
}

// denied is an answer that rejects an object.
func denied(message string) string {
	return `200 {"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":"1","allowed":false,"status":{"metadata":{},"status":"Failure",` +
		`"message":"` + message + `","reason":"Invalid","code":422}}}` + "\n"
}

// running is an autoscaler that Run runs, and how it is reached.
type running struct {
	*apiServer
	health, metrics, webhook string
	client                   *http.Client
	// end ends it and returns what Run returned.
	end func() error
}

// start runs an autoscaler that manages Deployments with a certificate of files. It ends with the test at the latest.
func start(t *testing.T, server *apiServer, log logr.Logger) *running {
	t.Helper()
	health, metrics, admission := reserve(t), reserve(t), reserve(t)
	dir, trusted := certificateFiles(t)
	o := parsed(t, "--kubeconfig="+server.kubeconfig(t), "--identity=one", "--class=blue", "--kinds=deployments.apps",
		"--certs=files", "--cert-dir="+dir, "--webhook-host="+ports.Loopback, "--webhook-port="+admission.Digits(),
		"--metrics-bind-address="+metrics.String(), "--health-probe-bind-address="+health.String())
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	var err error
	go func() {
		defer close(ended)
		err = run(ctx, *o, log)
	}()
	end := func() error {
		stop()
		select {
		case <-ended:
			return err
		case <-time.After(30 * time.Second):
			return errors.New("it still runs after 30 s")
		}
	}
	t.Cleanup(func() { _ = end() })
	return &running{
		apiServer: server, health: "http://" + health.String(), metrics: "http://" + metrics.String() + "/metrics",
		webhook: "https://" + admission.String() + webhook.Path, end: end,
		client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, ServerName: "webhook.test"}}},
	}
}

// isBucket says whether a Lease is that of a bucket of the class.
func isBucket(name string) bool {
	return strings.HasPrefix(name, "autoscaler-bucket-") && strings.HasSuffix(name, "-blue")
}

// held is the number of buckets that this replica holds by their Leases.
func (r *running) held() (n int) {
	for name, holder := range r.leases() {
		if isBucket(name) && holder == "one" {
			n++
		}
	}
	return n
}

func TestRunWorksUntilItsContextEnds(t *testing.T) {
	ownMetrics(t)
	server := newAPIServer(t)
	server.add("/apis/autoscaling/v2/horizontalpodautoscalers", map[string]any{
		"metadata": map[string]any{"name": "api-hpa", "namespace": "shop"},
		"spec":     map[string]any{"scaleTargetRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"}},
	})
	var logged lines
	r := start(t, server, logged.log())
	await(t, "this replica holds 16 buckets", func() bool { return r.held() == 16 })
	await(t, "Deployments are watched for each bucket", func() bool { return r.asked("GET /apis/apps/v1/deployments") >= 2*16 })
	await(t, "the webhook is ready", func() bool { return do(t.Context(), r.client, http.MethodGet, r.health+"/readyz", nil) == "200 ok" })
	if got := do(t.Context(), r.client, http.MethodGet, r.health+"/healthz", nil); got != "200 ok" {
		t.Errorf("/healthz: %s", got)
	}
	scraped := do(t.Context(), r.client, http.MethodGet, r.metrics, nil)
	for _, want := range []string{"autoscale_buckets_held 16", "autoscale_webhook_certificate_expiry_timestamp_seconds 4.1024448e+09", "autoscale_admission_last_request_timestamp_seconds 0"} {
		if !strings.Contains(scraped, "\n"+want+"\n") {
			t.Errorf("the metrics lack %q", want)
		}
	}
	wantAnswers(t, r)
	if err := r.end(); err != nil {
		t.Errorf("Run ended with %v", err)
	}
	if got := logged.errors(); len(got) > 0 {
		t.Errorf("errors were logged: %q", got)
	}
	for name, holder := range server.leases() {
		if !isBucket(name) || holder != "" {
			t.Errorf("the Lease %s of %q is left", name, holder)
		}
	}
}

// wantAnswers checks that the webhook knows the trigger types, the kinds, other autoscalers and its own user.
func wantAnswers(t *testing.T, r *running) {
	t.Helper()
	const unknown, sound = "{type: kafka}", "{type: redis-streams, address: \"redis:6379\", stream: orders, consumerGroup: workers, target: 10}"
	for _, c := range []struct{ user, kind, name, trigger, want string }{
		{"alice", "Deployment", "web", unknown, denied(`1 fault in the annotations of Deployment shop/web:\nautoscale.io/trigger.orders: ` +
			`type: unknown type kafka; want one of cpu, memory, mysql, postgres, redis-streams`)},
		{"alice", "Deployment", "api", sound, denied(`HorizontalPodAutoscaler api-hpa scales Deployment shop/api already, and a workload has one master: ` +
			`delete that first, or leave the annotations autoscale.io/… out; to compare the two, set autoscale.io/dry-run to true`)},
		{ownUser, "Deployment", "web", unknown, allowed("")},
		{"alice", "StatefulSet", "web", unknown, allowed(`,"warnings":["the annotations autoscale.io/… have no effect on this StatefulSet: ` +
			`this install does not manage the kind StatefulSet; its flag --kinds names those that it does"]`)},
	} {
		if got := do(t.Context(), r.client, http.MethodPost, r.webhook, admissionReview(t, c.user, c.kind, c.name, c.trigger)); got != c.want {
			t.Errorf("%s %s of %s:\n got %s\nwant %s", c.kind, c.name, c.user, got, c.want)
		}
	}
}

func TestRunRefusesFlagsBeforeAnythingElse(t *testing.T) {
	for flag, want := range map[string]string{
		"--namespace=":     "--namespace: missing; want the namespace that the autoscaler runs in (or $POD_NAMESPACE)",
		"--log-level=loud": `--log-level: got "loud", want debug, info, warn or error`,
	} {
		if err := Run(t.Context(), *parsed(t, flag, "--kubeconfig=/not/there")); err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", flag, err, want)
		}
	}
}

func TestRunSaysWhyItCannotStart(t *testing.T) {
	server, nobody := newAPIServer(t), reserve(t).String()
	kubeconfig, gone := "--kubeconfig="+server.kubeconfig(t), "--kubeconfig="+writeKubeconfig(t, &api.Cluster{Server: "https://" + nobody})
	dir := t.TempDir()
	for _, c := range []struct {
		name, forbidden string
		args            []string
		want            string
	}{
		{"no kubeconfig", "", []string{"--kubeconfig=" + dir + "/none"}, "find the API server: stat " + dir + "/none: no such file or directory"},
		{"an address without a port", "", []string{kubeconfig, "--health-probe-bind-address=nowhere"},
			"set up the process: error listening on nowhere: listen tcp: address nowhere: missing port in address"},
		{"no API server", "", []string{gone}, `--kinds: kind "deployments.apps": the API server does not serve it; want RESOURCE.GROUP such as deployments.apps: ` +
			`failed to get server groups: Get "https://` + nobody + `/api": dial tcp ` + nobody + ": connect: connection refused"},
		{"a kind that is not served", "", []string{kubeconfig, "--kinds=deploymnets.apps"},
			`--kinds: kind "deploymnets.apps": the API server does not serve it; want RESOURCE.GROUP such as deployments.apps: no matches for apps/, Resource=deploymnets`},
		{"no answer about Jobs", "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews", []string{kubeconfig, "--kinds=jobs.batch"},
			"ask the API server whether this account may list Jobs: forbidden: the test forbids it"},
		{"no answer about the user", "POST /apis/authentication.k8s.io/v1/selfsubjectreviews", []string{kubeconfig, "--kinds=deployments.apps"},
			"ask the API server for the own user name: forbidden: the test forbids it"},
		{"no certificate", "", []string{kubeconfig, "--kinds=deployments.apps", "--certs=files", "--cert-dir=" + dir},
			"--certs=files: read tls.crt and tls.key in --cert-dir: open " + dir + "/tls.crt: no such file or directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ownMetrics(t)
			server.forbid(c.forbidden)
			o := parsed(t, append([]string{"--metrics-bind-address=0", "--health-probe-bind-address=0"}, c.args...)...)
			var logged lines
			if got := fmt.Sprint(run(t.Context(), *o, logged.log())); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
			if got := logged.errors(); len(got) > 0 {
				t.Errorf("errors were logged: %q", got)
			}
		})
	}
}
