package install_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"

	"autoscale.io/e2e/product"
)

// prometheusOperator is the module whose sources hold the definitions of ServiceMonitor and PrometheusRule.
const prometheusOperator = "github.com/prometheus-operator/prometheus-operator@v0.85.0"

// operatorDefinitions are the files of those definitions; the go command fetches and checks the module.
func operatorDefinitions(t *testing.T) (paths []string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", prometheusOperator).Output()
	var module struct{ Dir, Error string }
	if err := errors.Join(err, json.Unmarshal(out, &module)); err != nil || module.Error != "" {
		t.Fatalf("fetch %s: %v: %s", prometheusOperator, err, module.Error)
	}
	for _, kind := range []string{"servicemonitors", "prometheusrules"} {
		paths = append(paths, filepath.Join(module.Dir, "example", "prometheus-operator-crd", "monitoring.coreos.com_"+kind+".yaml"))
	}
	return paths
}

// strict asks the API server what it would say of objects, to the last field.
type strict struct {
	client dynamic.Interface
	mapper *restmapper.DeferredDiscoveryRESTMapper
	// mu guards warned, the warnings that were heard.
	mu     sync.Mutex
	warned []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (s *strict) HandleWarningHeader(_ int, _, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.warned = append(s.warned, text)
}

func (l *lab) strict(t *testing.T) *strict {
	t.Helper()
	s := &strict{}
	config := l.cluster.Config()
	config.WarningHandler = s
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	served, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	s.client, s.mapper = client, restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(served))
	return s
}

// faults are what the API server has against an object, warnings included. Nothing is created.
func (s *strict) faults(ctx context.Context, object *unstructured.Unstructured) error {
	kind := object.GroupVersionKind()
	mapping, err := s.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return err
	}
	var resource dynamic.ResourceInterface = s.client.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		resource = s.client.Resource(mapping.Resource).Namespace(object.GetNamespace())
	}
	s.warned = nil
	_, err = resource.Create(ctx, object, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
	// The namespace is there, since a dry run of what is in it needs it.
	if apierrors.IsAlreadyExists(err) && object.GetKind() == "Namespace" {
		err = nil
	}
	if len(s.warned) > 0 {
		err = errors.Join(err, fmt.Errorf("warnings: %q", s.warned))
	}
	return err
}

// prepare makes what a dry run needs: namespaces that warn of pods they would not take, and the kinds of the Prometheus operator.
func (l *lab) prepare(t *testing.T) {
	t.Helper()
	// Of pods that it would not take, Kubernetes warns whoever makes a Deployment, where a namespace asks for that.
	for _, namespace := range []string{product.Namespace, "scaling", "shop", "billing"} {
		l.namespace(t, namespace)
		l.must(t, "label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted", "pod-security.kubernetes.io/warn=restricted")
	}
	for _, path := range operatorDefinitions(t) {
		l.must(t, "create", "-f", path)
		t.Cleanup(func() {
			if _, err := l.run(context.Background(), "delete", "-f", path); err != nil {
				t.Error(err)
			}
		})
	}
	await(t, "the kinds of the Prometheus operator are served", func(context.Context) error {
		_, err := l.run(t.Context(), "get", "servicemonitors,prometheusrules", "--all-namespaces")
		return err
	})
}

// everyChoiceIsAccepted asks for each component of kustomize, and for each choice of the chart, in the namespace of the manifests and in another.
func everyChoiceIsAccepted(t *testing.T, l *lab) {
	l.prepare(t)
	s := l.strict(t)
	accepted := func(t *testing.T, list []*unstructured.Unstructured) {
		t.Helper()
		if len(list) < 15 {
			t.Errorf("there are %d objects alone", len(list))
		}
		for _, object := range list {
			if err := s.faults(t.Context(), object); err != nil {
				t.Errorf("%s %s/%s: %v", object.GetKind(), object.GetNamespace(), object.GetName(), err)
			}
		}
	}
	for choice, values := range choices {
		t.Run(choice, func(t *testing.T) {
			accepted(t, kustomized(t, choice))
			components := strings.ReplaceAll("[%s/components/"+choice+"]", "%s/components/default", "")
			accepted(t, overlay(t, "namespace: scaling\nresources: [%s]\ncomponents: "+components+"\ntransformers: [%s/own-namespace]\n"))
			accepted(t, templated(t, "scaling", values))
		})
	}
	t.Run("all of the chart", func(t *testing.T) {
		accepted(t, templated(t, "scaling", map[string]any{
			"image": map[string]any{"digest": "sha256:" + strings.Repeat("0", 64), "pullPolicy": "Always"}, "imagePullSecrets": []any{map[string]any{"name": "registry"}},
			"replicas": 3, "resources": map[string]any{"requests": map[string]any{"cpu": "1"}}, "args": []any{"--log-level=debug"},
			"podAnnotations": map[string]any{"a": "b"}, "podLabels": map[string]any{"team": "platform"}, "nodeSelector": map[string]any{"pool": "system"},
			"tolerations": []any{map[string]any{"key": "system", "operator": "Exists"}}, "priorityClassName": "system-cluster-critical",
			"affinity":   map[string]any{"nodeAffinity": map[string]any{}},
			"references": map[string]any{"everywhere": false, "namespaces": []any{"billing"}}, "namespaces": []any{"shop"}, "jobs": false,
			"extraKinds":    []any{map[string]any{"group": "argoproj.io", "version": "v1alpha1", "resource": "rollouts"}},
			"networkPolicy": true, "monitoring": true,
		}))
	})
	t.Run("all components", func(t *testing.T) {
		folders, err := os.ReadDir(filepath.Join(root(t), "manifests", "components"))
		if err != nil {
			t.Fatal(err)
		}
		var components []string
		for _, folder := range folders {
			// It has these in it.
			if !slices.Contains([]string{"without-jobs", "references-by-namespace"}, folder.Name()) {
				components = append(components, "%s/components/"+folder.Name())
			}
		}
		accepted(t, overlay(t, "resources: [%s]\ncomponents: ["+strings.Join(components, ", ")+"]\n"))
	})
}
