package world

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/annotations"
	"autoscale.io/scalers/scalertest/ports"
)

// Numbered are n names.
func Numbered(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%04d", prefix, i)
	}
	return names
}

// Each does something for many names, many at a time.
func (w *World) Each(names []string, do func(ctx context.Context, i int) error) {
	w.T.Helper()
	const atOnce = 16
	group, ctx := errgroup.WithContext(w.T.Context())
	group.SetLimit(atOnce)
	for i, name := range names {
		group.Go(func() error {
			if err := do(ctx, i); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		w.T.Fatal(err)
	}
}

// DeployAll creates many Deployments. They are paused, which keeps their controller from making pods: it is the counts that matter. Those of a class have the label
// that the webhook of its install would give them, so that none of them waits for a sweep.
func (w *World) DeployAll(names []string, replicas int32, settings func(i int) Settings) {
	w.T.Helper()
	w.Each(names, func(ctx context.Context, i int) error {
		s := settings(i)
		d := w.Deployment(names[i], replicas, s)
		d.Spec.Paused = true
		if class := s["class"]; class != "" {
			d.Labels = map[string]string{annotations.Bucket: annotations.BucketLabel(class, annotations.BucketOf("apps", "Deployment", w.Namespace, names[i]))}
		}
		_, err := w.Kube.AppsV1().Deployments(w.Namespace).Create(ctx, d, metav1.CreateOptions{})
		return err
	})
}

// Look is the time between two looks at the metrics of many workloads, which the autoscaler takes a while to write.
const Look = 500 * time.Millisecond

// AwaitDecided waits until n workloads of the case have been decided on since then.
func (w *World) AwaitDecided(n int, since time.Time, within time.Duration) {
	w.T.Helper()
	w.AwaitEvery(Look, fmt.Sprintf("decisions about %d workloads", n), within, func(ctx context.Context) error {
		decided, err := w.Scaler.Decided(ctx, w.Namespace)
		if err != nil {
			return err
		}
		have := 0
		for _, at := range decided {
			if at.After(since) {
				have++
			}
		}
		if have != n {
			return fmt.Errorf("there are %d", have)
		}
		return nil
	})
}

// ClosedAddress is a port of this host that nobody listens on.
func (w *World) ClosedAddress() string {
	w.T.Helper()
	address, err := ports.Reserve()
	if err != nil {
		w.T.Fatal(err)
	}
	return address.String()
}
