package rights

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/e2e/cluster"
)

// policyOf makes the API server write down what one user asks for. Of the questions about its own rights it writes down the answers, too.
const policyOf = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
  - {level: RequestResponse, users: [%[1]q], resources: [{group: authorization.k8s.io}]}
  - {level: Metadata, users: [%[1]q]}
  - {level: None}
`

// Request is one request of the user, as it was judged.
type Request struct {
	Grant
	Namespace string
	// At is when it was received; zero for a question.
	At time.Time
	// Denied is RBAC's judgement. Asked says that there was no request, but the question whether there may be one.
	Denied, Asked bool
}

// Log is an audit log under way. It is read by one goroutine.
type Log struct {
	path   string
	offset int64
}

// NewLog prepares the log of a user in a folder, and returns the flags that make an API server write it.
func NewLog(dir, user string) (*Log, []string, error) {
	policy := filepath.Join(dir, "audit-policy.yaml")
	if err := os.WriteFile(policy, fmt.Appendf(nil, policyOf, user), 0o600); err != nil {
		return nil, nil, err
	}
	l := &Log{path: filepath.Join(dir, "audit.log")}
	return l, []string{"--audit-policy-file=" + policy, "--audit-log-path=" + l.path}, nil
}

// Options are those of a cluster whose API server writes the log.
func Options(flags []string) cluster.Options {
	return cluster.Options{Args: map[string][]string{cluster.APIServer: flags}}
}

// event is what matters of an audit event.
type event struct {
	Verb        string            `json:"verb"`
	Annotations map[string]string `json:"annotations"`
	Received    metav1.MicroTime  `json:"requestReceivedTimestamp"`
	ObjectRef   *struct {
		Resource, Subresource, Namespace, Name, APIGroup string
	} `json:"objectRef"`
	ResponseObject json.RawMessage `json:"responseObject"`
	ResponseStatus struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"responseStatus"`
}

// Read returns the requests since the last call. A watch is there when it begins and again when it ends.
func (l *Log) Read() ([]Request, error) {
	file, err := os.Open(l.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if _, err := file.Seek(l.offset, io.SeekStart); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return nil, err
	}
	data = data[:bytes.LastIndexByte(data, '\n')+1] // a line may be half written
	l.offset += int64(len(data))
	var requests []Request
	for line := range bytes.Lines(data) {
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("the audit log has %q: %w", line, err)
		}
		requests = append(requests, e.requests()...)
	}
	return requests, nil
}

const selfReview = "selfsubjectaccessreviews"

// requests are the request itself, and what it asks about: a right that the API server says is missing is one that the autoscaler then does not try to use.
func (e event) requests() []Request {
	if e.ObjectRef == nil {
		return nil
	}
	resource := e.ObjectRef.Resource
	if e.ObjectRef.Subresource != "" {
		resource += "/" + e.ObjectRef.Subresource
	}
	all := []Request{{
		Grant:     Grant{e.ObjectRef.APIGroup, resource, e.Verb, e.ObjectRef.Name},
		Namespace: e.ObjectRef.Namespace, At: e.Received.Time, Denied: e.Annotations["authorization.k8s.io/decision"] == "forbid",
	}}
	if refused := e.ResponseStatus.Code == http.StatusForbidden && strings.Contains(e.ResponseStatus.Message, " cannot create resource "); e.Verb == "patch" && (refused || e.ResponseStatus.Code == http.StatusCreated) {
		// A server-side apply of what is not there is a creation, too, which is judged in the middle of the request.
		all = append(all, Request{Grant: Grant{e.ObjectRef.APIGroup, resource, "create", ""}, Namespace: e.ObjectRef.Namespace, At: e.Received.Time, Denied: refused})
	}
	var review authorizationv1.SelfSubjectAccessReview
	if resource != selfReview || json.Unmarshal(e.ResponseObject, &review) != nil || review.Spec.ResourceAttributes == nil {
		return all
	}
	asked := review.Spec.ResourceAttributes
	if !review.Status.Allowed {
		all = append(all, Request{Grant: Grant{asked.Group, asked.Resource, asked.Verb, asked.Name}, Namespace: asked.Namespace, Denied: true, Asked: true})
	}
	return all
}
