package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schema"
	"autoscale.io/scalers"
)

// page is one generated file; path is relative to the folder of the documentation.
type page struct{ path, text string }

const generated = "<!-- Made by `make docs` from the struct tags that the decoder reads, the examples and the notes. Edit those. -->\n\n"

// pages renders everything. Each scaler needs an example without faults, examples/NAME.yaml, and may have notes, notes/NAME.md, that end its page.
func pages(registry *scalers.Registry, dir fs.FS) ([]page, error) {
	all := []page{{"annotations.md", annotationsPage(registry)}}
	for _, d := range registry.Definitions() {
		example, err := readExample(registry, dir, d.Name)
		if err != nil {
			return nil, err
		}
		notes, err := readNotes(dir, d.Name)
		if err != nil {
			return nil, err
		}
		all = append(all, page{"scalers/" + d.Name + ".md", scalerPage(d, example) + notes})
	}
	return all, nil
}

// readExample returns a manifest for the page of a scaler, after the decoder has found no fault in its annotations.
func readExample(registry *scalers.Registry, dir fs.FS, name string) (string, error) {
	path := "examples/" + name + ".yaml"
	text, err := fs.ReadFile(dir, path)
	if err != nil {
		return "", fmt.Errorf("the example of scaler %s: %w; want a manifest with its annotations", name, err)
	}
	var object struct {
		Metadata struct {
			Annotations map[string]string `json:"annotations"`
		} `json:"metadata"`
	}
	if err := yaml.Unmarshal(text, &object); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	result := annotations.Decode(object.Metadata.Annotations, registry)
	if len(result.Faults) > 0 {
		return "", fmt.Errorf("%s: %w", path, result.Faults)
	}
	for _, trigger := range result.Workload.Triggers {
		if trigger.Type == name {
			return string(text), nil
		}
	}
	return "", fmt.Errorf("%s: no trigger has the type %s", path, name)
}

// readNotes returns what a person wrote for the end of a scaler's page, notes/NAME.md, if anybody did.
func readNotes(dir fs.FS, name string) (string, error) {
	text, err := fs.ReadFile(dir, "notes/"+name+".md")
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return "\n" + string(text), err
}

func annotationsPage(registry *scalers.Registry) string {
	var out strings.Builder
	out.WriteString(generated)
	out.WriteString(annotationsIntro)
	table(&out, "annotation", "`"+annotations.Prefix, annotations.SettingsFields())
	for _, m := range annotations.Mappings() {
		fmt.Fprintf(&out, "\n### `%s`\n\n%s\n", m.Key, mappingIntros()[m.Key])
		table(&out, "parameter", "`", m.Fields)
	}
	out.WriteString(guardText)
	out.WriteString(triggersIntro)
	for _, d := range registry.Definitions() {
		fmt.Fprintf(&out, "- [`%s`](scalers/%s.md): %s\n", d.Name, d.Name, firstSentence(d.Doc))
	}
	out.WriteString("\n### Parameters of every trigger\n\n")
	table(&out, "parameter", "`", annotations.CommonFields())
	out.WriteString(referencesText)
	out.WriteString(tlsText)
	table(&out, "parameter", "`", tlsFields())
	fmt.Fprintf(&out, ownText, annotations.Bucket, annotations.StateKey, annotations.StatusKey)
	return out.String()
}

// tlsFields are the parameters of tls as a scaler declares them.
func tlsFields() []schema.Field {
	return schema.For[struct {
		TLS scalers.TLS `name:"tls"`
	}]().Fields()
}

func scalerPage(d scalers.Definition, example string) string {
	var out strings.Builder
	out.WriteString(generated)
	fmt.Fprintf(&out, "# %s\n\n%s\n\n```yaml\n%s```\n\n", d.Name, d.Doc, example)
	fmt.Fprintf(&out, "The parameters of every trigger, `target` among them, are on the page of the [annotations](../annotations.md#parameters-of-every-trigger); "+
		"so is [how to give a value](../annotations.md#values-that-are-kept-elsewhere) that is kept in a Secret, a ConfigMap or a variable.\n")
	if d.Interval > 0 {
		fmt.Fprintf(&out, "\nThis source is read every %s unless `interval` says otherwise or `polling-interval` is slower.\n", d.Interval)
	}
	own, tls := splitTLS(d.Params.Fields())
	out.WriteString("\n## Parameters\n\n")
	table(&out, "parameter", "`", own)
	if len(tls) > 0 {
		out.WriteString("\n## TLS\n\n")
		table(&out, "parameter", "`", tls)
	}
	spellings(&out, d)
	return out.String()
}

func splitTLS(fields []schema.Field) (own, tls []schema.Field) {
	for _, f := range fields {
		if strings.HasPrefix(f.Path, "tls.") {
			tls = append(tls, f)
			continue
		}
		own = append(own, f)
	}
	return own, tls
}

// spellings lists the other names that are accepted, so that the metadata of a KEDA trigger can be pasted.
func spellings(out *strings.Builder, d scalers.Definition) {
	var rows []string
	for _, f := range d.Params.Fields() {
		for _, alias := range f.Aliases {
			rows = append(rows, fmt.Sprintf("| `%s` | `%s` |", alias, f.Path))
		}
	}
	for alias, a := range d.Aliases {
		rows = append(rows, fmt.Sprintf("| `%s` | `%s`%s |", alias, a.For, implied(a.Implies)))
	}
	for alias, implies := range d.TypeAliases {
		rows = append(rows, fmt.Sprintf("| `type: %s` | `type: %s`%s |", alias, d.Name, implied(implies)))
	}
	if len(rows) == 0 {
		return
	}
	slices.Sort(rows)
	out.WriteString("\n## Other spellings\n\nThe metadata of a KEDA trigger can be pasted: these are read, too.\n\n| spelling | stands for |\n|---|---|\n")
	out.WriteString(strings.Join(rows, "\n") + "\n")
}

func implied(implies map[string]string) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(implies)) {
		fmt.Fprintf(&text, ", `%s: %s`", name, implies[name])
	}
	return text.String()
}

func table(out *strings.Builder, noun, prefix string, fields []schema.Field) {
	fmt.Fprintf(out, "| %s | value | default | meaning |\n|---|---|---|---|\n", noun)
	for _, f := range fields {
		value, standard, doc := f.Want(), "", f.Doc
		switch {
		case f.HasDefault:
			standard = "`" + f.Default + "`"
		case f.Required:
			standard = "required"
		}
		if f.Secret {
			doc += fmt.Sprintf(" Secret: best given as `%sFrom`.", f.Path)
		}
		fmt.Fprintf(out, "| %s%s` | %s | %s | %s |\n", prefix, f.Path, cell(value), standard, cell(doc))
	}
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

func firstSentence(text string) string {
	sentence, _, _ := strings.Cut(text, ". ")
	return strings.TrimSuffix(sentence, ".") + "."
}
