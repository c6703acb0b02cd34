package fieldcases

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/annotations"
	"autoscale.io/scaling/scalingtest"
)

// withoutTimes replaces the times in a message, which depend on when a workload is read: "until TIME (SPAN)".
func withoutTimes(text string) string {
	text = regexp.MustCompile(`(\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\dZ`).ReplaceAllString(text, "TIME")
	return regexp.MustCompile(`\((\d+h)?(\d+m)?\d+s\)`).ReplaceAllString(text, "(SPAN)")
}

// wantTold fails the test unless these are all events about an object so far, each as "Reason: note" without its times.
func wantTold(w *scalingtest.World, name string, want ...string) {
	w.Helper()
	w.Settle()
	var got []string
	for _, e := range w.Events(name) {
		got = append(got, withoutTimes(e.String()))
	}
	if !slices.Equal(got, want) {
		w.Fatalf("the events about %s were\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// wantReported fails the test unless an object has exactly this condition now, once the times are taken from its message.
func wantReported(w *scalingtest.World, name, want string) {
	w.Helper()
	w.Settle()
	var all []string
	for _, c := range w.Status(name) {
		got := withoutTimes(fmt.Sprintf("%s=%s (%s): %s", c.Type, c.Status, c.Reason, c.Message))
		if got == want {
			return
		}
		all = append(all, got)
	}
	w.Fatalf("%s has the conditions\n%s\nwant\n%s", name, strings.Join(all, "\n"), want)
}

// wantReleased fails the test unless nothing of the autoscaler is left on an object.
func wantReleased(w *scalingtest.World, name string) {
	w.Helper()
	w.Settle()
	object := w.Get(name)
	for _, keys := range []map[string]string{object.GetLabels(), object.GetAnnotations()} {
		for key := range keys {
			if strings.HasPrefix(key, annotations.Prefix) {
				w.Fatalf("%s still has %s", name, key)
			}
		}
	}
}

// none are settings that remove every one of these.
func none(of scalingtest.Settings) scalingtest.Settings {
	gone := scalingtest.Settings{}
	for key := range of {
		gone[key] = ""
	}
	return gone
}

// secret is a Secret with a password.
func secret(name, password string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string][]byte{"password": []byte(password)}}
}

// locked is a trigger on a source that wants the password of the Secret redis.
func locked(source string) string {
	return scalingtest.Trigger(source, ", passwordFrom: {secret: redis, key: password}")
}
