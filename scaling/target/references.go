package target

import (
	"context"
	"fmt"
	"regexp"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"autoscale.io/annotations/schema"
	"autoscale.io/scalers"
	"autoscale.io/scaling/decisions"
)

// References reads what the annotations of one workload refer to. Nothing is cached and nothing is watched: a Secret is read when a source is opened.
type References struct {
	Core    corev1client.CoreV1Interface
	Dynamic dynamic.Interface
	Key     decisions.Key
	// Container names the container whose environment is read; empty for the first.
	Container string
}

var _ scalers.References = References{}

// Resolve implements scalers.References.
func (r References) Resolve(ctx context.Context, ref schema.Ref) (string, error) {
	switch {
	case ref.Secret != "":
		return r.secret(ctx, ref.Secret, ref.Key)
	case ref.ConfigMap != "":
		return r.configMap(ctx, ref.ConfigMap, ref.Key)
	}
	return r.env(ctx, ref.Env)
}

func (r References) secret(ctx context.Context, name, key string) (string, error) {
	secret, err := r.Core.Secrets(r.Key.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("read Secret %s/%s: %w", r.Key.Namespace, name, err)
	}
	return present("Secret", r.Key.Namespace+"/"+name, key, string(secret.Data[key]))
}

func (r References) configMap(ctx context.Context, name, key string) (string, error) {
	configMap, err := r.Core.ConfigMaps(r.Key.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("read ConfigMap %s/%s: %w", r.Key.Namespace, name, err)
	}
	return present("ConfigMap", r.Key.Namespace+"/"+name, key, configMap.Data[key])
}

// present refuses an empty text: as a password it would be a login without one.
func present(kind, name, key, text string) (string, error) {
	if text == "" {
		return "", fmt.Errorf("%s %s has no key %q, or it is empty", kind, name, key)
	}
	return text, nil
}

func (r References) env(ctx context.Context, name string) (string, error) {
	container, err := r.container(ctx)
	if err != nil {
		return "", err
	}
	return r.variable(ctx, container, name, 0)
}

// maxExpansions ends a chain of $(VAR) references that goes in a circle.
const maxExpansions = 10

var expansion = regexp.MustCompile(`\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)`)

func (r References) variable(ctx context.Context, container *corev1.Container, name string, depth int) (string, error) {
	if depth > maxExpansions {
		return "", fmt.Errorf("variable %s of container %s refers to itself", name, container.Name)
	}
	text, err := r.rawVariable(ctx, container, name)
	if err != nil {
		return "", err
	}
	var failed error
	text = expansion.ReplaceAllStringFunc(text, func(reference string) string {
		value, err := r.variable(ctx, container, expansion.FindStringSubmatch(reference)[1], depth+1)
		if err != nil {
			failed = err
		}
		return value
	})
	return text, failed
}

func (r References) rawVariable(ctx context.Context, container *corev1.Container, name string) (string, error) {
	for _, variable := range container.Env {
		if variable.Name == name {
			return r.envVar(ctx, container.Name, variable)
		}
	}
	// As in a container, the last source of a name wins.
	for i := len(container.EnvFrom) - 1; i >= 0; i-- {
		source := container.EnvFrom[i]
		if len(name) <= len(source.Prefix) || name[:len(source.Prefix)] != source.Prefix {
			continue
		}
		if text, err := r.envFrom(ctx, source, name[len(source.Prefix):]); err == nil {
			return text, nil
		}
	}
	return "", fmt.Errorf("container %s of %s has no variable %s that can be read", container.Name, r.Key, name)
}

func (r References) envVar(ctx context.Context, container string, variable corev1.EnvVar) (string, error) {
	from := variable.ValueFrom
	switch {
	case from == nil:
		return present("container", container, variable.Name, variable.Value)
	case from.SecretKeyRef != nil:
		return r.secret(ctx, from.SecretKeyRef.Name, from.SecretKeyRef.Key)
	case from.ConfigMapKeyRef != nil:
		return r.configMap(ctx, from.ConfigMapKeyRef.Name, from.ConfigMapKeyRef.Key)
	}
	return "", fmt.Errorf("variable %s of container %s is neither a plain value nor a key of a Secret or ConfigMap", variable.Name, container)
}

func (r References) envFrom(ctx context.Context, source corev1.EnvFromSource, key string) (string, error) {
	if source.SecretRef != nil {
		return r.secret(ctx, source.SecretRef.Name, key)
	}
	if source.ConfigMapRef != nil {
		return r.configMap(ctx, source.ConfigMapRef.Name, key)
	}
	return "", fmt.Errorf("no such source")
}

func (r References) container(ctx context.Context) (*corev1.Container, error) {
	object, err := r.Dynamic.Resource(r.Key.Resource).Namespace(r.Key.Namespace).Get(ctx, r.Key.Name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read %s for its environment: %w", r.Key, err)
	}
	path := []string{"spec", "template", "spec", "containers"}
	if IsCronJob(r.Key.Resource) {
		path = append([]string{"spec", "jobTemplate"}, path...)
	}
	list, _, err := unstructured.NestedSlice(object.Object, path...)
	if err != nil || len(list) == 0 {
		return nil, fmt.Errorf("%s has no pod template with containers", r.Key)
	}
	for _, item := range list {
		var container corev1.Container
		fields, ok := item.(map[string]any)
		if !ok {
			continue
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &container); err != nil {
			return nil, fmt.Errorf("read the containers of %s: %w", r.Key, err)
		}
		if r.Container == "" || container.Name == r.Container {
			return &container, nil
		}
	}
	return nil, fmt.Errorf("%s has no container named %s; see the annotation env-container", r.Key, r.Container)
}
