package autoscale_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// rights are verbs by manifest and resource, such as "role.yaml leases".
type rights map[string]map[string]bool

func (r rights) add(manifest, resource string, verbs ...string) {
	key := manifest + " " + resource
	if r[key] == nil {
		r[key] = map[string]bool{}
	}
	for _, verb := range verbs {
		r[key][verb] = true
	}
}

// nouns are the words that the documentation has for a resource other than its own.
var nouns = map[string]string{"deployments/scale": "scale", "statefulsets/scale": "scale", "metrics.k8s.io/pods": "pod metrics"}

// grantedRights are those of the manifests.
func grantedRights(t *testing.T) rights {
	t.Helper()
	granted := rights{}
	files, err := filepath.Glob("manifests/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for documents := yaml.NewDecoder(bytes.NewReader(text)); ; {
			var object struct {
				Kind  string
				Rules []struct {
					Groups    []string `yaml:"apiGroups"`
					Resources []string
					Verbs     []string
				}
			}
			if err := documents.Decode(&object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if object.Kind != "Role" && object.Kind != "ClusterRole" {
				continue
			}
			for _, rule := range object.Rules {
				for _, resource := range rule.Resources {
					noun := resource
					for _, name := range []string{resource, rule.Groups[0] + "/" + resource} {
						if other, ok := nouns[name]; ok {
							noun = other
						}
					}
					granted.add(filepath.Base(file), noun, rule.Verbs...)
				}
			}
		}
	}
	return granted
}

// TestTheTableOfRightsIsTrue: docs/security.md names each right of the manifests, and no other.
func TestTheTableOfRightsIsTrue(t *testing.T) {
	const verb = "(?:get|list|watch|create|update|patch|delete)"
	row := regexp.MustCompile(`(?m)^\| (?:` + "`([a-z-]+\\.yaml)`" + `[^|]*)?\| ([^|]*\b` + verb + ` of [^|]*) \|`)
	clause := regexp.MustCompile(`\b(` + verb + `(?:, ` + verb + `)*) of `)
	granted, known := grantedRights(t), map[string]bool{}
	for key := range granted {
		_, noun, _ := strings.Cut(key, " ")
		known[noun] = true
	}
	page, err := os.ReadFile("docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	told, manifest := rights{}, ""
	for _, cells := range row.FindAllStringSubmatch(string(page), -1) {
		if cells[1] != "" {
			manifest = cells[1]
		}
		places := clause.FindAllStringSubmatchIndex(cells[2], -1)
		for i, place := range places {
			end := len(cells[2])
			if i+1 < len(places) {
				end = places[i+1][0]
			}
			verbs, objects := strings.Split(cells[2][place[2]:place[3]], ", "), strings.ToLower(cells[2][place[1]:end])
			for noun := range known {
				if regexp.MustCompile(`\b` + strings.TrimSuffix(noun, "s") + `s?\b`).MatchString(objects) {
					told.add(manifest, noun, verbs...)
				}
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(granted)) {
		if !maps.Equal(granted[key], told[key]) {
			t.Errorf("%s: the manifest grants %v, and docs/security.md says %v", key, slices.Sorted(maps.Keys(granted[key])), slices.Sorted(maps.Keys(told[key])))
		}
		delete(told, key)
	}
	for key, verbs := range told {
		t.Errorf("%s: docs/security.md says %v, and the manifest grants nothing", key, slices.Sorted(maps.Keys(verbs)))
	}
}
