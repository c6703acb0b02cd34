package ha

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"

	"autoscale.io/annotations"
	"autoscale.io/e2e/product"
)

// write is a request that changes something, as seen right before the API server.
type write struct {
	who string
	// at is when it came, and done when it was answered.
	at, done time.Time
	text     string
	status   int
	// bucket is that of the workload, or of the lease, where it is empty for a replica's own; holder is who the lease names.
	bucket, holder string
	isLease        bool
}

func (w write) String() string {
	return fmt.Sprintf("%s–%s %s: %s %d %s", w.at.Format("15:04:05.000"), w.done.Format("05.000"), w.who, w.text, w.status, w.holder)
}

// writeLog is what the replicas of one class have written.
type writeLog struct {
	class string
	mu    sync.Mutex
	all   []write
}

// by wraps a way to the API server that only one replica takes.
func (l *writeLog) by(who string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			next.ServeHTTP(rw, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusBadGateway)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		seen := write{who: who, at: time.Now(), text: r.Method + " " + r.URL.Path}
		relevant := l.describe(&seen, r, body)
		status := &statusWriter{ResponseWriter: rw}
		next.ServeHTTP(status, r)
		seen.done, seen.status = status.at, status.code
		if relevant {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.all = append(l.all, seen)
		}
	})
}

// statusWriter notes the answer in the moment before the replica can know of it.
type statusWriter struct {
	http.ResponseWriter
	code int
	at   time.Time
}

// WriteHeader implements http.ResponseWriter.
func (s *statusWriter) WriteHeader(code int) {
	s.code, s.at = code, time.Now()
	s.ResponseWriter.WriteHeader(code)
}

// Unwrap serves http.ResponseController.
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

var (
	workloadPath = regexp.MustCompile(`^/apis/(apps|batch)/v1/namespaces/([^/]+)/(deployments|statefulsets|jobs|cronjobs)/([^/]+)(/scale)?$`)
	createPath   = regexp.MustCompile(`^/apis/batch/v1/namespaces/[^/]+/jobs$`)
	kinds        = map[string]string{"deployments": "Deployment", "statefulsets": "StatefulSet", "jobs": "Job", "cronjobs": "CronJob"} //nolint:gochecknoglobals // a constant
)

// describe fills in what a request is about; it is false for what does not count, such as events.
func (l *writeLog) describe(w *write, r *http.Request, body []byte) bool {
	if strings.HasPrefix(r.URL.Path, "/apis/coordination.k8s.io/v1/namespaces/"+product.Namespace+"/leases") {
		sent, ok := decoded[*coordinationv1.Lease](body)
		if !ok {
			return false
		}
		w.isLease, w.holder = true, ptr.Deref(sent.Spec.HolderIdentity, "")
		if isBucket(sent.Name) {
			w.bucket = strings.TrimSuffix(strings.TrimPrefix(sent.Name, "autoscaler-bucket-"), "-"+l.class)
		}
		return true
	}
	if path := workloadPath.FindStringSubmatch(r.URL.Path); path != nil && r.Method != http.MethodDelete {
		w.bucket = annotations.BucketOf(path[1], kinds[path[3]], path[2], path[4])
		return true
	}
	if createPath.MatchString(r.URL.Path) {
		sent, ok := decoded[*batchv1.Job](body)
		if !ok || len(sent.OwnerReferences) == 0 {
			return false
		}
		owner := sent.OwnerReferences[0]
		w.bucket = annotations.BucketOf(batchv1.GroupName, owner.Kind, sent.Namespace, owner.Name)
		return true
	}
	return false
}

// decoded is a request's body as an object of a kind, in whatever encoding it was sent.
func decoded[T runtime.Object](body []byte) (T, bool) {
	object, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	typed, ok := object.(T)
	return typed, err == nil && ok
}

// tenure is the time in which a replica held a bucket by the API server's answers.
type tenure struct {
	who string
	// from is when it was taken, and until when it was given back or taken by another.
	from, until time.Time
}

// faults are the writes to workloads that were carried out and that the replica had no right to: it did not hold the bucket all the time, or had not renewed its
// own lease for longer than the deadline.
func (l *writeLog) faults(deadline time.Duration) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	tenures, renewed := l.tenures(), l.renewals()
	var faults []string
	for _, w := range l.all {
		if w.isLease || w.status >= http.StatusMultipleChoices {
			continue
		}
		if !slices.ContainsFunc(tenures[w.bucket], func(t tenure) bool { return t.covers(w) }) {
			faults = append(faults, fmt.Sprintf("without holding bucket %s: %s; it was held by %s", w.bucket, w, tenures[w.bucket]))
		}
		if !slices.ContainsFunc(renewed[w.who], func(at time.Time) bool { return w.at.After(at.Add(-slack)) && w.at.Sub(at) < deadline+slack }) {
			faults = append(faults, fmt.Sprintf("later than %s after its last renewal: %s", deadline, w))
		}
	}
	return faults
}

// slack is between the sending of a request and its arrival here.
const slack = 200 * time.Millisecond

func (t tenure) String() string {
	const exact = "05.000"
	until := "now"
	if !t.until.IsZero() {
		until = t.until.Format(exact)
	}
	return fmt.Sprintf("%s %s–%s", t.who, t.from.Format(exact), until)
}

func (t tenure) covers(w write) bool {
	return t.who == w.who && !w.at.Before(t.from.Add(-slack)) && (t.until.IsZero() || !w.done.After(t.until))
}

// renewals are when the API server had answered those of each replica's own lease.
func (l *writeLog) renewals() map[string][]time.Time {
	renewed := map[string][]time.Time{}
	for _, w := range l.all {
		if w.isLease && w.bucket == "" && w.status < http.StatusMultipleChoices {
			renewed[w.who] = append(renewed[w.who], w.done)
		}
	}
	return renewed
}

func (l *writeLog) tenures() map[string][]tenure {
	leases := slices.DeleteFunc(slices.Clone(l.all), func(w write) bool { return !w.isLease || w.bucket == "" || w.status >= http.StatusMultipleChoices })
	slices.SortFunc(leases, func(a, b write) int { return a.done.Compare(b.done) })
	tenures := map[string][]tenure{}
	for _, w := range leases {
		list := tenures[w.bucket]
		if n := len(list); n > 0 && list[n-1].until.IsZero() {
			if w.holder == list[n-1].who {
				continue
			}
			list[n-1].until = w.at
		}
		if w.holder != "" {
			list = append(list, tenure{who: w.holder, from: w.at})
		}
		tenures[w.bucket] = list
	}
	return tenures
}

// scaled are the writes of counts that were carried out since a time, by replica.
func (l *writeLog) scaled(since time.Time) map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := map[string]int{}
	for _, w := range l.all {
		if strings.HasSuffix(w.text, "/scale") && w.status < http.StatusMultipleChoices && w.at.After(since) {
			n[w.who]++
		}
	}
	return n
}
