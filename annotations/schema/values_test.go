package schema_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"autoscale.io/annotations/schema"
)

func TestParseKeepsTextAsWritten(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       schema.Values
	}{
		{"flow", "{a: 1, b: 0123}", schema.Values{"a": {Text: "1"}, "b": {Text: "0123"}}},
		{"block", "a: 1\nb: 'x: y'\n", schema.Values{"a": {Text: "1"}, "b": {Text: "x: y"}}},
		{"JSON", `{"a": "{app}:jobs*", "b": [1, "2"]}`, schema.Values{"a": {Text: "{app}:jobs*"}, "b": {List: []string{"1", "2"}}}},
		{"numbers and dates stay texts", "{a: 1_000, b: 0x1F, c: 2026-01-01, d: yes, e: 1e3}", schema.Values{
			"a": {Text: "1_000"}, "b": {Text: "0x1F"}, "c": {Text: "2026-01-01"}, "d": {Text: "yes"}, "e": {Text: "1e3"},
		}},
		{"null and empty differ", `{a: , b: ~, c: null, d: "null", e: "", f: {}}`, schema.Values{
			"a": {Null: true}, "b": {Text: "~", Null: true}, "c": {Text: "null", Null: true}, "d": {Text: "null"}, "e": {}, "f": {Null: true},
		}},
		{"nested and dotted", "{tls: {ca: x}, tls.cert: y}", schema.Values{"tls.ca": {Text: "x"}, "tls.cert": {Text: "y"}}},
		{"empty list", "{a: []}", schema.Values{"a": {List: []string{}}}},
		{"unicode", "{a: naïve-キュー, b: \"\\u00e9\"}", schema.Values{"a": {Text: "naïve-キュー"}, "b": {Text: "é"}}},
		{"binary", "{a: !!binary /w==, b: [!!binary /w==]}", schema.Values{"a": {Text: "\xff"}, "b": {List: []string{"\xff"}}}},
		{"comments", "# why\na: 1 # because\n", schema.Values{"a": {Text: "1"}}},
		{"empty mapping", "{}", schema.Values{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := schema.Parse(c.text); err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("Parse(%q) = %+v, %v; want %+v", c.text, got, err, c.want)
			}
		})
	}
}

func TestParseWordsEveryFault(t *testing.T) {
	const want = "; want a YAML mapping such as {type: …, target: …}"
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "empty" + want},
		{"only a comment", "# nothing", "empty" + want},
		{"only a null", "---", "got a plain value, want a YAML mapping such as {type: …, target: …}"},
		{"text", "orders", "got a plain value, want a YAML mapping such as {type: …, target: …}"},
		{"list", "[a, b]", "got a list, want a YAML mapping such as {type: …, target: …}"},
		{"two documents", "a: 1\n---\nb: 2", "more than one YAML document, or text after the mapping; want one mapping"},
		{"text after the mapping", "{a: 1} b", "more than one YAML document, or text after the mapping; want one mapping"},
		{"broken", "{a: 1", "not YAML (line 1: did not find expected ',' or '}'); want a mapping such as {type: …, target: …}"},
		{"one key twice", "{a: 1, a: 2}", "key a is given twice"},
		{"one nested key twice", "{tls: {ca: 1, ca: 2}}", "a key inside of tls is given twice"},
		{"nested and dotted twice", "{tls: {ca: 1}, tls.ca: 2}", "a key inside of tls is given twice"},
		{"mapping and text", "{tls: {ca: 1}, tls: 2}", "key tls is given twice"},
		{"alias", "{a: &x 1, b: *x}", "key b: YAML anchors and aliases are not supported; write the value out"},
		{"unknown alias", "{b: *x}", "not YAML (anchors and aliases are not supported); want a mapping such as {type: …, target: …}"},
		{"alias of itself", "&x {a: *x}", "key a: YAML anchors and aliases are not supported; write the value out"},
		{"merge key", "a: &x {b: 1}\n<<: *x", "line 2: a key is no plain word; lists, mappings, aliases and << are not supported there"},
		{"key that is a list", "{[a]: 1}", "line 1: a key is no plain word; lists, mappings, aliases and << are not supported there"},
		{"empty key", `{"": 1}`, "line 1: a key is no plain word; lists, mappings, aliases and << are not supported there"},
		{"template that was not filled in", "{a: {{ .Values.a }}}", "line 1: a key is no plain word; lists, mappings, aliases and << are not supported there"},
		{"list of lists", "{a: [[1]]}", "key a: want a list of at most 1000 plain values"},
		{"base64", "{a: !!binary '?'}", "key a: want base64 after !!binary"},
		{"base64 in a list", "{a: [!!binary '?']}", "key a: want base64 after !!binary"},
		{"too many keys", "{" + manyKeys(1001) + "}", "more than 1000 keys; want far fewer"},
		{"too many items", "{a: [" + strings.Repeat("1,", 1001) + "]}", "key a: want a list of at most 1000 plain values"},
		{"too deep", strings.Repeat("[", 20_000), "not YAML (exceeded max depth of 10000); want a mapping such as {type: …, target: …}"},
		{"too long", "{a: " + strings.Repeat("b", 32<<10) + "}", "got 32773 bytes, want at most 32768; a large value can be kept in a Secret or ConfigMap and given by reference"},
		{"control character", "{a: \x01}", "not YAML (control characters are not allowed); want a mapping such as {type: …, target: …}"},
		{"not UTF-8", "{a: \xff}", "not YAML (invalid leading UTF-8 octet); want a mapping such as {type: …, target: …}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			values, err := schema.Parse(c.text)
			if err == nil || err.Error() != c.want {
				t.Errorf("Parse: %v, %v\nwant error %s", values, err, c.want)
			}
		})
	}
}

func manyKeys(n int) string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("k%d: v", i)
	}
	return strings.Join(keys, ", ")
}

func TestUnknown(t *testing.T) {
	known := []string{"lagCount", "consumerGroup", "tls", "address"}
	for _, c := range []struct{ name, want string }{
		{"lagcount", "unknown parameter lagcount; did you mean lagCount?"},
		{"LAGCOUNT", "unknown parameter LAGCOUNT; did you mean lagCount?"},
		{"lagCuont", "unknown parameter lagCuont; did you mean lagCount?"},
		{"customerGroup", "unknown parameter customerGroup; did you mean consumerGroup?"},
		{"adress", "unknown parameter adress; did you mean address?"},
		{"tlc", "unknown parameter tlc; did you mean tls?"},
		{"abs", "unknown parameter abs"},
		{"abc", "unknown parameter abc"},
		{"colour", "unknown parameter colour"},
		{"a b", `unknown parameter "a b"`},
		{"", `unknown parameter ""`},
		{"\xff", `unknown parameter "\xff"`},
		{"a\u202eb", `unknown parameter "a\u202eb"`},
		{strings.Repeat("x", 200_000), `unknown parameter "` + strings.Repeat("x", 60) + `…"`},
	} {
		if got := schema.Unknown("parameter", c.name, known); got != c.want {
			t.Errorf("Unknown(%.20q) = %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestNearestPrefersTheFirstOfEquals(t *testing.T) {
	if got := schema.Nearest("porta", []string{"ports", "portb"}); got != "portb" {
		t.Errorf("nearest %q, want portb, whatever the order of the known names", got)
	}
}

func TestRefNamesItsPlace(t *testing.T) {
	for _, c := range []struct {
		ref  schema.Ref
		want string
	}{
		{schema.Ref{Secret: "redis", Key: "password"}, "key password of Secret redis"},
		{schema.Ref{ConfigMap: "redis", Key: "host"}, "key host of ConfigMap redis"},
		{schema.Ref{Env: "REDIS"}, "variable REDIS"},
	} {
		if got := c.ref.String(); got != c.want {
			t.Errorf("String() = %q, want %q", got, c.want)
		}
	}
}

func TestSplitRefs(t *testing.T) {
	values, err := schema.Parse("{stream: a, passwordFrom: {secret: s, key: k}, tls: {caFrom: {configMap: c, key: k}}, userFromEnv: USER, From: b, FromEnv: c}")
	if err != nil {
		t.Fatal(err)
	}
	direct, refs, problems := schema.SplitRefs(values)
	wantDirect := schema.Values{"stream": {Text: "a"}, "From": {Text: "b"}, "FromEnv": {Text: "c"}}
	wantRefs := schema.Refs{"password": {Secret: "s", Key: "k"}, "tls.ca": {ConfigMap: "c", Key: "k"}, "user": {Env: "USER"}}
	if !reflect.DeepEqual(direct, wantDirect) || !reflect.DeepEqual(refs, wantRefs) || problems != nil {
		t.Errorf("got %v, %v, %q\nwant %v, %v", direct, refs, problems, wantDirect, wantRefs)
	}
	if len(values) != 8 {
		t.Errorf("the values were changed: %v", values)
	}
}
