package install_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"autoscale.io/annotations"
	"autoscale.io/e2e/product"
)

// byNamespace installs with rights in the namespace shop alone, and has the same workload there and elsewhere.
func byNamespace(t *testing.T, l *lab) {
	overlaid := overlayDir(t, "resources: [%s]\ncomponents: [%s/components/by-namespace]\n")
	l.must(t, "apply", "--validate=strict", "-k", overlaid)
	l.removeAfter(t, overlaid)
	for _, namespace := range []string{"shop", "elsewhere"} {
		l.namespace(t, namespace)
	}
	l.must(t, "apply", "--validate=strict", "--namespace", "shop", "-k", filepath.Join(root(t), "manifests", "in-namespace", "all"))
	autoscaler := l.start(t, "first")
	shop, elsewhere := l.record(t, "shop"), l.record(t, "elsewhere")
	l.awaitWebhook(t, "shop")
	for _, namespace := range []string{"shop", "elsewhere"} {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "redis"}, StringData: map[string]string{"address": l.redis.Addr()}}
		if _, err := l.kube.CoreV1().Secrets(namespace).Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		l.create(t, namespace, "plain")
		referring := l.deployment(t, namespace, "referring")
		trigger := annotations.Prefix + "trigger.orders"
		referring.Annotations[trigger] = strings.Replace(referring.Annotations[trigger], fmt.Sprintf("address: %q", l.redis.Addr()), "addressFrom: {secret: redis, key: address}", 1)
		if _, err := l.kube.AppsV1().Deployments(namespace).Create(t.Context(), referring, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	shop.want(t, "plain", written, wanted)
	shop.want(t, "referring", written, wanted)
	l.wantOutOfReach(t)
	for _, name := range []string{"plain", "referring"} {
		said := fmt.Sprintf(`"level":"ERROR","msg":"Reconciler error","workload":"deployments.apps elsewhere/%[1]s",.*`+
			`"err":"read the scale of deployments.apps elsewhere/%[1]s: deployments.apps \\"%[1]s\\" is forbidden: User \\"system:serviceaccount:autoscale-system:autoscaler\\" `+
			`cannot get resource \\"deployments/scale\\" in API group \\"apps\\" in the namespace \\"elsewhere\\""`, name)
		await(t, "the log says that "+name+" is left alone", func(context.Context) error {
			log, err := os.ReadFile(autoscaler.Log())
			if err == nil && !regexp.MustCompile(said).Match(log) {
				return fmt.Errorf("there is no %s", said)
			}
			return err
		})
		if d := l.get(t, "elsewhere", name); d.Generation != 1 || d.Annotations[annotations.StatusKey] != "" {
			t.Errorf("elsewhere %s is touched: generation %d, status %q", name, d.Generation, d.Annotations[annotations.StatusKey])
		}
	}
	elsewhere.want(t, "plain", written)
	elsewhere.want(t, "referring", written)
}

// wantOutOfReach tries what the account may do in the two namespaces.
func (l *lab) wantOutOfReach(t *testing.T) {
	t.Helper()
	config, err := l.cluster.TokenConfig(t.Context(), product.Namespace, product.ServiceAccount)
	if err != nil {
		t.Fatal(err)
	}
	own, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := own.CoreV1().Secrets("shop").Get(t.Context(), "redis", metav1.GetOptions{}); err != nil {
		t.Errorf("in the namespace that is granted: %v", err)
	}
	const account = `User "system:serviceaccount:autoscale-system:autoscaler" cannot `
	for want, do := range map[string]func() error{
		`secrets "redis" is forbidden: ` + account + `get resource "secrets" in API group "" in the namespace "elsewhere"`: func() error {
			_, err := own.CoreV1().Secrets("elsewhere").Get(t.Context(), "redis", metav1.GetOptions{})
			return err
		},
		`configmaps "redis" is forbidden: ` + account + `get resource "configmaps" in API group "" in the namespace "elsewhere"`: func() error {
			_, err := own.CoreV1().ConfigMaps("elsewhere").Get(t.Context(), "redis", metav1.GetOptions{})
			return err
		},
		`secrets is forbidden: ` + account + `list resource "secrets" in API group "" in the namespace "shop"`: func() error {
			_, err := own.CoreV1().Secrets("shop").List(t.Context(), metav1.ListOptions{})
			return err
		},
		`deployments.apps "plain" is forbidden: ` + account + `patch resource "deployments/scale" in API group "apps" in the namespace "elsewhere"`: func() error {
			_, err := own.AppsV1().Deployments("elsewhere").Patch(t.Context(), "plain", "application/merge-patch+json", []byte(`{"spec":{"replicas":6}}`), metav1.PatchOptions{}, "scale")
			return err
		},
		`deployments.apps "plain" is forbidden: ` + account + `patch resource "deployments" in API group "apps" in the namespace "elsewhere"`: func() error {
			_, err := own.AppsV1().Deployments("elsewhere").Patch(t.Context(), "plain", "application/merge-patch+json", []byte(`{"metadata":{"labels":{"a":"b"}}}`), metav1.PatchOptions{})
			return err
		},
	} {
		if err := do(); err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}
