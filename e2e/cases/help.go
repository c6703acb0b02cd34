package cases

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

// secret creates or replaces a Secret of the case with the key password.
func (w *World) secret(name, password string) {
	w.t.Helper()
	secrets := w.kube.CoreV1().Secrets(w.Namespace)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: map[string]string{"password": password}}
	_, err := secrets.Create(w.t.Context(), secret, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		_, err = secrets.Update(w.t.Context(), secret, metav1.UpdateOptions{})
	}
	if err != nil {
		w.t.Fatalf("write Secret %s: %v", name, err)
	}
}

// awaitKnown waits until a trigger can ("1") or cannot ("0") be read.
func (w *World) awaitKnown(name, trigger, want string) {
	w.t.Helper()
	w.await(fmt.Sprintf("trigger %s of %s known=%s", trigger, name, want), soon, func(ctx context.Context) error {
		got, err := w.metric(ctx, "autoscale_trigger_known", name, `trigger="`+trigger+`"`)
		if err == nil && got != want {
			err = fmt.Errorf("it is %s", got)
		}
		return err
	})
}

// wantRefused creates a Deployment that the webhook must refuse with a text that matches.
func (w *World) wantRefused(d *appsv1.Deployment, pattern string) {
	w.t.Helper()
	_, err := w.kube.AppsV1().Deployments(w.Namespace).Create(w.t.Context(), d, metav1.CreateOptions{})
	if err == nil {
		w.t.Fatalf("%s was accepted, want it refused with %q", d.Name, pattern)
	}
	if !regexp.MustCompile(pattern).MatchString(err.Error()) {
		w.t.Fatalf("%s was refused with %q, want a text like %q", d.Name, err, pattern)
	}
}

// wantReleased waits until nothing of the autoscaler's is left on a Deployment.
func (w *World) wantReleased(name string) {
	w.t.Helper()
	w.await(name+" is released", soon, func(context.Context) error {
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

// wantManaged waits until a Deployment carries the label.
func (w *World) wantManaged(name string) {
	w.t.Helper()
	w.await(name+" is managed", soon, func(context.Context) error {
		if w.Get(name).Labels[annotations.Bucket] == "" {
			return fmt.Errorf("it has no label %s", annotations.Bucket)
		}
		return nil
	})
}

// firstFall is when a Deployment's count first became less than before.
func (w *World) firstFall(name string) time.Time {
	w.changes.mu.Lock()
	defer w.changes.mu.Unlock()
	list := w.changes.seen[name]
	for i := 1; i < len(list); i++ {
		if list[i].replicas < list[i-1].replicas {
			return list[i].at
		}
	}
	return time.Time{}
}

// create creates a Deployment as it is.
func (w *World) create(d *appsv1.Deployment) {
	w.t.Helper()
	if _, err := w.kube.AppsV1().Deployments(w.Namespace).Create(w.t.Context(), d, metav1.CreateOptions{}); err != nil {
		w.t.Fatalf("create %s: %v", d.Name, err)
	}
}

func deleteNow() metav1.DeleteOptions {
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

// awaitCondition waits until the status of a Deployment says so.
func (w *World) awaitCondition(name, kind, status, reason string) {
	w.t.Helper()
	w.await(fmt.Sprintf("condition %s=%s (%s) on %s", kind, status, reason, name), soon, func(context.Context) error {
		c, err := w.condition(name, kind)
		if err == nil && (c.Status != status || c.Reason != reason) {
			err = fmt.Errorf("it is %s (%s)", c.Status, c.Reason)
		}
		return err
	})
}

// awaitMessage waits until the message of a condition matches.
func (w *World) awaitMessage(name, kind, pattern string) {
	w.t.Helper()
	w.await(fmt.Sprintf("a message of condition %s on %s", kind, name), soon, func(context.Context) error {
		c, err := w.condition(name, kind)
		if err == nil && !regexp.MustCompile(pattern).MatchString(c.Message) {
			err = fmt.Errorf("it is %q", c.Message)
		}
		return err
	})
}
