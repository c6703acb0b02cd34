package target_test

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/annotations/schema"
	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/target"
)

type settings = scalingtest.Settings

func keyRef(name, key string) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key}}
}

func named(name string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: name} }

func TestReferences(t *testing.T) {
	d := scalingtest.Deployment("worker", 1, nil)
	d.Spec.Template.Spec.Containers = []corev1.Container{
		{Name: "app", Env: []corev1.EnvVar{
			{Name: "PLAIN", Value: "text"}, {Name: "EMPTY"}, {Name: "PASSWORD", ValueFrom: keyRef("redis", "password")},
			{Name: "HOST", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: named("config"), Key: "host"}}},
			{Name: "URL", Value: "redis://:$(PASSWORD)@$(HOST):6379"}, {Name: "CIRCLE", Value: "$(CIRCLE)"},
			{Name: "POD", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}},
		}, EnvFrom: []corev1.EnvFromSource{
			{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: named("config")}},
			{Prefix: "R_", SecretRef: &corev1.SecretEnvSource{LocalObjectReference: named("redis")}},
			{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: named("late")}}, {},
		}},
		{Name: "proxy", Env: []corev1.EnvVar{{Name: "PLAIN", Value: "other"}}},
	}
	objects := []*corev1.Secret{
		{ObjectMeta: metav1.ObjectMeta{Name: "redis"}, Data: map[string][]byte{"password": []byte("s3cret"), "empty": {}, "both": []byte("redis")}},
		{ObjectMeta: metav1.ObjectMeta{Name: "late"}, Data: map[string][]byte{"both": []byte("late")}},
	}
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "config"}, Data: map[string]string{"host": "db", "both": "config", "only": "config"}}
	for _, test := range []struct {
		name, container string
		ref             schema.Ref
		want, err       string
	}{
		{name: "a Secret", ref: schema.Ref{Secret: "redis", Key: "password"}, want: "s3cret"},
		{name: "no Secret", ref: schema.Ref{Secret: "none", Key: "password"}, err: `read Secret shop/none: secrets "none" not found`},
		{name: "no key", ref: schema.Ref{Secret: "redis", Key: "none"}, err: `Secret shop/redis has no key "none", or it is empty`},
		{name: "an empty key", ref: schema.Ref{Secret: "redis", Key: "empty"}, err: `Secret shop/redis has no key "empty", or it is empty`},
		{name: "a ConfigMap", ref: schema.Ref{ConfigMap: "config", Key: "host"}, want: "db"},
		{name: "no ConfigMap", ref: schema.Ref{ConfigMap: "none", Key: "host"}, err: `read ConfigMap shop/none: configmaps "none" not found`},
		{name: "no key of a ConfigMap", ref: schema.Ref{ConfigMap: "config", Key: "none"}, err: `ConfigMap shop/config has no key "none", or it is empty`},
		{name: "a variable", ref: schema.Ref{Env: "PLAIN"}, want: "text"},
		{name: "of another container", container: "proxy", ref: schema.Ref{Env: "PLAIN"}, want: "other"},
		{name: "of no container", container: "none", ref: schema.Ref{Env: "PLAIN"}, err: "deployments.apps shop/worker has no container named none; see the annotation env-container"},
		{name: "an empty variable", ref: schema.Ref{Env: "EMPTY"}, err: `container app has no key "EMPTY", or it is empty`},
		{name: "expanded", ref: schema.Ref{Env: "URL"}, want: "redis://:s3cret@db:6379"},
		{name: "in a circle", ref: schema.Ref{Env: "CIRCLE"}, err: "variable CIRCLE of container app refers to itself"},
		{name: "of a field", ref: schema.Ref{Env: "POD"}, err: "variable POD of container app is neither a plain value nor a key of a Secret or ConfigMap"},
		{name: "the last source wins", ref: schema.Ref{Env: "both"}, want: "late"},
		{name: "of the one source that has it", ref: schema.Ref{Env: "only"}, want: "config"},
		{name: "with a prefix", ref: schema.Ref{Env: "R_password"}, want: "s3cret"},
		{name: "a prefix alone", ref: schema.Ref{Env: "R_"}, err: "container app of deployments.apps shop/worker has no variable R_ that can be read"},
	} {
		t.Run(test.name, func(t *testing.T) {
			run(t, func(b *bench) {
				r := target.References{Core: b.clients.Kube.CoreV1(), Dynamic: b.clients.Dynamic, Key: deployment("worker"), Container: test.container}
				got, err := r.Resolve(t.Context(), test.ref)
				if got != test.want && test.err == "" || (test.err != "") != (err != nil) || err != nil && err.Error() != test.err {
					t.Errorf("got %q and the error %v\nwant %q and %s", got, err, test.want, test.err)
				}
			}, d, objects[0], objects[1], config)
		})
	}
}

func TestTheEnvironmentOfOtherObjects(t *testing.T) {
	cron := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: "mail"}, Spec: batchv1.CronJobSpec{Schedule: "@yearly"}}
	cron.Spec.JobTemplate.Spec.Template.Spec.Containers = []corev1.Container{{Name: "app", Env: []corev1.EnvVar{{Name: "PLAIN", Value: "text"}}}}
	empty := scalingtest.Deployment("empty", 1, nil)
	empty.Spec.Template.Spec.Containers = nil
	run(t, func(b *bench) {
		r := target.References{Core: b.clients.Kube.CoreV1(), Dynamic: b.clients.Dynamic, Key: keyOf(batchv1.SchemeGroupVersion.WithResource("cronjobs"), "mail")}
		if got, err := r.Resolve(t.Context(), schema.Ref{Env: "PLAIN"}); got != "text" || err != nil {
			t.Errorf("got %q and %v", got, err)
		}
		for name, want := range map[string]string{
			"empty": "deployments.apps shop/empty has no pod template with containers",
			"none":  `read deployments.apps shop/none for its environment: deployments.apps "none" not found`,
		} {
			r.Key = deployment(name)
			_, err := r.Resolve(t.Context(), schema.Ref{Env: "PLAIN"})
			b.wantError(err, want)
		}
	}, cron, empty)
}
