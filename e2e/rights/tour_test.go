package rights

import (
	"fmt"
	"maps"
	"testing"

	"github.com/redis/go-redis/v9"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"autoscale.io/e2e/product"
	"autoscale.io/scaling/shards"
)

const (
	work    = "work"
	trigger = "{type: redis-streams, %s, passwordFrom: {secret: redis, key: password}, stream: work, target: 5}"
	byMap   = "addressFrom: {configMap: redis, key: address}"
	byEnv   = "addressFromEnv: REDIS"
)

func settings(more map[string]string) map[string]string {
	all := map[string]string{
		"autoscale.io/min-replicas": "0", "autoscale.io/max-replicas": "6", "autoscale.io/polling-interval": "1s", "autoscale.io/cooldown": "1s",
		"autoscale.io/behavior": "{scaleDown: {stabilizationWindowSeconds: 0}}", "autoscale.io/trigger.work": fmt.Sprintf(trigger, byMap),
	}
	maps.Copy(all, more)
	return all
}

func meta(name string, more map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Annotations: settings(more)}
}

// pods end at once, or never.
func (l *lab) pods(name string, stay bool) corev1.PodTemplateSpec {
	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "worker", Image: "worker", Env: []corev1.EnvVar{{Name: "REDIS", Value: l.redis.Addr()}},
		}}},
	}
	if stay {
		template.Annotations = map[string]string{"pod-complete.stage.kwok.x-k8s.io/delay": "10h"}
	}
	return template
}

// stops makes one workload for everything that the autoscaler does, but cpu and memory.
func (l *lab) stops(t *testing.T) {
	t.Helper()
	create := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, now, ns := t.Context(), metav1.CreateOptions{}, l.namespace
	_, err := l.kube.CoreV1().Secrets(ns).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "redis"}, StringData: map[string]string{"password": password}}, now)
	create(err)
	_, err = l.kube.CoreV1().ConfigMaps(ns).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "redis"}, Data: map[string]string{"address": l.redis.Addr()}}, now)
	create(err)
	_, err = l.kube.AppsV1().Deployments(ns).Create(ctx, &appsv1.Deployment{ObjectMeta: meta("web", nil), Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}, Template: l.pods("web", true),
	}}, now)
	create(err)
	_, err = l.kube.AppsV1().StatefulSets(ns).Create(ctx, &appsv1.StatefulSet{
		ObjectMeta: meta("db", map[string]string{"autoscale.io/trigger.work": fmt.Sprintf(trigger, byEnv)}),
		Spec:       appsv1.StatefulSetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}}, Template: l.pods("db", true)},
	}, now)
	create(err)
	resized := &batchv1.Job{ObjectMeta: meta("resized", nil), Spec: batchv1.JobSpec{Completions: ptr.To[int32](50), Template: l.pods("resized", true)}}
	resized.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	_, err = l.kube.BatchV1().Jobs(ns).Create(ctx, resized, now)
	create(err)
	spawned := batchv1.JobSpec{Template: l.pods("template", false)}
	spawned.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	template := meta("template", map[string]string{
		"autoscale.io/job-mode": "spawn", "autoscale.io/max-replicas": "2", "autoscale.io/successful-jobs-history-limit": "0",
	})
	for _, key := range []string{"behavior", "cooldown"} {
		delete(template.Annotations, "autoscale.io/"+key)
	}
	_, err = l.kube.BatchV1().CronJobs(ns).Create(ctx, &batchv1.CronJob{ObjectMeta: template, Spec: batchv1.CronJobSpec{
		Schedule: "0 0 1 1 *", Suspend: ptr.To(true), JobTemplate: batchv1.JobTemplateSpec{Spec: spawned},
	}}, now)
	create(err)
	_, err = l.kube.AutoscalingV2().HorizontalPodAutoscalers(ns).Create(ctx, &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "other"}, Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "nobody"}, MaxReplicas: 3,
	}}, now)
	create(err)
}

// usage makes a workload that is scaled on cpu.
func (l *lab) usage(t *testing.T) {
	t.Helper()
	d := &appsv1.Deployment{ObjectMeta: meta("busy", map[string]string{"autoscale.io/min-replicas": "1", "autoscale.io/cpu": "500m"}), Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "busy"}}, Template: l.pods("busy", true),
	}}
	if _, err := l.kube.AppsV1().Deployments(l.namespace).Create(t.Context(), d, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (l *lab) endUsage(t *testing.T) {
	t.Helper()
	if err := l.kube.AppsV1().Deployments(l.namespace).Delete(t.Context(), "busy", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

// stir makes something happen: work comes and goes, a person scales, and what the autoscaler keeps is spoilt. What is not there yet cannot be spoilt, so errors of that
// are of no interest.
func (l *lab) stir(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	l.strokes++
	switch client := l.redis.Client(); l.strokes % 12 {
	case 1:
		for range 20 {
			if err := client.XAdd(ctx, &redis.XAddArgs{Stream: work, Values: []string{"k", "v"}}).Err(); err != nil {
				t.Fatal(err)
			}
		}
	case 7:
		if err := client.XTrimMaxLen(ctx, work, 0).Err(); err != nil {
			t.Fatal(err)
		}
	case 3:
		_, _ = l.kube.AppsV1().Deployments(l.namespace).Patch(ctx, "web", types.MergePatchType, []byte(`{"spec":{"replicas":2}}`), metav1.PatchOptions{}, "scale")
	case 5:
		_, _ = l.kube.CoreV1().Secrets(product.Namespace).Patch(ctx, product.CertificateSecret, types.MergePatchType, []byte(`{"data":{"tls.crt":"c3BvaWx0"}}`), metav1.PatchOptions{})
	case 9:
		_, _ = l.kube.AdmissionregistrationV1().MutatingWebhookConfigurations().Patch(ctx, product.WebhookConfig, types.JSONPatchType,
			[]byte(`[{"op":"remove","path":"/webhooks/0/clientConfig/caBundle"}]`), metav1.PatchOptions{})
	case 11:
		_, _ = l.kube.CoordinationV1().Leases(product.Namespace).Create(ctx, deadReplica(), metav1.CreateOptions{})
	}
}

// deadReplica is what a replica leaves behind that was killed; others delete it in time.
func deadReplica() *coordinationv1.Lease {
	now := metav1.NowMicro()
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: "autoscaler-replica-dead", Labels: map[string]string{shards.Label: ""}},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: ptr.To("dead"), LeaseDurationSeconds: ptr.To[int32](4), AcquireTime: &now, RenewTime: &now},
	}
}
