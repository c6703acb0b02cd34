package cluster_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"autoscale.io/e2e/cluster"
	"autoscale.io/e2e/cluster/clustertest"
)

const crd = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.example.com}
spec:
  group: example.com
  names: {kind: Boat, plural: boats}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

func TestApplyDefinesAKindAndUsesIt(t *testing.T) {
	namespace := clustertest.Namespace(t, shared, "apply")
	manifests := crd + fmt.Sprintf(`
---
# only a comment
---
apiVersion: v1
kind: List
items:
- {apiVersion: example.com/v1, kind: Boat, metadata: {name: ark, namespace: %[1]s}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: log, namespace: %[1]s}, data: {day: "1"}}
`, namespace)
	for range 2 { // it can be applied again
		if err := shared.Apply(t.Context(), []byte(manifests)); err != nil {
			t.Fatal(err)
		}
	}
	client := clientFor(t, shared.Config())
	path := "/apis/example.com/v1/namespaces/" + namespace + "/boats/ark"
	if _, err := client.CoreV1().RESTClient().Get().AbsPath(path).DoRaw(t.Context()); err != nil {
		t.Error(err)
	}
	config, err := client.CoreV1().ConfigMaps(namespace).Get(t.Context(), "log", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if manager := config.ManagedFields[0].Manager; manager != "installer" || len(config.ManagedFields) != 1 {
		t.Errorf("managed fields %v, wanted one entry of installer", config.ManagedFields)
	}
}

func TestApplyNamesWhatFails(t *testing.T) {
	err := shared.Apply(t.Context(), []byte(`{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: nowhere}}`))
	want := `applying ConfigMap nowhere/a: namespaces "nowhere" not found`
	if err == nil || err.Error() != want {
		t.Errorf("%v, wanted %s", err, want)
	}
}

func TestApplyDir(t *testing.T) {
	client := clientFor(t, shared.Config())
	for name, kustomization := range map[string]string{
		"plain":      "",
		"kustomized": "namePrefix: my-\nresources: [config.yaml]\n",
	} {
		t.Run(name, func(t *testing.T) {
			namespace := clustertest.Namespace(t, shared, name)
			dir := t.TempDir()
			write(t, filepath.Join(dir, "config.yaml"), "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: "+namespace+"}}")
			want := "a"
			if kustomization != "" {
				write(t, filepath.Join(dir, "kustomization.yaml"), kustomization)
				want = "my-a"
			}
			if err := shared.ApplyDir(t.Context(), dir); err != nil {
				t.Fatal(err)
			}
			if _, err := client.CoreV1().ConfigMaps(namespace).Get(t.Context(), want, metav1.GetOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTokenHasItsAccountsRightsOnly(t *testing.T) {
	namespace := clustertest.Namespace(t, shared, "token")
	_, err := shared.TokenConfig(t.Context(), namespace, "reader")
	want := fmt.Sprintf(`requesting a token for service account %s/reader: serviceaccounts "reader" not found`, namespace)
	if err == nil || err.Error() != want {
		t.Errorf("%v, wanted %s", err, want)
	}
	apply(t, fmt.Sprintf(`
{apiVersion: v1, kind: ServiceAccount, metadata: {name: reader, namespace: %[1]s}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: ServiceAccount, name: reader, namespace: %[1]s}]
`, namespace))
	token, err := shared.TokenConfig(t.Context(), namespace, "reader")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := cluster.WriteKubeconfig(path, token); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	reader := clientFor(t, config)
	eventually(t, func(ctx context.Context) error { // RBAC is read from a cache
		_, err := reader.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{})
		return err
	})
	if _, err := reader.CoreV1().Secrets(namespace).List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("reading Secrets with the role view: %v, wanted it forbidden", err)
	}
}

func TestKubeconfigIsTheAdministrators(t *testing.T) {
	config, err := clientcmd.BuildConfigFromFlags("", shared.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clientFor(t, config).CoreV1().Secrets("kube-system").List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Error(err)
	}
}

func TestNamespacesDifferAndEnd(t *testing.T) {
	client := clientFor(t, shared.Config())
	first := clustertest.Namespace(t, shared, "same")
	second := clustertest.Namespace(t, shared, "same")
	if first == second {
		t.Errorf("both namespaces are %s", first)
	}
	for range 2 {
		if err := shared.DeleteNamespace(t.Context(), first); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func(ctx context.Context) error {
		_, err := client.CoreV1().Namespaces().Get(ctx, first, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("namespace %s is still there (%w)", first, err)
	})
}

func TestUsageIsReadFromPods(t *testing.T) {
	client := clientFor(t, shared.Config())
	namespace := clustertest.Namespace(t, shared, "usage")
	createDeployment(t, client, namespace, map[string]string{
		"kwok.x-k8s.io/usage-cpu":    "250m",
		"kwok.x-k8s.io/usage-memory": "64Mi",
	})
	path := "/apis/metrics.k8s.io/v1beta1/namespaces/" + namespace + "/pods"
	eventually(t, func(ctx context.Context) error {
		content, err := client.CoreV1().RESTClient().Get().AbsPath(path).DoRaw(ctx)
		if err != nil {
			return err
		}
		return checkUsage(content, 3, 250, 64<<20)
	})
}

// TestJobPodsRunAsLongAsTheySay proves our stage: KWOK's own ends a Job's pods at once.
func TestJobPodsRunAsLongAsTheySay(t *testing.T) {
	client := clientFor(t, shared.Config())
	namespace := clustertest.Namespace(t, shared, "jobs")
	for name, delay := range map[string]string{"short": "0s", "long": "1h", "unsaid": ""} {
		template := podTemplate(nil)
		template.Spec.RestartPolicy = corev1.RestartPolicyNever
		if delay != "" {
			template.Annotations = map[string]string{"pod-complete.stage.kwok.x-k8s.io/delay": delay}
		}
		job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: batchv1.JobSpec{Template: template}}
		if _, err := client.BatchV1().Jobs(namespace).Create(t.Context(), job, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func(ctx context.Context) error {
		for name, want := range map[string]int32{"short": 1, "unsaid": 1, "long": 0} {
			job, err := client.BatchV1().Jobs(namespace).Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if job.Status.Succeeded != want || job.Status.Active != 1-want {
				return fmt.Errorf("job %s: %d active, %d succeeded", name, job.Status.Active, job.Status.Succeeded)
			}
		}
		return nil
	})
}

func apply(t *testing.T, manifests string) {
	t.Helper()
	if err := shared.Apply(t.Context(), []byte(manifests)); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
