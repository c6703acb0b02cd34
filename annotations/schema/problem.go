package schema

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
)

// Problem is one thing that is wrong with one parameter.
type Problem struct {
	// Param is the path of the parameter; empty when the whole text is meant.
	Param string
	// Text says what was given and what was wanted. It never holds the value of a secret.
	Text string
}

// String joins the parameter and the text.
func (p Problem) String() string {
	if p.Param == "" {
		return p.Text
	}
	return p.Param + ": " + p.Text
}

// Findings collects what is wrong with parameters that are looked at as a whole. One that is given by reference is there, but its value is not known yet.
type Findings struct {
	Indirect           Refs
	Problems, Warnings []Problem
}

// Problem adds a problem.
func (f *Findings) Problem(param, text string) { f.Problems = append(f.Problems, Problem{param, text}) }

// Warn adds a warning.
func (f *Findings) Warn(param, text string) { f.Warnings = append(f.Warnings, Problem{param, text}) }

// Refers says whether a parameter is given by reference.
func (f *Findings) Refers(param string) bool {
	_, ok := f.Indirect[param]
	return ok
}

// Unknown words the problem of a name that is not in known, with the nearest known name where one is near enough. noun is "parameter" or
// "annotation".
func Unknown(noun, name string, known []string) string {
	if near := Nearest(name, known); near != "" {
		return fmt.Sprintf("unknown %s %s; did you mean %s?", noun, Plain(name), near)
	}
	return fmt.Sprintf("unknown %s %s", noun, Plain(name))
}

// Plain returns a name as a message may show it: a short printable word as it is, anything else quoted and shortened, so that no name can
// break a line or flood an event.
func Plain(name string) string {
	isPlain := func(r rune) bool { return unicode.IsGraphic(r) && r != ' ' && r != '"' && r != utf8.RuneError }
	if len(name) <= maxQuoted && name != "" && strings.IndexFunc(name, func(r rune) bool { return !isPlain(r) }) < 0 {
		return name
	}
	return fmt.Sprintf("%q", shorten(name))
}

// maxQuoted keeps a fault readable when a whole document was pasted as a value.
const maxQuoted = 60

// Short cuts a text that a message is to quote.
func Short(text string) string { return shorten(text) }

func shorten(text string) string {
	if len(text) <= maxQuoted {
		return text
	}
	end := maxQuoted
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// Nearest returns the known name with the smallest edit distance to name, or "" when none is within two letters or a third of name's length
// (one letter where the name has less than four). A difference of case alone always counts as near.
func Nearest(name string, known []string) string {
	limit := max(2, len(name)/3)
	switch {
	case len(name) > maxQuoted:
		return ""
	case len(name) < 4:
		limit = 1
	}
	best, bestDistance := "", limit+1
	for _, candidate := range known {
		distance := levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(candidate))
		if distance < bestDistance || (distance == bestDistance && best != "" && candidate < best) {
			best, bestDistance = candidate, distance
		}
	}
	return best
}
