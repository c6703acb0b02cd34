package schema

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Encode is the reverse of [Schema.Decode] for direct parameters: the values of src, a pointer to the schema's struct, that differ from
// their defaults. A zero that the bounds of its parameter forbid stands for the default. Types that implement [Parser] must implement fmt.Stringer too.
func (s *Schema) Encode(src any) Values {
	source := reflect.ValueOf(src).Elem()
	values := Values{}
	for _, f := range s.fields {
		if value, ok := f.encode(source.FieldByIndex(f.index)); ok {
			values[f.Path] = value
		}
	}
	return values
}

func (f Field) encode(v reflect.Value) (Value, bool) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return Value{}, false
		}
		return encodeValue(v.Elem()), true
	}
	switch {
	case f.HasDefault:
		if byDefault, _ := f.decode(Value{Text: f.Default}); reflect.DeepEqual(byDefault.Interface(), v.Interface()) {
			return Value{}, false
		}
	case v.IsZero() && !f.Required:
		return Value{}, false
	}
	value := encodeValue(v)
	if v.IsZero() {
		if _, problem := f.decode(value); problem != "" {
			return Value{}, false
		}
	}
	return value, true
}

func encodeValue(v reflect.Value) Value {
	switch x := v.Interface().(type) {
	case time.Duration:
		return Value{Text: durationText(x)}
	case time.Time:
		return Value{Text: timeText(x)}
	case []string:
		return Value{List: append([]string{}, x...)}
	case float64:
		return Value{Text: floatText(x)}
	case fmt.Stringer:
		return Value{Text: x.String()}
	default:
		// What is left are texts, truth values and whole numbers, which print as they are read.
		return Value{Text: fmt.Sprint(x)}
	}
}

// timeText is in UTC, so that equal times have equal texts, unless that leaves the years that RFC 3339 can write.
func timeText(t time.Time) string {
	if utc := t.UTC(); utc.Year() >= 0 && utc.Year() <= 9999 {
		t = utc
	}
	return t.Format(time.RFC3339Nano)
}

// durationText is shorter than d.String(): 5m instead of 5m0s.
func durationText(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// maxPlain is the size from which a number is written with an exponent.
const maxPlain = 1e15

func floatText(x float64) string {
	if math.Abs(x) < maxPlain {
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// Format writes values and references as one YAML mapping on one line, keys in order, such that [Parse] and [SplitRefs] read back the
// same, whatever bytes the texts hold.
func Format(values Values, refs Refs) string {
	root := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	entries := map[string]*yaml.Node{}
	for path, value := range values {
		entries[path] = valueNode(value)
	}
	for path, ref := range refs {
		suffix, node := refNode(ref)
		entries[path+suffix] = node
	}
	for _, path := range slices.Sorted(maps.Keys(entries)) {
		insert(root, path, entries[path])
	}
	var text strings.Builder
	enc := yaml.NewEncoder(&text)
	err := enc.Encode(root)
	if err == nil {
		err = enc.Close()
	}
	if err != nil {
		// The nodes are made above, of texts that were made valid; neither can fail.
		panic(err)
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// insert puts a value below a dotted path into nested mappings; where a part of the path is empty or taken by a plain value the
// path stays a dotted key, which reads the same.
func insert(parent *yaml.Node, path string, value *yaml.Node) {
	head, rest, nested := strings.Cut(path, ".")
	if nested && head != "" && rest != "" {
		child := childOf(parent, head)
		if child == nil {
			child = &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
			parent.Content = append(parent.Content, textNode(head), child)
		}
		if child.Kind == yaml.MappingNode {
			insert(child, rest, value)
			return
		}
	}
	parent.Content = append(parent.Content, textNode(path), value)
}

func childOf(parent *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(parent.Content); i += 2 {
		if parent.Content[i].Value == key {
			return parent.Content[i+1]
		}
	}
	return nil
}

func refNode(ref Ref) (suffix string, node *yaml.Node) {
	if ref.Secret == "" && ref.ConfigMap == "" {
		return "FromEnv", textNode(ref.Env)
	}
	kind, name := "secret", ref.Secret
	if name == "" {
		kind, name = "configMap", ref.ConfigMap
	}
	return "From", &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle, Content: []*yaml.Node{
		textNode(kind), textNode(name), textNode("key"), textNode(ref.Key),
	}}
}

func valueNode(value Value) *yaml.Node {
	switch {
	case value.Null:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: nullTag, Value: "null"}
	case value.List != nil:
		list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, item := range value.List {
			list.Content = append(list.Content, textNode(item))
		}
		return list
	}
	return textNode(value.Text)
}

// plainText matches what YAML reads back as it is without quotes; everything else is quoted.
var plainText = regexp.MustCompile(`^[A-Za-z0-9/][A-Za-z0-9_./%+-]*$`)

func textNode(text string) *yaml.Node {
	switch {
	case !utf8.ValidString(text):
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: binaryTag, Style: yaml.TaggedStyle, Value: base64.StdEncoding.EncodeToString([]byte(text))}
	case plainText.MatchString(text) && !strings.EqualFold(text, "null"):
		return &yaml.Node{Kind: yaml.ScalarNode, Value: text}
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: text}
}
