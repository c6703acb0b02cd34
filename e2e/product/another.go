package product

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"autoscale.io/e2e/cluster"
	"autoscale.io/e2e/tree"
)

// Another describes an install beside the first one.
type Another struct {
	// Name is that of its namespace and of its webhook configuration, and the ending of the names of what else is not namespaced.
	Name string
	// Webhook is the host:port that its webhook is reached at.
	Webhook string
	// Only are the namespaces whose objects its webhook is called for, as far as the manifests do not leave them out.
	Only []string
	// FailurePolicy is that of its webhook. Defaults to that of the manifests.
	FailurePolicy string
}

// Another installs the manifests once more, in another namespace and with other names, each replica's webhook on a port of its own.
func (p *Product) Another(ctx context.Context, a Another) (*Product, error) {
	objects, err := a.Objects(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.cluster.Apply(ctx, objects); err != nil {
		return nil, fmt.Errorf("install the manifests as %s: %w", a.Name, err)
	}
	other := &Product{cluster: p.cluster, binary: p.binary, dir: filepath.Join(p.dir, a.Name), namespace: a.Name, config: a.Name}
	if err := os.MkdirAll(other.dir, 0o700); err != nil {
		return nil, err
	}
	return other, other.writeAccess(ctx)
}

// Uninstall deletes what Another has installed.
func (p *Product) Uninstall(ctx context.Context) error {
	kube, err := kubernetes.NewForConfig(p.cluster.Config())
	if err != nil {
		return err
	}
	// The webhook first, so that nothing asks for it any more. Roles and bindings by name do nothing without their account.
	if err := kube.AdmissionregistrationV1().MutatingWebhookConfigurations().Delete(ctx, p.config, metav1.DeleteOptions{}); err != nil {
		return err
	}
	return p.cluster.DeleteNamespace(ctx, p.namespace)
}

// Objects are the manifests as they are applied, as YAML documents.
func (a Another) Objects(ctx context.Context) ([]byte, error) {
	root, err := tree.Root(ctx)
	if err != nil {
		return nil, err
	}
	rendered, err := a.render(filepath.Join(root, "manifests"))
	if err != nil {
		return nil, err
	}
	objects, err := cluster.Decode(rendered)
	if err != nil {
		return nil, err
	}
	var all strings.Builder
	for _, object := range objects {
		if err := a.adapt(object); err != nil {
			return nil, fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
		text, err := yaml.Marshal(object)
		if err != nil {
			return nil, err
		}
		all.WriteString("---\n" + string(text))
	}
	return []byte(all.String()), nil
}

// render has kustomize set the namespace as docs/install.md says.
func (a Another) render(manifests string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "autoscale-overlay-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	// A copy, since kustomize takes no absolute paths.
	if err := os.CopyFS(filepath.Join(dir, "base"), os.DirFS(manifests)); err != nil {
		return nil, err
	}
	overlay := map[string]any{"namespace": a.Name, "resources": []string{"base"}, "transformers": []string{"base/own-namespace"}}
	text, err := yaml.Marshal(overlay)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), text, 0o600); err != nil {
		return nil, err
	}
	return cluster.Render(dir)
}

// adapt gives what is not namespaced a name of its own, wherever it is named, and points the webhook.
func (a Another) adapt(object *unstructured.Unstructured) error {
	rename := func(fields ...string) error {
		name, found, err := unstructured.NestedString(object.Object, fields...)
		if err != nil || !found {
			return err
		}
		return unstructured.SetNestedField(object.Object, name+"-"+a.Name, fields...)
	}
	switch object.GetKind() {
	case "ClusterRole":
		if err := a.ownConfig(object); err != nil {
			return err
		}
		return rename("metadata", "name")
	case "ClusterRoleBinding":
		if err := rename("metadata", "name"); err != nil {
			return err
		}
		return rename("roleRef", "name")
	case "ValidatingAdmissionPolicy":
		return rename("metadata", "name")
	case "ValidatingAdmissionPolicyBinding":
		if err := rename("metadata", "name"); err != nil {
			return err
		}
		return rename("spec", "policyName")
	case "MutatingWebhookConfiguration":
		object.SetName(a.Name)
		return a.point(object)
	}
	return nil
}

// ownConfig puts the install's own webhook configuration into a role, as docs/certificates.md says.
func (a Another) ownConfig(role *unstructured.Unstructured) error {
	rules, _, err := unstructured.NestedSlice(role.Object, "rules")
	if err != nil {
		return err
	}
	for _, rule := range rules {
		if names, ok := rule.(map[string]any)["resourceNames"].([]any); ok && len(names) == 1 && names[0] == WebhookConfig {
			names[0] = a.Name
		}
	}
	return unstructured.SetNestedSlice(role.Object, rules, "rules")
}

func (a Another) point(config *unstructured.Unstructured) error {
	hooks, _, err := unstructured.NestedSlice(config.Object, "webhooks")
	if err != nil {
		return err
	}
	for _, hook := range hooks {
		hook := hook.(map[string]any)
		hook["clientConfig"] = map[string]any{"url": "https://" + a.Webhook + "/mutate"}
		if a.FailurePolicy != "" {
			hook["failurePolicy"] = a.FailurePolicy
		}
		values := make([]any, len(a.Only))
		for n, namespace := range a.Only {
			values[n] = namespace
		}
		only := map[string]any{"key": "kubernetes.io/metadata.name", "operator": "In", "values": values}
		selector := hook["namespaceSelector"].(map[string]any)
		selector["matchExpressions"] = append(selector["matchExpressions"].([]any), only)
	}
	return unstructured.SetNestedSlice(config.Object, hooks, "webhooks")
}
