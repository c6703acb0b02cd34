package formula_test

import (
	"strings"
	"testing"

	"autoscale.io/annotations/formula"
)

func TestValue(t *testing.T) {
	both := map[string]float64{"orders": 1.5, "slow-mail": 2}
	one := map[string]float64{"slow-mail": 2}
	for _, c := range []struct {
		expression string
		values     map[string]float64
		want       float64
		err        string
	}{
		{"orders + 2*slow_mail", both, 5.5, ""},
		{"max(orders, slow_mail)", both, 2, ""},
		{"orders > 1 ? slow_mail : 0", both, 2, ""},
		{"orders ?? 0", one, 0, ""},
		{"(orders ?? 7) + slow_mail", one, 9, ""},
		{"orders == nil ? 3 : orders", one, 3, ""},
		{"7", nil, 7, ""},
		{"orders + 1", one, 0, "evaluate the formula: invalid operation: <nil> + int (1:8)"},
		{"orders / 0", both, 0, "evaluate the formula: got +Inf, want a finite number ≥ 0"},
		{"0*orders / 0", both, 0, "evaluate the formula: got NaN, want a finite number ≥ 0"},
		{"orders - slow_mail", both, 0, "evaluate the formula: got -0.5, want a finite number ≥ 0"},
		// What KEDA documents.
		{"count([orders, slow_mail], {# > 1}) > 1 ? 5 : 0", both, 5, ""},
		{"sum([orders, slow_mail])", both, 3.5, ""},
		{"any([orders, slow_mail], # > 1.6) ? 1 : 0", both, 1, ""},
		{"all([orders, slow_mail], # > 1.6) ? 1 : 0", both, 0, ""},
		{"min([orders, slow_mail]) + max(orders, slow_mail)", both, 3.5, ""},
		{"round(orders / 4) + ceil(0.2) + floor(1.9) + abs(-1)", both, 3, ""},
		{"not (orders > 1 and slow_mail > 1) ? 0 : 2 ** 3", both, 8, ""},
	} {
		f, err := formula.Compile(c.expression, []string{"orders", "slow-mail"})
		if err != nil {
			t.Errorf("%s: %v", c.expression, err)
			continue
		}
		got, err := f.Value(c.values)
		if text(err) != c.err || got != c.want {
			t.Errorf("%s: got %v, %v, want %v, %s", c.expression, got, err, c.want, c.err)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	for expression, want := range map[string]string{
		"ordres + 1":                   "unknown name ordres; did you mean orders?",
		"zzzzzzzz":                     "unknown name zzzzzzzz",
		`len(repeat("x", 999000))`:     "the function len" + notAllowed,
		`repeat("x", 999000)`:          "the function repeat" + notAllowed,
		"let r = 1..900000; sum(r, 1)": "let" + notAllowed,
		"sum(1..100000000)":            "the function sum over anything but a list that stands there" + notAllowed,
		"sum(map(1..10, #))":           "the function sum over anything but a list that stands there" + notAllowed,
		"sum([1, 2], sum([1, 2], #))":  "a list within a list's predicate" + notAllowed,
		"count([orders, 1..9], true)":  "the operator .." + notAllowed,
		"[orders]":                     "a list that is not the argument of a function" + notAllowed,
		"[orders][0]":                  "a part of a value" + notAllowed,
		"{a: 1}.a":                     "a part of a value" + notAllowed,
		`orders matches "a"`:           "the operator matches" + notAllowed,
		"orders in [1, 2] ? 1 : 0":     "the operator in" + notAllowed,
		"orders | max(2)":              "",
		"1; 2":                         "a sequence of expressions" + notAllowed,
		"orders()":                     "the function orders" + notAllowed,
		"max()":                        "the function max without arguments" + notAllowed,
		"sum([" + strings.Repeat("1, ", 32) + "1])": "a list of 33 is not allowed; want at most 32",
		"orders > 1":                  "expected float64, but got bool",
		`"x"`:                         "a text" + notAllowed,
		"orders +":                    "unexpected token EOF (1:8)",
		"":                            "unexpected token EOF",
		"now()":                       "the function now" + notAllowed,
		"orders + " + long(3000):      "compilation failed: expression exceeds maximum allowed nodes (1:509)",
		strings.Repeat("(1) + ", 900): "it is longer than 4096 bytes",
	} {
		_, err := formula.Compile(expression, []string{"orders"})
		if text(err) != want {
			t.Errorf("%.40s: got %v, want %s", expression, err, want)
		}
	}
}

// notAllowed ends the message of a refusal.
const notAllowed = " is not allowed; a formula has numbers, names of triggers, arithmetic, comparisons, and, or, not, ?:, ??, min, max, abs, ceil, floor and round, " +
	"and sum, count, any and all over a list such as [orders, payments]"

func long(n int) string { return strings.Repeat("1+", n/2) + "1" }

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
