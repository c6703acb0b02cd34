package world

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/annotations"
	"autoscale.io/scaling/report"
)

// Secret creates or replaces a Secret of the case with the key password.
func (w *World) Secret(name, password string) {
	w.T.Helper()
	secrets := w.Kube.CoreV1().Secrets(w.Namespace)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: map[string]string{"password": password}}
	_, err := secrets.Create(w.T.Context(), secret, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		_, err = secrets.Update(w.T.Context(), secret, metav1.UpdateOptions{})
	}
	if err != nil {
		w.T.Fatalf("write Secret %s: %v", name, err)
	}
}

// AwaitKnown waits until a trigger can ("1") or cannot ("0") be read.
func (w *World) AwaitKnown(name, trigger, want string) {
	w.T.Helper()
	w.Await(fmt.Sprintf("trigger %s of %s known=%s", trigger, name, want), Soon, func(ctx context.Context) error {
		got, err := w.Metric(ctx, "autoscale_trigger_known", name, `trigger="`+trigger+`"`)
		if err == nil && got != want {
			err = fmt.Errorf("it is %s", got)
		}
		return err
	})
}

// WantRefused creates a Deployment that the webhook must refuse with a text that matches.
func (w *World) WantRefused(d *appsv1.Deployment, pattern string) {
	w.T.Helper()
	_, err := w.Kube.AppsV1().Deployments(w.Namespace).Create(w.T.Context(), d, metav1.CreateOptions{})
	if err == nil {
		w.T.Fatalf("%s was accepted, want it refused with %q", d.Name, pattern)
	}
	if !regexp.MustCompile(pattern).MatchString(err.Error()) {
		w.T.Fatalf("%s was refused with %q, want a text like %q", d.Name, err, pattern)
	}
}

// WantReleased waits until nothing of the autoscaler's is left on a Deployment.
func (w *World) WantReleased(name string) {
	w.T.Helper()
	w.Await(name+" is released", Soon, func(context.Context) error {
		d := w.Get(name)
		for _, keys := range []map[string]string{d.Labels, d.Annotations} {
			for key := range keys {
				if strings.HasPrefix(key, annotations.Prefix) {
					return fmt.Errorf("it still has %s", key)
				}
			}
		}
		return nil
	})
}

// WantManaged waits until a Deployment carries the label.
func (w *World) WantManaged(name string) {
	w.T.Helper()
	w.Await(name+" is managed", Soon, func(context.Context) error {
		if w.Get(name).Labels[annotations.Bucket] == "" {
			return fmt.Errorf("it has no label %s", annotations.Bucket)
		}
		return nil
	})
}

// FirstFall is when a Deployment's count first became less than before.
func (w *World) FirstFall(name string) time.Time {
	w.Changes.mu.Lock()
	defer w.Changes.mu.Unlock()
	list := w.Changes.seen[name]
	for i := 1; i < len(list); i++ {
		if list[i].Replicas < list[i-1].Replicas {
			return list[i].At
		}
	}
	return time.Time{}
}

// CreateDeployment creates a Deployment as it is.
func (w *World) CreateDeployment(d *appsv1.Deployment) {
	w.T.Helper()
	if _, err := w.Kube.AppsV1().Deployments(w.Namespace).Create(w.T.Context(), d, metav1.CreateOptions{}); err != nil {
		w.T.Fatalf("create %s: %v", d.Name, err)
	}
}

// DeleteNow are the options of a deletion without a grace period.
func DeleteNow() metav1.DeleteOptions {
	now := int64(0)
	return metav1.DeleteOptions{GracePeriodSeconds: &now}
}

// condition reads one condition from the status of a Deployment.
func (w *World) condition(name, kind string) (report.Condition, error) {
	for _, c := range report.Parse(w.Get(name).Annotations[annotations.StatusKey]) {
		if c.Type == kind {
			return c, nil
		}
	}
	return report.Condition{}, fmt.Errorf("it has no condition %s", kind)
}

// AwaitCondition waits until the status of a Deployment says so.
func (w *World) AwaitCondition(name, kind, status, reason string) {
	w.T.Helper()
	w.Await(fmt.Sprintf("condition %s=%s (%s) on %s", kind, status, reason, name), Soon, func(context.Context) error {
		c, err := w.condition(name, kind)
		if err == nil && (c.Status != status || c.Reason != reason) {
			err = fmt.Errorf("it is %s (%s)", c.Status, c.Reason)
		}
		return err
	})
}

// AwaitMessage waits until the message of a condition matches.
func (w *World) AwaitMessage(name, kind, pattern string) {
	w.T.Helper()
	w.Await(fmt.Sprintf("a message of condition %s on %s", kind, name), Soon, func(context.Context) error {
		c, err := w.condition(name, kind)
		if err == nil && !regexp.MustCompile(pattern).MatchString(c.Message) {
			err = fmt.Errorf("it is %q", c.Message)
		}
		return err
	})
}
