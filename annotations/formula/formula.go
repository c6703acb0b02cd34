// Package formula makes one number of the values of several triggers, by an expression in a small part of the expr language
// (github.com/expr-lang/expr), as KEDA's scalingModifiers do.
//
// It owns the part of the language whose cost is bounded by an expression's length, how triggers are named, and what a failing one is in an
// expression. It reads nothing and knows no replica count.
package formula

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"autoscale.io/annotations/schema"
)

const (
	// maxLength and maxNodes bound an expression, which anybody who may annotate a workload can write.
	maxLength = 4 << 10
	maxNodes  = 500
)

// Formula is a compiled expression. It is immutable.
type Formula struct {
	program   *vm.Program
	variables map[string]string // by trigger
}

// Variable is the name of a trigger in an expression: its own, with _ for -.
func Variable(trigger string) string { return strings.ReplaceAll(trigger, "-", "_") }

// Compile checks an expression over the named triggers: it must give a number, use no other name and stay within the language. The error is
// one line and says what is wrong, with a suggestion for a misspelt name.
func Compile(expression string, triggers []string) (*Formula, error) {
	if len(expression) > maxLength {
		return nil, fmt.Errorf("it is longer than %d bytes", maxLength)
	}
	f := &Formula{variables: map[string]string{}}
	env, names := map[string]any{}, make([]string, 0, len(triggers))
	for _, trigger := range triggers {
		f.variables[trigger] = Variable(trigger)
		names = append(names, Variable(trigger))
		env[Variable(trigger)] = float64(0)
	}
	// The language is checked on the tree before anything is made of it: the compiler computes what is constant.
	limits := conf.CreateNew()
	limits.MaxNodes = maxNodes
	tree, err := parser.ParseWithConfig(expression, limits)
	if err != nil {
		return nil, errors.New(problem(err, names))
	}
	if err := check(tree.Node); err != nil {
		return nil, err
	}
	program, err := expr.Compile(expression, expr.Env(env), expr.AsFloat64(), expr.MaxNodes(maxNodes))
	if err != nil {
		return nil, errors.New(problem(err, names))
	}
	f.program = program
	return f, nil
}

// problem keeps the first line of a compiler's error, which alone says something without the picture below it.
func problem(err error, names []string) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	var name string
	if n, scanErr := fmt.Sscanf(line, "unknown name %s", &name); scanErr == nil && n == 1 {
		return schema.Unknown("name", name, names)
	}
	return line
}

// Value is the number for these values by trigger. A trigger without a value is nil in the expression, so that (orders ?? 0) gives a number
// and orders alone an error. A result that is not finite or is negative is an error too.
func (f *Formula) Value(values map[string]float64) (float64, error) {
	env := make(map[string]any, len(f.variables))
	for trigger, variable := range f.variables {
		env[variable] = nil
		if value, ok := values[trigger]; ok {
			env[variable] = value
		}
	}
	result, err := expr.Run(f.program, env)
	if err != nil {
		line, _, _ := strings.Cut(err.Error(), "\n")
		return 0, fmt.Errorf("evaluate the formula: %s", line)
	}
	number, ok := result.(float64)
	if !ok || math.IsNaN(number) || math.IsInf(number, 0) || number < 0 {
		return 0, fmt.Errorf("evaluate the formula: got %v, want a finite number ≥ 0", result)
	}
	return number, nil
}
