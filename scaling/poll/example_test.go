package poll

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"autoscale.io/annotations"
	"autoscale.io/scalers"
	"autoscale.io/scalers/builtin"
	"autoscale.io/scaling/decide"
)

const page = "../../docs/deciding.md"

// TestTheWorkedExample decides every line of the example in the documentation again: the annotations are decoded, the readings are those of the table,
// and every count is written.
func TestTheWorkedExample(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, example, found := strings.Cut(string(text), "## A worked example\n")
	if !found {
		t.Fatalf("%s has no worked example", page)
	}
	_, fenced, _ := strings.Cut(example, "```yaml\n")
	config, table, _ := strings.Cut(fenced, "```\n")
	e := newExample(t, config)
	var want, got []string
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if !strings.HasPrefix(line, "| 1") || len(cells) != 5 {
			continue
		}
		want = append(want, strings.TrimSpace(line))
		got = append(got, e.row(strings.TrimPrefix(cells[0], "| "), cells[1], cells[2]))
	}
	if len(want) < 10 {
		t.Errorf("the table has %d lines, want at least 10", len(want))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s says\n%s\nand the decisions are\n%s", page, strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
}

type example struct {
	t        *testing.T
	in       decide.Input
	state    decide.State
	failures int
}

func newExample(t *testing.T, config string) *example {
	t.Helper()
	given := map[string]string{}
	if err := yaml.UnmarshalStrict([]byte(config), &given); err != nil {
		t.Fatal(err)
	}
	registry, err := builtin.Registry(scalers.Env{})
	if err != nil {
		t.Fatal(err)
	}
	decoded := annotations.Decode(given, registry)
	if len(decoded.Faults) > 0 {
		t.Fatal(decoded.Faults)
	}
	e := &example{t: t, in: newInput(decoded.Workload.Settings, time.Time{})}
	e.in.ZeroIsOurs = true
	e.in.Triggers = []decide.Trigger{newTrigger("orders", decoded.Workload.Triggers[0].Common)}
	e.in.Guards = []decide.Guard{{Name: "failures", Limit: decoded.Workload.Guards[0].Target}}
	return e
}

// row is a line of the table.
func (e *example) row(clock, orders, failures string) string {
	e.t.Helper()
	now, err := time.Parse("15:04:05", clock)
	if err != nil {
		e.t.Fatal(err)
	}
	e.in.Triggers[0].Reading = e.reading(orders)
	if e.failures++; e.in.Triggers[0].Reading.Known {
		e.failures = 0
	}
	e.in.Triggers[0].Reading.Failures = e.failures
	e.in.Guards[0].Reading = e.reading(failures)
	var d decide.Decision
	d, e.state = decide.Step(now.AddDate(2026, 2, 1), e.in, e.state)
	line := fmt.Sprintf("| %s | %s | %s | %d → %d | %s: %s |", clock, orders, failures, d.From, d.Replicas, d.Reason, d.Sentence(e.in))
	e.in.Current = d.Replicas
	return line
}

func (e *example) reading(text string) decide.Reading {
	if text == "?" {
		return decide.Reading{}
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		e.t.Fatal(err)
	}
	return decide.Reading{Known: true, Value: value}
}
