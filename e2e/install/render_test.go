package install_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"autoscale.io/e2e/cluster"
	"autoscale.io/e2e/install"
	"autoscale.io/e2e/product"
	"autoscale.io/e2e/tree"
)

// choices are the components of kustomize and the values of the chart that stand for the same.
var choices = map[string]map[string]any{
	"default":                 {},
	"without-jobs":            {"jobs": false},
	"references-by-namespace": {"references": map[string]any{"everywhere": false}},
	"rollouts":                {"extraKinds": []any{map[string]any{"group": "argoproj.io", "version": "v1alpha1", "resource": "rollouts"}}},
	"network-policy":          {"networkPolicy": true},
	"monitoring":              {"monitoring": true},
	// Helm gives the rights in a namespace of your choice at once; with kustomize it is a step of its own.
	"by-namespace": {"namespaces": []any{"shop", "billing"}},
}

// inNamespaces are the steps of their own.
var inNamespaces = map[string][]string{"by-namespace": {"shop", "billing"}}

func root(t *testing.T) string {
	t.Helper()
	dir, err := tree.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// overlayDir holds a kustomization; %s stands for manifests.
func overlayDir(t *testing.T, text string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	manifests, err := filepath.Rel(dir, filepath.Join(root(t), "manifests"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(strings.ReplaceAll(text, "%s", manifests)), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// overlay renders such a kustomization.
func overlay(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	return objects(t, overlayDir(t, text))
}

func objects(t *testing.T, dir string) []*unstructured.Unstructured {
	t.Helper()
	rendered, err := cluster.Render(dir)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, rendered)
}

func decode(t *testing.T, text []byte) []*unstructured.Unstructured {
	t.Helper()
	list, err := cluster.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// kustomized are the objects of a choice.
func kustomized(t *testing.T, choice string) []*unstructured.Unstructured {
	t.Helper()
	if choice == "default" {
		return objects(t, filepath.Join(root(t), "manifests"))
	}
	list := overlay(t, "resources: [%s]\ncomponents: [%s/components/"+choice+"]\n")
	for _, namespace := range inNamespaces[choice] {
		list = append(list, overlay(t, "namespace: "+namespace+"\nresources: [%s/in-namespace/all]\n")...)
	}
	return list
}

func chartIn(t *testing.T, namespace string) *install.Chart {
	t.Helper()
	chart, err := install.Load(filepath.Join(root(t), "manifests"), namespace)
	if err != nil {
		t.Fatal(err)
	}
	return chart
}

func templated(t *testing.T, namespace string, values map[string]any) []*unstructured.Unstructured {
	t.Helper()
	text, _, err := chartIn(t, namespace).Template(t.Context(), values)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, []byte(text))
}

// byName maps objects to their canonical JSON.
func byName(t *testing.T, list []*unstructured.Unstructured) map[string]string {
	t.Helper()
	named := map[string]string{}
	for _, object := range list {
		name := fmt.Sprintf("%s %s/%s", object.GetKind(), object.GetNamespace(), object.GetName())
		if _, twice := named[name]; twice {
			t.Errorf("%s is there twice", name)
		}
		data, err := json.MarshalIndent(object.Object, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		named[name] = string(data)
	}
	return named
}

func TestEveryComponentIsAChoiceOfTheChart(t *testing.T) {
	folders, err := filepath.Glob(filepath.Join(root(t), "manifests", "components", "*", "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	known := []string{"default"}
	for _, folder := range folders {
		known = append(known, filepath.Base(filepath.Dir(folder)))
	}
	slices.Sort(known)
	if want := slices.Sorted(maps.Keys(choices)); !slices.Equal(known, want) {
		t.Errorf("components are %q, and %q are compared with the chart; add what is missing to choices", known, want)
	}
}

func TestKustomizeAndHelmYieldTheSame(t *testing.T) {
	for choice, values := range choices {
		t.Run(choice, func(t *testing.T) {
			want := byName(t, kustomized(t, choice))
			// A release cannot hold the namespace that it is in.
			if _, found := want["Namespace /autoscale-system"]; !found {
				t.Error("kustomize yields no namespace")
			}
			delete(want, "Namespace /autoscale-system")
			got := byName(t, templated(t, product.Namespace, values))
			for name, object := range want {
				switch other, found := got[name]; {
				case !found:
					t.Errorf("the chart lacks %s", name)
				case other != object:
					t.Errorf("%s differs.\nkustomize:\n%s\nHelm:\n%s", name, object, other)
				}
			}
			for name := range got {
				if _, found := want[name]; !found {
					t.Errorf("the chart has %s more than kustomize", name)
				}
			}
		})
	}
}

func TestAnotherNamespaceChangesEveryMention(t *testing.T) {
	for _, choice := range slices.Sorted(maps.Keys(choices)) {
		t.Run(choice, func(t *testing.T) {
			components := "[%s/components/" + choice + "]"
			if choice == "default" {
				components = "[]"
			}
			want := byName(t, overlay(t, "namespace: scaling\nresources: [%s]\ncomponents: "+components+"\ntransformers: [%s/own-namespace]\n"))
			original := 0
			for name, text := range byName(t, kustomized(t, choice)) {
				original += strings.Count(text, product.Namespace)
				for _, namespace := range inNamespaces[choice] {
					if strings.Contains(name, " "+namespace+"/") {
						original -= strings.Count(text, product.Namespace)
					}
				}
			}
			count := 0
			for name, text := range want {
				count += strings.Count(text, `"scaling"`) + strings.Count(text, ":scaling:")
				if strings.Contains(text, product.Namespace) {
					t.Errorf("%s still names %s:\n%s", name, product.Namespace, text)
				}
			}
			if count != original {
				t.Errorf("the namespace is named %d times, want as often as %s was: %d", count, product.Namespace, original)
			}
			got := byName(t, templated(t, "scaling", choices[choice]))
			for name, text := range want {
				if got[name] != text && name != "Namespace /scaling" {
					t.Errorf("%s differs.\nkustomize:\n%s\nHelm:\n%s", name, text, got[name])
				}
			}
		})
	}
}
