package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"autoscale.io/annotations"
	"autoscale.io/scalers"
)

const docs = "../../docs"

func TestPagesAreFresh(t *testing.T) {
	all, err := builtinPages(docs)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, p := range all {
		want[p.path] = true
		got, err := os.ReadFile(filepath.Join(docs, filepath.FromSlash(p.path)))
		if err != nil || string(got) != p.text {
			t.Errorf("docs/%s is stale; run: make docs", p.path)
		}
	}
	written, err := fs.Glob(os.DirFS(docs), "scalers/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range written {
		if !want[path] {
			t.Errorf("docs/%s belongs to no scaler; remove it", path)
		}
	}
}

func TestWriteMakesThePages(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "examples"), os.DirFS(filepath.Join(docs, "examples"))); err != nil {
		t.Fatal(err)
	}
	if err := write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "annotations.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range annotations.SettingsFields() {
		if !strings.Contains(string(text), "| `autoscale.io/"+f.Path+"` |") {
			t.Errorf("annotations.md has no row for %s", f.Path)
		}
	}
}

func TestEveryFieldHasADoc(t *testing.T) {
	all := slices.Concat(annotations.SettingsFields(), annotations.CommonFields(), tlsFields())
	for _, m := range annotations.Mappings() {
		all = append(all, m.Fields...)
		if mappingIntros()[m.Key] == "" {
			t.Errorf("%s has no introduction", m.Key)
		}
	}
	for _, d := range testRegistry(t).Definitions() {
		all = append(all, d.Params.Fields()...)
	}
	for _, f := range all {
		if f.Doc == "" || !strings.HasSuffix(f.Doc, ".") {
			t.Errorf("the doc tag of %s is %q, want a sentence", f.Path, f.Doc)
		}
	}
}

func testRegistry(t *testing.T) *scalers.Registry {
	t.Helper()
	type sound struct {
		Rate  int64       `name:"rate" alias:"speed" default:"1" min:"0" doc:"How fast | how slow."`
		Token string      `name:"token" required:"true" secret:"true" doc:"A token."`
		TLS   scalers.TLS `name:"tls"`
	}
	registry, err := scalers.NewRegistry(scalers.Define(scalers.Definition{
		TriggerType: annotations.TriggerType{
			Name: "tap", Interval: 15e9,
			Aliases: map[string]annotations.Alias{"drops": {For: "target", Implies: map[string]string{"rate": "2"}}},
		},
		Doc: "Counts drops. And more.", TypeAliases: map[string]map[string]string{"hot-tap": {"rate": "3"}},
	}, func(scalers.Host, *sound) (scalers.Scaler, error) { return nil, nil }))
	if err != nil {
		t.Fatal(err)
	}
	return registry
}

const example = "metadata: {annotations: {autoscale.io/max-replicas: '1', autoscale.io/trigger.a: '{type: tap, token: x, target: 1}'}}\n"

func TestScalerPage(t *testing.T) {
	all, err := pages(testRegistry(t), fstest.MapFS{"examples/tap.yaml": {Data: []byte(example)}, "notes/tap.md": {Data: []byte("## Drips\n")}})
	if err != nil {
		t.Fatal(err)
	}
	if all[1].path != "scalers/tap.md" {
		t.Fatalf("page %s, want scalers/tap.md", all[1].path)
	}
	for _, want := range []string{
		"# tap\n\nCounts drops. And more.\n\n```yaml\n" + example + "```\n",
		"This source is read every 15s unless `interval` says otherwise or `polling-interval` is slower.\n",
		"| `rate` | a whole number ≥ 0 | `1` | How fast \\| how slow. |\n| `token` | a text | required | A token. Secret: best given as `tokenFrom`. |\n\n## TLS\n",
		"| `tls.ca` | a text |  |",
		"| `drops` | `target`, `rate: 2` |\n",
		"| `unsafeSsl` | `tls.insecureSkipVerify` |\n\n## Drips\n",
		"| `speed` | `rate` |\n",
		"| `type: hot-tap` | `type: tap`, `rate: 3` |\n",
	} {
		if !strings.Contains(all[1].text, want) {
			t.Errorf("the page lacks %q:\n%s", want, all[1].text)
		}
	}
	if want := "- [`tap`](scalers/tap.md): Counts drops.\n"; !strings.Contains(all[0].text, want) {
		t.Errorf("annotations.md lacks %q", want)
	}
}

func TestExamplesAreChecked(t *testing.T) {
	for _, c := range []struct {
		name string
		dir  fstest.MapFS
		want string
	}{
		{"missing", fstest.MapFS{}, "the example of scaler tap: open examples/tap.yaml: file does not exist; want a manifest with its annotations"},
		{"faulty", fstest.MapFS{"examples/tap.yaml": {Data: []byte(strings.Replace(example, "token: x", "tokn: x", 1))}},
			"examples/tap.yaml: autoscale.io/trigger.a: token: missing; want a text\nautoscale.io/trigger.a: unknown parameter tokn; did you mean token?"},
		{"no YAML", fstest.MapFS{"examples/tap.yaml": {Data: []byte("{")}}, "examples/tap.yaml: error converting YAML to JSON: yaml: line 1: did not find expected node content"},
	} {
		if _, err := pages(testRegistry(t), c.dir); err == nil || err.Error() != c.want {
			t.Errorf("%s: error %v\nwant %s", c.name, err, c.want)
		}
	}
}
