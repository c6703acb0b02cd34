package schema

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Parser is implemented by (a pointer to) a type with a syntax of its own.
type Parser interface {
	// ParseValue sets the receiver. The error begins with "want" and does not quote the text.
	ParseValue(text string) error
	// Syntax describes the accepted texts for the documentation, such as "`true`, `false` or a number".
	Syntax() string
}

var (
	parserType   = reflect.TypeFor[Parser]()
	durationType = reflect.TypeFor[time.Duration]()
	timeType     = reflect.TypeFor[time.Time]()
)

func decodable(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(parserType) || t == timeType {
		return true
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int32, reflect.Int64, reflect.Float64:
		return true
	case reflect.Slice:
		return t.Elem().Kind() == reflect.String
	}
	return false
}

// Decode fills dst, a pointer to the schema's struct, and returns every problem in order of the parameters' names. Parameters named in indirect
// count as given but are not decoded. Defaults are filled in; a field with a problem keeps its zero value.
func (s *Schema) Decode(values Values, indirect Refs, dst any) []Problem {
	target := reflect.ValueOf(dst).Elem()
	var problems []Problem
	given := map[string]string{} // canonical path → the name it was given by
	for _, name := range slices.Concat(values.Paths(), indirect.Paths()) {
		i, ok := s.byName[name]
		if !ok {
			problems = append(problems, Unknowns{s}.Problem(name, values[name].Null))
			continue
		}
		f := s.fields[i]
		if other, twice := given[f.Path]; twice {
			problems = append(problems, Problem{f.Path, twiceText(f.Path, other, name)})
			continue
		}
		given[f.Path] = name
		value, direct := values[name]
		if !direct {
			continue
		}
		decoded, problem := f.decode(value)
		if problem != "" {
			problems = append(problems, Problem{name, problem})
			continue
		}
		target.FieldByIndex(f.index).Set(decoded)
	}
	problems = append(problems, s.fillAbsent(given, target)...)
	slices.SortStableFunc(problems, func(a, b Problem) int { return strings.Compare(a.String(), b.String()) })
	return problems
}

func twiceText(path, first, second string) string {
	if first == second {
		return fmt.Sprintf("given both as %s and by reference; want one of them", first)
	}
	return fmt.Sprintf("given twice, as %s and as %s; want %s alone", first, second, path)
}

func (s *Schema) fillAbsent(given map[string]string, target reflect.Value) []Problem {
	var problems []Problem
	for _, f := range s.fields {
		if _, ok := given[f.Path]; ok {
			continue
		}
		switch {
		case f.Required:
			problems = append(problems, Problem{f.Path, "missing; want " + f.Want()})
		case f.HasDefault:
			decoded, _ := f.decode(Value{Text: f.Default})
			target.FieldByIndex(f.index).Set(decoded)
		}
	}
	return problems
}

// decode returns the value in the field's type, or what is wrong with it.
func (f Field) decode(value Value) (reflect.Value, string) {
	out := reflect.New(f.typ).Elem()
	slot := out
	if f.typ.Kind() == reflect.Pointer {
		slot = reflect.New(f.typ.Elem()).Elem()
		out.Set(slot.Addr())
	}
	if value.Null {
		return out, "has no value; want " + f.Want() + ", or leave it out"
	}
	if value.List != nil && slot.Kind() != reflect.Slice {
		return out, "got a list, want " + f.Want()
	}
	if err := f.set(slot, value); err != "" {
		return out, err
	}
	return out, ""
}

// Accepts says whether the value is one of the parameter's.
func (f Field) Accepts(value Value) bool {
	_, problem := f.decode(value)
	return problem == ""
}

func (f Field) set(slot reflect.Value, value Value) string {
	text := value.Text
	if p, ok := slot.Addr().Interface().(Parser); ok {
		if err := p.ParseValue(text); err != nil {
			return f.got(text) + err.Error()
		}
		return ""
	}
	ok := false
	switch {
	case slot.Type() == durationType:
		ok = f.setDuration(slot, text)
	case slot.Type() == timeType:
		ok = setTime(slot, text)
	case slot.Kind() == reflect.Slice:
		ok = setList(slot, value)
	case slot.Kind() == reflect.String:
		ok = text != "" && (len(f.Enum) == 0 || slices.Contains(f.Enum, text))
		slot.SetString(text)
	case slot.Kind() == reflect.Bool:
		ok = text == "true" || text == "false"
		slot.SetBool(text == "true")
	default:
		ok = f.setNumber(slot, text)
	}
	if !ok {
		return f.got(text) + "want " + f.Want()
	}
	return ""
}

func (f Field) setDuration(slot reflect.Value, text string) bool {
	d, err := time.ParseDuration(text)
	slot.SetInt(int64(d))
	return err == nil && f.durationInBounds(d)
}

func setTime(slot reflect.Value, text string) bool {
	t, err := time.Parse(time.RFC3339, text)
	slot.Set(reflect.ValueOf(t))
	return err == nil
}

func setList(slot reflect.Value, value Value) bool {
	items := value.List
	if items == nil {
		items = strings.Split(value.Text, ",")
	}
	trimmed := make([]string, 0, len(items))
	for _, item := range items {
		if item = strings.TrimSpace(item); item == "" {
			return false
		}
		trimmed = append(trimmed, item)
	}
	slot.Set(reflect.ValueOf(trimmed))
	return true
}

func (f Field) setNumber(slot reflect.Value, text string) bool {
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(number) || math.IsInf(number, 0) || !f.inBounds(number) {
		return false
	}
	if slot.Kind() == reflect.Float64 {
		slot.SetFloat(number)
		return true
	}
	whole, err := strconv.ParseInt(text, 10, slot.Type().Bits())
	slot.SetInt(whole)
	return err == nil
}

func (f Field) inBounds(number float64) bool {
	return (f.Min == "" || number >= mustFloat(f.Min)) && (f.Above == "" || number > mustFloat(f.Above)) && (f.Max == "" || number <= mustFloat(f.Max))
}

func (f Field) durationInBounds(d time.Duration) bool {
	return (f.Min == "" || d >= mustDuration(f.Min)) && (f.Above == "" || d > mustDuration(f.Above)) && (f.Max == "" || d <= mustDuration(f.Max))
}

// mustFloat reads a bound that the struct's author wrote; a bad one shows in the first test that decodes the struct.
func mustFloat(text string) float64 {
	number, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(err)
	}
	return number
}

func mustDuration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		panic(err)
	}
	return d
}

func (f Field) got(text string) string {
	if f.Secret {
		return "got a secret value, "
	}
	return fmt.Sprintf("got %q, ", shorten(text))
}

// Want describes the accepted values in words: "a whole number ≥ 0", "one of backlog, lag".
func (f Field) Want() string {
	typ := f.typ
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if p, ok := reflect.New(typ).Interface().(Parser); ok {
		return p.Syntax()
	}
	switch {
	case len(f.Enum) > 0:
		return "one of " + strings.Join(f.Enum, ", ")
	case typ == durationType:
		return "a duration such as 30s or 5m" + f.bounds()
	case typ == timeType:
		return "a time such as 2026-12-31T18:00:00Z"
	case typ.Kind() == reflect.Bool:
		return "true or false"
	case typ.Kind() == reflect.Float64:
		return "a number" + f.bounds()
	case typ.Kind() == reflect.Slice:
		return "a list, or texts separated by commas"
	case typ.Kind() == reflect.String:
		return "a text"
	}
	return "a whole number" + f.bounds()
}

func (f Field) bounds() string {
	var parts []string
	for _, bound := range []struct{ sign, value string }{{">", f.Above}, {"≥", f.Min}, {"≤", f.Max}} {
		if bound.value != "" {
			parts = append(parts, bound.sign+" "+bound.value)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " " + strings.Join(parts, " and ")
}
