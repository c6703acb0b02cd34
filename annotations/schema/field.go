package schema

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Field is one parameter as its struct tags declare it.
type Field struct {
	// Path is the parameter's name; nested parameters join theirs with dots.
	Path    string
	Aliases []string
	// Default is the text decoded when the parameter is absent; HasDefault tells an empty default from none.
	Default    string
	HasDefault bool
	Required   bool
	Secret     bool
	Enum       []string
	Min        string
	Above      string
	Max        string
	Doc        string

	index []int
	typ   reflect.Type
}

// Schema is the set of parameters that a struct declares.
type Schema struct {
	typ    reflect.Type
	fields []Field
	// byName finds a field by its path or an alias.
	byName map[string]int
}

// For returns the schema of the struct T. It panics on a struct that no input could ever fill, which a unit test of the
// declaring package finds: a type the decoder does not know, two fields of one name, or a default that does not decode.
func For[T any]() *Schema {
	s := &Schema{typ: reflect.TypeFor[T](), byName: map[string]int{}}
	s.collect(s.typ, nil, "")
	for i, f := range s.fields {
		for _, name := range append([]string{f.Path}, f.Aliases...) {
			if _, taken := s.byName[name]; taken {
				panic(fmt.Sprintf("schema of %s: two fields are named %s", s.typ, name))
			}
			s.byName[name] = i
		}
		if f.HasDefault {
			if _, problem := f.decode(Value{Text: f.Default}); problem != "" {
				panic(fmt.Sprintf("schema of %s: default of %s: %s", s.typ, f.Path, problem))
			}
		}
	}
	return s
}

func (s *Schema) collect(typ reflect.Type, index []int, prefix string) {
	for i := range typ.NumField() {
		field := typ.Field(i)
		at := append(slices.Clone(index), i)
		name, named := field.Tag.Lookup("name")
		switch {
		case field.Anonymous && !named:
			s.collect(field.Type, at, prefix)
		case !named:
		case field.Type.Kind() == reflect.Struct && !decodable(field.Type):
			s.collect(field.Type, at, prefix+name+".")
		case !decodable(field.Type):
			panic(fmt.Sprintf("schema of %s: field %s has a type that cannot be decoded", s.typ, field.Name))
		default:
			s.fields = append(s.fields, newField(field, at, prefix+name))
		}
	}
}

func newField(field reflect.StructField, index []int, path string) Field {
	tag := field.Tag
	f := Field{
		Path: path, Aliases: list(tag.Get("alias")), Required: tag.Get("required") == "true", Secret: tag.Get("secret") == "true",
		Enum: list(tag.Get("enum")), Min: tag.Get("min"), Above: tag.Get("above"), Max: tag.Get("max"), Doc: tag.Get("doc"),
		index: index, typ: field.Type,
	}
	f.Default, f.HasDefault = tag.Lookup("default")
	return f
}

func list(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// Fields returns the parameters in the order of the struct.
func (s *Schema) Fields() []Field { return slices.Clone(s.fields) }

// Field returns the parameter with that path or alias.
func (s *Schema) Field(name string) (Field, bool) {
	i, ok := s.byName[name]
	if !ok {
		return Field{}, false
	}
	return s.fields[i], true
}

// Names returns the paths, without aliases.
func (s *Schema) Names() []string {
	names := make([]string, 0, len(s.fields))
	for _, f := range s.fields {
		names = append(names, f.Path)
	}
	return names
}

// New returns a pointer to a new struct of the schema's type.
func (s *Schema) New() any { return reflect.New(s.typ).Interface() }
