package schema

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Value is one scalar, or one list of scalars, as a person wrote it. Numbers and booleans are kept as text, so that a password of 0123 stays one.
type Value struct {
	Text string
	// List holds the items of a YAML sequence; it is nil for a scalar.
	List []string
	// Null is true for a key without a value, which is neither zero nor absent.
	Null bool
}

// Values maps paths to values. The path of a nested mapping's key joins the keys with dots: {tls: {ca: x}} holds "tls.ca".
type Values map[string]Value

// Clone returns a copy that shares no map with v.
func (v Values) Clone() Values { return maps.Clone(v) }

// Paths returns the paths in order.
func (v Values) Paths() []string { return slices.Sorted(maps.Keys(v)) }

// Bounds of what one annotation may hold, or reading the 256 KiB that an object can carry would take seconds. The largest sensible one has some
// dozens of keys and a certificate chain.
const (
	maxNodes = 1000
	maxBytes = 32 << 10
)

// Parse reads one YAML mapping (block or flow; JSON is YAML) of scalars, lists of scalars and nested mappings. The error says what
// was wanted, in words for the person who wrote the text, and never quotes it, since it may hold a secret.
func Parse(text string) (Values, error) { return ParseAs("{type: …, target: …}", text) }

// ParseAs is Parse for a mapping of which a person would rather see another example.
func ParseAs(example, text string) (Values, error) {
	if len(text) > maxBytes {
		return nil, fmt.Errorf("got %d bytes, want at most %d; a large value can be kept in a Secret or ConfigMap and given by reference", len(text), maxBytes)
	}
	dec := yaml.NewDecoder(strings.NewReader(text))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if err == io.EOF {
			return nil, fmt.Errorf("empty; want a YAML mapping such as %s", example)
		}
		return nil, fmt.Errorf("not YAML (%s); want a mapping such as %s", yamlProblem(err), example)
	}
	if err := dec.Decode(new(yaml.Node)); err != io.EOF {
		return nil, errors.New("more than one YAML document, or text after the mapping; want one mapping")
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("got %s, want a YAML mapping such as %s", kindName(root), example)
	}
	p := parser{values: Values{}, mappings: map[string]bool{}}
	if err := p.mapping("", root); err != nil {
		return nil, err
	}
	return p.values, nil
}

type parser struct {
	values Values
	// mappings holds the paths that are mappings.
	mappings map[string]bool
	nodes    int
}

func (p *parser) mapping(prefix string, node *yaml.Node) error {
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if p.nodes++; p.nodes > maxNodes {
			return fmt.Errorf("more than %d keys; want far fewer", maxNodes)
		}
		if key.Kind != yaml.ScalarNode || key.Value == "" || key.Tag == mergeTag {
			return fmt.Errorf("line %d: a key is no plain word; lists, mappings, aliases and << are not supported there", key.Line)
		}
		path := prefix + key.Value
		if p.holds(path) {
			return fmt.Errorf("%s is given twice", keyName(path))
		}
		if err := p.value(path, value); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) holds(path string) bool {
	_, plain := p.values[path]
	return plain || p.mappings[path]
}

func (p *parser) value(path string, node *yaml.Node) error {
	switch node.Kind {
	case yaml.ScalarNode:
		text, err := scalar(path, node)
		if err != nil {
			return err
		}
		p.values[path] = Value{Text: text, Null: node.Tag == nullTag}
	case yaml.SequenceNode:
		list := make([]string, 0, len(node.Content))
		for _, item := range node.Content {
			if item.Kind != yaml.ScalarNode || len(list) == maxNodes {
				return fmt.Errorf("%s: want a list of at most %d plain values", keyName(path), maxNodes)
			}
			text, err := scalar(path, item)
			if err != nil {
				return err
			}
			list = append(list, text)
		}
		p.values[path] = Value{List: list}
	case yaml.MappingNode:
		if len(node.Content) == 0 {
			p.values[path] = Value{Null: true}
			return nil
		}
		p.mappings[path] = true
		return p.mapping(path+".", node)
	default:
		return fmt.Errorf("%s: YAML anchors and aliases are not supported; write the value out", keyName(path))
	}
	return nil
}

// keyName shows a key, but none from inside of a mapping: it may be a piece of a secret that was taken for one, as in {password: {abc}}.
func keyName(path string) string {
	head, _, nested := strings.Cut(path, ".")
	if nested {
		return "a key inside of " + Plain(head)
	}
	return "key " + Plain(path)
}

// scalar returns a scalar's text. A !!binary one is decoded: YAML has no other way to hold bytes that are not UTF-8.
func scalar(path string, node *yaml.Node) (string, error) {
	if node.Tag != binaryTag {
		return node.Value, nil
	}
	data, err := base64.StdEncoding.DecodeString(node.Value)
	if err != nil {
		return "", fmt.Errorf("%s: want base64 after !!binary", keyName(path))
	}
	return string(data), nil
}

const (
	nullTag   = "!!null"
	binaryTag = "!!binary"
	mergeTag  = "!!merge"
)

func kindName(node *yaml.Node) string {
	switch node.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		return "a plain value"
	}
	return "no mapping"
}

// yamlProblem keeps the position and kind of a YAML error and drops what it quotes of the text.
func yamlProblem(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if strings.Contains(text, "unknown anchor") {
		return "anchors and aliases are not supported"
	}
	if before, _, found := strings.Cut(text, "`"); found {
		text = strings.TrimSpace(before)
	}
	text, _, _ = strings.Cut(text, "\n")
	return text
}
