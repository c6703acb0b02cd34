package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"autoscale.io/e2e/product"
)

// account is the autoscaler's, as the API server knows it.
const account = "system:serviceaccount:" + product.Namespace + ":" + product.ServiceAccount

// auditPolicy logs every write of a count, whoever makes it, and whatever else the autoscaler writes, leases left out.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    resources: [{group: coordination.k8s.io, resources: [leases]}]
  - level: Request
    verbs: [patch]
    resources: [{group: apps, resources: [deployments/scale]}]
  - level: Metadata
    users: ["` + account + `"]
    verbs: [create, update, patch, delete, deletecollection]
  - level: None
`

// auditLog is what the API server says that was written, and when it had answered. Unlike a watch it is not late when the API server has many watchers to tell,
// and following it costs the API server nothing.
type auditLog struct {
	path string
	// read is how far the file has been read.
	read int64
	// writes of the autoscaler so far.
	writes int
	counts map[types.NamespacedName][]count
}

func newAuditLog(path string) *auditLog {
	return &auditLog{path: path, counts: map[types.NamespacedName][]count{}}
}

// count is one write of a workload's count.
type count struct {
	replicas int32
	at       time.Time
}

// auditEvent is what is used of audit.k8s.io/v1 Event.
type auditEvent struct {
	User           struct{ Username string }
	ObjectRef      struct{ Namespace, Name, Subresource string }
	ResponseStatus struct{ Code int }
	RequestObject  struct{ Spec struct{ Replicas *int32 } }
	StageTimestamp time.Time
}

// follow takes in what has been written since the last call.
func (a *auditLog) follow() error {
	file, err := os.Open(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing has been logged yet
	}
	if err != nil {
		return fmt.Errorf("read the audit log: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("read the audit log: %w", err)
	}
	if info.Size() < a.read {
		return fmt.Errorf("read the audit log: the API server has begun another one, and what came between is not counted")
	}
	more := make([]byte, info.Size()-a.read)
	n, err := file.ReadAt(more, a.read)
	if n < len(more) {
		return fmt.Errorf("read the audit log: %w", err)
	}
	for line := range bytes.Lines(more) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // it is being written
		}
		a.read += int64(len(line))
		if err := a.take(line); err != nil {
			return err
		}
	}
	return nil
}

func (a *auditLog) take(line []byte) error {
	var e auditEvent
	if err := json.Unmarshal(line, &e); err != nil {
		return fmt.Errorf("read the audit log: %w", err)
	}
	if e.User.Username == account {
		a.writes++
	}
	if to := e.RequestObject.Spec.Replicas; e.ObjectRef.Subresource == "scale" && to != nil && e.ResponseStatus.Code == http.StatusOK {
		key := types.NamespacedName{Namespace: e.ObjectRef.Namespace, Name: e.ObjectRef.Name}
		a.counts[key] = append(a.counts[key], count{*to, e.StageTimestamp})
	}
	return nil
}

// await waits until at least so many replicas have been written for every one of keys, and returns when the API server had first done so for each.
func (a *auditLog) await(ctx context.Context, replicas int32, within time.Duration, keys ...types.NamespacedName) ([]time.Time, error) {
	at := make([]time.Time, len(keys))
	for end := time.Now().Add(within); ; pause(ctx, 5*time.Millisecond) {
		if err := a.follow(); err != nil {
			return nil, err
		}
		missing := 0
		for i, key := range keys {
			if at[i].IsZero() {
				at[i] = a.first(key, replicas)
			}
			if at[i].IsZero() {
				missing++
			}
		}
		switch {
		case missing == 0:
			return at, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case time.Now().After(end):
			return nil, fmt.Errorf("%d of %d workloads are still below %d replicas after %s, the first of %v", missing, len(keys), replicas, within, keys[:min(3, len(keys))])
		}
	}
}

// first is when a workload was first given so many replicas; zero when it was not.
func (a *auditLog) first(key types.NamespacedName, replicas int32) time.Time {
	for _, c := range a.counts[key] {
		if c.replicas >= replicas {
			return c.at
		}
	}
	return time.Time{}
}
