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
		{"len(1..100000000)", both, 0, "evaluate the formula: memory budget exceeded (1:6)"},
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
		"ordres + 1":                  "unknown name ordres; did you mean orders?",
		"zzzzzzzz":                    "unknown name zzzzzzzz",
		"orders > 1":                  "expected float64, but got bool",
		`"x"`:                         "expected float64, but got string",
		"orders +":                    "unexpected token EOF (1:8)",
		"":                            "unexpected token EOF",
		"now()":                       "unknown name now",
		"orders + " + long(3000):      "compilation failed: expression exceeds maximum allowed nodes (1:509)",
		strings.Repeat("(1) + ", 900): "it is longer than 4096 bytes",
	} {
		_, err := formula.Compile(expression, []string{"orders"})
		if text(err) != want {
			t.Errorf("%.40s: got %v, want %s", expression, err, want)
		}
	}
}

func long(n int) string { return strings.Repeat("1+", n/2) + "1" }

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
