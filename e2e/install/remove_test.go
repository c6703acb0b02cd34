package install_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"autoscale.io/annotations"
	"autoscale.io/e2e/product"
)

// bundle is the authority that the webhook configuration names.
func (l *lab) bundle(t *testing.T) []byte {
	t.Helper()
	config, err := l.kube.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(t.Context(), product.WebhookConfig, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return config.Webhooks[0].ClientConfig.CABundle
}

// awaitWebhook waits until the webhook stamps what is created, and returns the authority by which the API server trusts it.
func (l *lab) awaitWebhook(t *testing.T, namespace string) []byte {
	t.Helper()
	probe := l.deployment(t, namespace, fmt.Sprintf("probe-%d", time.Now().UnixNano()))
	await(t, "the webhook stamps a Deployment", func(ctx context.Context) error {
		d, err := l.kube.AppsV1().Deployments(namespace).Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil && d.Labels[annotations.Bucket] == "" {
			return errors.New("it has no label")
		}
		return err
	})
	return l.bundle(t)
}

// sleeper creates a workload without work, and waits until the autoscaler has taken it to zero.
func (l *lab) sleeper(t *testing.T, namespace, name string) {
	t.Helper()
	d := l.deployment(t, namespace, name)
	stream := t.Name() + ":" + namespace + ":" + name
	if err := l.redis.Client().Del(t.Context(), stream).Err(); err != nil {
		t.Fatal(err)
	}
	if err := l.redis.Client().XGroupCreateMkStream(t.Context(), stream, "workers", "0").Err(); err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{"min-replicas": "0", "cooldown": "1s", "behavior": "{scaleDown: {stabilizationWindowSeconds: 0}}"} {
		d.Annotations[annotations.Prefix+key] = value
	}
	if _, err := l.kube.AppsV1().Deployments(namespace).Create(t.Context(), d, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	l.awaitReplicas(t, namespace, name, 0)
}

// wantFree looks whether a workload that is there, and one to come, are as Kubernetes itself would have them, each request within a time.
func (l *lab) wantFree(t *testing.T, namespace, name string, within time.Duration) {
	t.Helper()
	for what, do := range map[string]func(){
		"create": func() { l.create(t, namespace, "new-"+name) },
		"deploy": func() {
			l.patch(t, namespace, name, `{"spec":{"template":{"spec":{"containers":[{"name":"worker","image":"worker:2"}]}}}}`)
		},
		"annotate": func() { l.patch(t, namespace, name, `{"metadata":{"annotations":{"autoscale.io/max-replicas":"7"}}}`) },
		"scale":    func() { l.patch(t, namespace, name, `{"spec":{"replicas":5}}`, "scale") },
	} {
		began := time.Now()
		do()
		if took := time.Since(began); took > within {
			t.Errorf("%s took %s, want at most %s", what, took, within)
		}
	}
	for name, replicas := range map[string]int32{name: 5, "new-" + name: written} {
		await(t, name+" has its pods", func(ctx context.Context) error {
			d, err := l.kube.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
			if err == nil && (d.Status.ObservedGeneration != d.Generation || *d.Spec.Replicas != replicas || d.Status.UpdatedReplicas != replicas || d.Status.AvailableReplicas != replicas) {
				return fmt.Errorf("%d replicas are asked for, %d are updated and %d available; want %d", *d.Spec.Replicas, d.Status.UpdatedReplicas, d.Status.AvailableReplicas, replicas)
			}
			return err
		})
	}
}

// installed are the objects of the manifests as they are in the cluster, but for what Kubernetes notes on them.
func (l *lab) installed(t *testing.T, manifests string) map[string]string {
	t.Helper()
	list := decode(t, []byte(l.must(t, "get", "-k", manifests, "-o", "json")))
	for _, object := range list {
		object.SetManagedFields(nil)
		object.SetResourceVersion("")
		unstructured.RemoveNestedField(object.Object, "status")
	}
	return byName(t, list)
}

// wantNothing looks for what an install has left in the cluster.
func (l *lab) wantNothing(t *testing.T) {
	t.Helper()
	out := l.must(t, "get", "--all-namespaces", "-o", "name", "clusterroles,clusterrolebindings,roles,rolebindings,mutatingwebhookconfigurations,"+
		"validatingadmissionpolicies,validatingadmissionpolicybindings,serviceaccounts,services,networkpolicies,poddisruptionbudgets")
	if left := regexp.MustCompile(`(?m)^.*/autoscale(?:r|\.io).*$`).FindAllString(out, -1); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// removeAfter takes an install away when the test ends, what is left of it by then.
func (l *lab) removeAfter(t *testing.T, dir string) {
	t.Helper()
	t.Cleanup(func() {
		if _, err := l.run(context.Background(), "delete", "--ignore-not-found", "-k", dir); err != nil {
			t.Error(err)
		}
	})
}

func withKubectl(t *testing.T, l *lab) {
	manifests := filepath.Join(root(t), "manifests")
	l.must(t, "apply", "--validate=strict", "-k", manifests)
	l.removeAfter(t, manifests)
	// The pods have been admitted, since KWOK has them ready; and no others would be.
	l.must(t, "--namespace", product.Namespace, "rollout", "status", "deployment/autoscaler", "--timeout=30s")
	refused := regexp.MustCompile(`pods "intruder" is forbidden: violates PodSecurity "restricted:latest": `)
	if _, err := l.run(t.Context(), "--namespace", product.Namespace, "run", "intruder", "--image=intruder"); err == nil || !refused.MatchString(err.Error()) {
		t.Errorf("a pod that may be root's is admitted beside the autoscaler: %v", err)
	}
	autoscaler := l.start(t, "first")
	l.namespace(t, "shop")
	seen := l.record(t, "shop")
	before := l.awaitWebhook(t, "shop")
	l.create(t, "shop", "web")
	l.awaitReplicas(t, "shop", "web", wanted)
	l.sleeper(t, "shop", "asleep")
	// kubectl sends a patch for some objects all the same, which changes nothing in them.
	kept := l.installed(t, manifests)
	l.must(t, "apply", "-k", manifests)
	for name, now := range l.installed(t, manifests) {
		if now != kept[name] {
			t.Errorf("the same manifests again change %s from\n%s\nto\n%s", name, kept[name], now)
		}
	}
	if after := l.awaitWebhook(t, "shop"); !bytes.Equal(after, before) {
		t.Errorf("the same manifests again change the webhook's authority from\n%s\nto\n%s", before, after)
	}
	l.must(t, "delete", "-k", manifests)
	l.wantNothing(t)
	// The pods would have ended with their namespace.
	if err := autoscaler.Stop(); err != nil {
		t.Error(err)
	}
	seen.want(t, "web", written, wanted)
	seen.want(t, "asleep", written, 1, 0)
	l.wantFree(t, "shop", "web", time.Second)
	l.wantFree(t, "shop", "asleep", time.Second)
	seen.want(t, "web", written, wanted, 5)
	seen.want(t, "asleep", written, 1, 0, 5)
	seen.want(t, "new-web", written)
}

// vanished has the autoscaler killed, and then its namespace deleted, with everything else left as it is.
func vanished(t *testing.T, l *lab) {
	manifests := filepath.Join(root(t), "manifests")
	l.must(t, "apply", "-k", manifests)
	l.removeAfter(t, manifests)
	autoscaler := l.start(t, "first")
	l.namespace(t, "shop")
	seen := l.record(t, "shop")
	l.awaitWebhook(t, "shop")
	for _, name := range []string{"web", "api"} {
		l.create(t, "shop", name)
		l.awaitReplicas(t, "shop", name, wanted)
	}
	if err := autoscaler.Kill(); err != nil {
		t.Fatal(err)
	}
	if len(l.bundle(t)) == 0 {
		t.Error("the webhook configuration trusts nobody, so it is no test")
	}
	// The API server finds nobody at the address, which it need not wait for.
	l.wantFree(t, "shop", "web", time.Second)
	l.must(t, "delete", "namespace", product.Namespace)
	l.wantFree(t, "shop", "api", time.Second)
	for _, name := range []string{"web", "api"} {
		seen.want(t, name, written, wanted, 5)
		seen.want(t, "new-"+name, written)
	}
}
