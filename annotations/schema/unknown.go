package schema

import (
	"slices"
	"strings"
)

// Unknowns words the problems of paths that are a parameter of none of the schemas.
type Unknowns []*Schema

// Problem says what is wrong with the path, with a suggestion where a known one is near; more lists further names to suggest. It shows no key from
// inside of a value and no key that stands alone, since either may be a piece of a secret that was meant as a text: {password: {abc}, password: abc,def}.
func (u Unknowns) Problem(path string, bare bool, more ...string) Problem {
	path, inside := u.cut(path, more)
	if f, ok := u.field(path); ok {
		return Problem{path, "got a mapping, want " + f.Want()}
	}
	if keys := u.keysOf(path); len(keys) > 0 {
		return Problem{path, "want a mapping of " + strings.Join(keys, ", ")}
	}
	known := slices.Clone(more)
	for _, s := range u {
		known = append(known, s.spellings()...)
	}
	slices.Sort(known)
	if bare && !inside && Nearest(path, known) == "" {
		return Problem{Text: "a word without a value is no parameter; does a text with a comma lack its quotes?"}
	}
	text := Unknown("parameter", path, known)
	if len(known) <= fewNames && Nearest(path, known) == "" {
		text += "; want one of " + strings.Join(known, ", ")
	}
	return Problem{Text: text}
}

// fewNames is how many names are listed where none is near.
const fewNames = 8

// cut drops what follows the first part of path that is no mapping of parameters; inside says whether anything was dropped.
func (u Unknowns) cut(path string, more []string) (head string, inside bool) {
	for at, r := range path {
		if r == '.' && len(u.keysOf(path[:at])) == 0 && !slices.ContainsFunc(more, func(name string) bool { return strings.HasPrefix(name, path[:at+1]) }) {
			return path[:at], true
		}
	}
	return path, false
}

func (u Unknowns) field(path string) (Field, bool) {
	for _, s := range u {
		if f, ok := s.Field(path); ok {
			return f, true
		}
	}
	return Field{}, false
}

// keysOf lists the parameters below path.
func (u Unknowns) keysOf(path string) []string {
	var keys []string
	for _, s := range u {
		for _, f := range s.fields {
			if key, ok := strings.CutPrefix(f.Path, path+"."); ok {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

func (s *Schema) spellings() []string {
	names := s.Names()
	for _, f := range s.fields {
		names = append(names, f.Aliases...)
	}
	return names
}
