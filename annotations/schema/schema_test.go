package schema_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"autoscale.io/annotations/schema"
)

// level is a type with a syntax of its own.
type level string

func (l *level) ParseValue(text string) error {
	if text != "low" && text != "high" {
		return errors.New("want " + l.Syntax())
	}
	*l = level(text)
	return nil
}

func (*level) Syntax() string { return "low or high" }

func (l level) String() string { return string(l) }

type shared struct {
	Note string `name:"note"`
}

type params struct {
	shared
	Stream   string        `name:"stream" required:"true" alias:"streamName,queue"`
	Measure  string        `name:"measure" enum:"backlog,lag" default:"backlog"`
	Password string        `name:"password" secret:"true"`
	Share    float64       `name:"share" above:"0" max:"1"`
	Bias     float64       `name:"bias"`
	Count    int32         `name:"count" min:"0"`
	Offset   int64         `name:"offset"`
	Floor    *int32        `name:"floor" min:"0"`
	Wait     time.Duration `name:"wait" min:"1s" max:"1m"`
	Since    *time.Time    `name:"since"`
	Exact    bool          `name:"exact" default:"true"`
	Nodes    []string      `name:"nodes"`
	PIN      []string      `name:"pin" secret:"true"`
	Level    level         `name:"level"`
	TLS      struct {
		CA   string `name:"ca"`
		Skip bool   `name:"insecureSkipVerify" default:"false"`
	} `name:"tls"`
}

func texts(problems []schema.Problem) []string {
	var all []string
	for _, p := range problems {
		all = append(all, p.String())
	}
	return all
}

// decode does what a decoder of annotations does with the text of one.
func decode(text string) (params, []string) {
	var p params
	values, err := schema.Parse(text)
	if err != nil {
		return p, []string{err.Error()}
	}
	direct, refs, problems := schema.SplitRefs(values)
	problems = append(problems, schema.For[params]().Decode(direct, refs, &p)...)
	return p, texts(problems)
}

func TestDecodeWordsEveryProblem(t *testing.T) {
	long := "x" + strings.Repeat("ä", 100)
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"wrong type", "{stream: a, share: abc}", []string{`share: got "abc", want a number > 0 and ≤ 1`}},
		{"missing", "{measure: lag}", []string{`stream: missing; want a text`}},
		{"empty text", `{stream: ""}`, []string{`stream: got "", want a text`}},
		{"key without a value", `{stream: }`, []string{`stream: has no value; want a text, or leave it out`}},
		{"null", `{stream: ~}`, []string{`stream: has no value; want a text, or leave it out`}},
		{"not in the enumeration", "{stream: a, measure: size}", []string{`measure: got "size", want one of backlog, lag`}},
		{"below min", "{stream: a, count: -1}", []string{`count: got "-1", want a whole number ≥ 0`}},
		{"not above", "{stream: a, share: 0}", []string{`share: got "0", want a number > 0 and ≤ 1`}},
		{"above max", "{stream: a, share: 1.5}", []string{`share: got "1.5", want a number > 0 and ≤ 1`}},
		{"NaN", "{stream: a, share: NaN}", []string{`share: got "NaN", want a number > 0 and ≤ 1`}},
		{"NaN without bounds", "{stream: a, bias: nan}", []string{`bias: got "nan", want a number`}},
		{"infinite", "{stream: a, share: -Inf}", []string{`share: got "-Inf", want a number > 0 and ≤ 1`}},
		{"too large for a float", "{stream: a, share: 1e400}", []string{`share: got "1e400", want a number > 0 and ≤ 1`}},
		{"fraction of a whole number", "{stream: a, count: 1.5}", []string{`count: got "1.5", want a whole number ≥ 0`}},
		{"too large for 32 bits", "{stream: a, count: 2147483648}", []string{`count: got "2147483648", want a whole number ≥ 0`}},
		{"too large for 64 bits", "{stream: a, offset: 9223372036854775808}", []string{`offset: got "9223372036854775808", want a whole number`}},
		{"behind a pointer", "{stream: a, floor: -1}", []string{`floor: got "-1", want a whole number ≥ 0`}},
		{"duration without a unit", "{stream: a, wait: 30}", []string{`wait: got "30", want a duration such as 30s or 5m ≥ 1s and ≤ 1m`}},
		{"duration out of bounds", "{stream: a, wait: 61s}", []string{`wait: got "61s", want a duration such as 30s or 5m ≥ 1s and ≤ 1m`}},
		{"time", "{stream: a, since: yesterday}", []string{`since: got "yesterday", want a time such as 2026-12-31T18:00:00Z`}},
		{"truth value", "{stream: a, exact: yes}", []string{`exact: got "yes", want true or false`}},
		{"truth value in another case", "{stream: a, exact: True}", []string{`exact: got "True", want true or false`}},
		{"list for a text", "{stream: [a, b]}", []string{`stream: got a list, want a text`}},
		{"list with a gap", `{stream: a, nodes: "a,,b"}`, []string{`nodes: got "a,,b", want a list, or texts separated by commas`}},
		{"list of a mapping", `{stream: a, nodes: [{b: c}]}`, []string{`key nodes: want a list of at most 1000 plain values`}},
		{"own syntax", "{stream: a, level: mid}", []string{`level: got "mid", want low or high`}},
		{"long value", "{stream: a, share: " + long + "}", []string{`share: got "x` + strings.Repeat("ä", 29) + `…", want a number > 0 and ≤ 1`}},
		{"unknown", "{stream: a, colour: red}", []string{`unknown parameter colour`}},
		{"misspelt", "{stream: a, mesure: lag}", []string{`unknown parameter mesure; did you mean measure?`}},
		{"wrong case", "{stream: a, MEASURE: lag}", []string{`unknown parameter MEASURE; did you mean measure?`}},
		{"misspelt alias", "{stream: a, strumName: b}", []string{`unknown parameter strumName; did you mean streamName?`}},
		{"misspelt nested", "{stream: a, tls: {cb: b}}", []string{`unknown parameter tls.cb; did you mean tls.ca?`}},
		{"unprintable name", `{stream: a, "a\nb": b}`, []string{`unknown parameter "a\nb"`}},
		{"long name", `{stream: a, ` + long + `: b}`, []string{`unknown parameter "x` + strings.Repeat("ä", 29) + `…"`}},
		{"word without a value", "{stream: a, colour}", []string{`a word without a value is no parameter; does a text with a comma lack its quotes?`}},
		{"misspelt word without a value", "{stream: a, mesure}", []string{`unknown parameter mesure; did you mean measure?`}},
		{"alias and proper", "{stream: a, streamName: b}", []string{`stream: given twice, as stream and as streamName; want stream alone`}},
		{"two aliases", "{queue: a, streamName: b}", []string{`stream: given twice, as queue and as streamName; want stream alone`}},
		{"direct and by reference", "{stream: a, streamFromEnv: B}", []string{`stream: given both as stream and by reference; want one of them`}},
		{"alias by reference", "{stream: a, queueFromEnv: B}", []string{`stream: given twice, as stream and as queue; want stream alone`}},
		{"two references", "{streamFromEnv: B, streamFrom: {secret: s, key: k}}", []string{`stream: given twice, as streamFrom and as streamFromEnv; want one of them`}},
		{"reference without a key", "{streamFrom: {secret: s}}", []string{`streamFrom: want {secret: NAME, key: KEY} or {configMap: NAME, key: KEY}`}},
		{"reference with more", "{streamFrom: {secret: s, key: k, optional: true}}", []string{`streamFrom: want {secret: NAME, key: KEY} or {configMap: NAME, key: KEY}`}},
		{"reference to both", "{streamFrom: {secret: s, configMap: c, key: k}}", []string{`streamFrom: want {secret: NAME, key: KEY} or {configMap: NAME, key: KEY}`}},
		{"reference to neither", "{streamFrom: {key: k, optional: true}}", []string{`streamFrom: want {secret: NAME, key: KEY} or {configMap: NAME, key: KEY}`}},
		{"reference as a text", "{streamFrom: s}", []string{`streamFrom: want {secret: NAME, key: KEY} or {configMap: NAME, key: KEY}`}},
		{"reference too deep", "{streamFrom: {secret: {name: s}, key: k}}", []string{`streamFrom: want {secret: NAME, key: KEY} or {configMap: NAME, key: KEY}`}},
		{"variable without a name", `{streamFromEnv: ""}`, []string{`streamFromEnv: want the name of an environment variable`}},
		{"variable as a mapping", `{streamFromEnv: {name: B}}`, []string{`streamFromEnv: want the name of an environment variable`}},
		{"unknown by reference", "{stream: a, passwrdFromEnv: B}", []string{`unknown parameter passwrd; did you mean password?`}},
		{"mapping for a text", "{stream: {a: b}}", []string{`stream: got a mapping, want a text`, `stream: missing; want a text`}},
		{"text for a mapping", "{stream: a, tls: b}", []string{`tls: want a mapping of ca, insecureSkipVerify`}},
		{"empty mapping", "{stream: a, tls: {}}", []string{`tls: want a mapping of ca, insecureSkipVerify`}},
		{"several, in order", "{wait: 0s, count: x, zzz: 1}", []string{
			`count: got "x", want a whole number ≥ 0`, `stream: missing; want a text`, `unknown parameter zzz`,
			`wait: got "0s", want a duration such as 30s or 5m ≥ 1s and ≤ 1m`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, got := decode(c.text); !reflect.DeepEqual(got, c.want) {
				t.Errorf("problems of %s:\n got %q\nwant %q", c.text, got, c.want)
			}
		})
	}
}

func TestDecodeFillsTheStruct(t *testing.T) {
	got, problems := decode(`
note: n
queue: orders
password: 0123
share: 5e-1
count: 0
offset: -9223372036854775808
floor: 0
wait: 90s
since: 2026-01-02T03:04:05+01:00
exact: false
nodes: "a, b"
pin: [1, two]
level: high
tls: {ca: c}
`)
	if want := []string{`wait: got "90s", want a duration such as 30s or 5m ≥ 1s and ≤ 1m`}; !reflect.DeepEqual(problems, want) {
		t.Errorf("problems: %q, want %q", problems, want)
	}
	floor, since := int32(0), time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC)
	if got.Since == nil || !got.Since.Equal(since) {
		t.Errorf("since: %v, want %v", got.Since, since)
	}
	got.Since = nil
	want := params{
		shared: shared{Note: "n"}, Stream: "orders", Measure: "backlog", Password: "0123", Share: 0.5, Offset: -9223372036854775808, Floor: &floor,
		Nodes: []string{"a", "b"}, PIN: []string{"1", "two"}, Level: "high",
	}
	want.TLS.CA = "c"
	if !reflect.DeepEqual(got, want) {
		t.Errorf("decoded %+v, want %+v", got, want)
	}
}

// Zero, empty and absent are three things.
func TestZeroEmptyAbsent(t *testing.T) {
	zero, problems := decode("{stream: a, floor: 0}")
	if len(problems) > 0 || zero.Floor == nil || *zero.Floor != 0 {
		t.Errorf("0: %v, %q; want a pointer to 0 and no problem", zero.Floor, problems)
	}
	empty, problems := decode(`{stream: a, floor: ""}`)
	if want := []string{`floor: got "", want a whole number ≥ 0`}; empty.Floor != nil || !reflect.DeepEqual(problems, want) {
		t.Errorf("empty: %v, %q; want nil and %q", empty.Floor, problems, want)
	}
	absent, problems := decode("{stream: a}")
	if len(problems) > 0 || absent.Floor != nil {
		t.Errorf("absent: %v, %q; want nil and no problem", absent.Floor, problems)
	}
}

func TestSecretsAreNeverQuoted(t *testing.T) {
	const canary = "hunter2"
	for _, text := range []string{
		"{stream: a, pin: 'hunter2,,hunter2'}",
		"{stream: a, password: [hunter2]}",
		"{stream: a, password: {hunter2}}",
		"{stream: a, password: {hunter2: {hunter2: b}}}",
		"{stream: a, password: {hunter2, hunter2}}",
		"{stream: a, password: {hunter2: [{a: b}]}}",
		"{stream: a, password: *hunter2}",
		"{stream: a, password: {b: *hunter2}}",
		"{stream: a, password: &hunter2 }",
		"{stream: a, password: !hunter2 }",
		"{stream: a, password: !!int hunter2}",
		"{stream: a, password: !!binary hunter2}",
		"{stream: a, password: a,hunter2}",
		"{stream: a, passwrd: {hunter2}}",
		"{stream: a, password: b: hunter2}",
		"{stream: a, password: hunter2",
		"{stream: a, password: 'hunter2}",
		`{stream: a, password: "\hunter2"}`,
		"password: @hunter2",
		"{stream: a, password: {{ .hunter2 }}}",
		"stream: a\npassword: |hunter2",
		"stream: a\npassword: %hunter2\n%hunter2",
		"hunter2",
		"{stream: a, passwordFrom: hunter2}",
		"{stream: a, passwordFrom: {hunter2}}",
		"{stream: a, passwordFrom: {secret: hunter2, hunter2: hunter2}}",
		"{stream: a, password: hunter2, passwordFromEnv: B}",
	} {
		_, problems := decode(text)
		if strings.Contains(strings.Join(problems, "\n"), canary) {
			t.Errorf("the problems of %s quote the secret: %q", text, problems)
		}
	}
}

func TestForRefusesStructsThatNoInputCouldFill(t *testing.T) {
	for _, c := range []struct {
		name string
		make func()
		want string
	}{
		{"unknown type", func() {
			schema.For[struct {
				A chan int `name:"a"`
			}]()
		}, "schema of struct { A chan int \"name:\\\"a\\\"\" }: field A has a type that cannot be decoded"},
		{"one name twice", func() {
			schema.For[struct {
				A string `name:"a"`
				B string `name:"b" alias:"a"`
			}]()
		}, "schema of struct { A string \"name:\\\"a\\\"\"; B string \"name:\\\"b\\\" alias:\\\"a\\\"\" }: two fields are named a"},
		{"bad default", func() {
			schema.For[struct {
				A int32 `name:"a" default:"x"`
			}]()
		}, "schema of struct { A int32 \"name:\\\"a\\\" default:\\\"x\\\"\" }: default of a: got \"x\", want a whole number"},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				if got := recover(); got != c.want {
					t.Errorf("panicked with %q, want %q", got, c.want)
				}
			}()
			c.make()
		})
	}
}

func TestFieldsAreInTheOrderOfTheStruct(t *testing.T) {
	want := []string{"note", "stream", "measure", "password", "share", "bias", "count", "offset", "floor", "wait", "since", "exact", "nodes", "pin", "level", "tls.ca", "tls.insecureSkipVerify"}
	if got := schema.For[params]().Names(); !reflect.DeepEqual(got, want) {
		t.Errorf("names %q, want %q", got, want)
	}
}
