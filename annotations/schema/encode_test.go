package schema_test

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"autoscale.io/annotations/schema"
)

func TestEncodeWritesWhatDiffersFromTheDefaults(t *testing.T) {
	set := schema.For[params]()
	floor, since := int32(0), time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("CET", 3600))
	for _, c := range []struct {
		name string
		from params
		want schema.Values
	}{
		{"zeros that the bounds forbid", params{}, schema.Values{"exact": {Text: "false"}}},
		{"defaults", params{Stream: "a", Measure: "backlog", Exact: true}, schema.Values{"stream": {Text: "a"}}},
		{
			"all kinds",
			params{
				shared: shared{"n"}, Stream: "a", Measure: "lag", Password: "p", Share: 0.25, Count: 3, Offset: -4, Floor: &floor,
				Wait: 90 * time.Minute, Since: &since, Exact: true, Nodes: []string{"a", "b"}, Level: "low",
			},
			schema.Values{
				"note": {Text: "n"}, "stream": {Text: "a"}, "measure": {Text: "lag"}, "password": {Text: "p"}, "share": {Text: "0.25"}, "count": {Text: "3"},
				"offset": {Text: "-4"}, "floor": {Text: "0"}, "wait": {Text: "1h30m"}, "since": {Text: "2026-01-02T02:04:05Z"},
				"nodes": {List: []string{"a", "b"}}, "level": {Text: "low"},
			},
		},
		{"large numbers", params{Share: 1e15, Exact: true, Wait: time.Hour}, schema.Values{"share": {Text: "1e+15"}, "wait": {Text: "1h"}}},
		{"what is no number stays a fault", params{Share: math.NaN(), Exact: true, Wait: time.Minute}, schema.Values{"share": {Text: "NaN"}, "wait": {Text: "1m"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := set.Encode(&c.from); !reflect.DeepEqual(got, c.want) {
				t.Errorf("encoded %v\nwant    %v", got, c.want)
			}
		})
	}
}

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		name   string
		values schema.Values
		refs   schema.Refs
		want   string
	}{
		{"nothing", nil, nil, "{}"},
		{"keys in order", schema.Values{"type": {Text: "redis"}, "address": {Text: "redis:6379"}, "target": {Text: "10"}}, nil, "{address: \"redis:6379\", target: 10, type: redis}"},
		{"nested", schema.Values{"tls.ca": {Text: "x"}, "tls.serverName": {Text: "y.z"}, "type": {Text: "a"}}, nil, "{tls: {ca: x, serverName: y.z}, type: a}"},
		{
			"references", schema.Values{"tls.skip": {Text: "true"}},
			schema.Refs{"password": {Secret: "s", Key: "k"}, "tls.ca": {ConfigMap: "c", Key: "ca.crt"}, "user": {Env: "USER"}},
			"{passwordFrom: {secret: s, key: k}, tls: {caFrom: {configMap: c, key: ca.crt}, skip: true}, userFromEnv: USER}",
		},
		{"list", schema.Values{"nodes": {List: []string{"a:1", "b, c"}}, "none": {List: []string{}}}, nil, `{nodes: ["a:1", "b, c"], none: []}`},
		{"null", schema.Values{"a": {Null: true}, "b": {Text: "null"}, "c": {Text: ""}, "d": {Text: "~"}}, nil, `{a: null, b: "null", c: "", d: "~"}`},
		{"awkward", schema.Values{"a": {Text: `{app}:jobs*"`}, "b": {Text: "x: y # z\n"}, "c": {Text: "\xff"}}, nil, `{a: "{app}:jobs*\"", b: "x: y # z\n", c: !!binary /w==}`},
		{"plain value in the way of a mapping", schema.Values{"a": {Text: "1"}, "a.b": {Text: "2"}, ".c": {Text: "3"}, "d.": {Text: "4"}}, nil, `{".c": 3, a: 1, a.b: 2, d.: 4}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := schema.Format(c.values, c.refs); got != c.want {
				t.Errorf("Format = %s\nwant     %s", got, c.want)
			}
		})
	}
}

// FuzzFormat: whatever the bytes, Parse reads back what Format wrote, on one line.
func FuzzFormat(f *testing.F) {
	for _, text := range []string{"", "a", "0123", "null", "NULL", "~", "<<", "*a", "&a", "!a", "{a}", "a: b", "a #b", "- a", "? a", "'", `"`, "\\", "\n", "a\n\nb ", " a ", "\t", "\r", "\x00", "\x85", "\u0085", "\u2028", "\ufeff", "\xff", "\U0001F680", "0x1p-2", "2026-01-01", "a:", ":a", "@a", "`a`", "%a", strings.Repeat("long words ", 50)} {
		f.Add(text, text)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a)+len(b) > 1000 {
			return // Parse refuses texts that are too long.
		}
		want := schema.Values{"text": {Text: a}, "list": {List: []string{b, a}}, "in.side": {Text: b}}
		text := schema.Format(want, schema.Refs{"ref": {Secret: "s" + a, Key: "k" + b}, "env": {Env: "E" + a}})
		if strings.ContainsAny(text, "\n\r") {
			t.Errorf("Format(%q) has more than one line: %q", a, text)
		}
		values, err := schema.Parse(text)
		if err != nil {
			t.Fatalf("Parse(%q): %v", text, err)
		}
		direct, refs, problems := schema.SplitRefs(values)
		if !reflect.DeepEqual(direct, want) || problems != nil {
			t.Errorf("%q was read as %+v, %q\nwant %+v", text, direct, problems, want)
		}
		if wantRefs := (schema.Refs{"ref": {Secret: "s" + a, Key: "k" + b}, "env": {Env: "E" + a}}); !reflect.DeepEqual(refs, wantRefs) {
			t.Errorf("%q was read with %+v\nwant %+v", text, refs, wantRefs)
		}
	})
}

// FuzzParse: no text panics, and what is read can be written and read again.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"", "{a: 1}", "a: {b: [c, d]}", "{a: !!binary /w==}", "a: &x 1\nb: *x", "? [a]\n: b", "a: |\n  b\n", "%YAML 1.1\n---\na: b", "#", "---\n---", "{a: 'b\n\n c'}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4000 {
			return // Quotes may make it too long for Parse.
		}
		values, err := schema.Parse(text)
		if err != nil {
			if err.Error() == "" || strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("Parse(%q): the error %q is not one line", text, err)
			}
			return
		}
		again, err := schema.Parse(schema.Format(values, nil))
		for path, value := range values {
			if value.Null {
				// The spelling of null is not kept.
				values[path], again[path] = schema.Value{Null: true}, schema.Value{Null: again[path].Null}
			}
		}
		if err != nil || !reflect.DeepEqual(values, again) {
			t.Errorf("%q was read as %+v, then written and read as %+v, %v", text, values, again, err)
		}
	})
}
