package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
)

// Row is one figure.
type Row struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Budget is the largest value that passes; a row of the appendix has none.
	Budget *float64 `json:"budget,omitempty"`
	Pass   bool     `json:"pass"`
	// Note says what a reader should know of how it was measured.
	Note string `json:"note,omitempty"`
}

// Report is what a run has found.
type Report struct {
	Machine Machine `json:"machine"`
	// Seed chose which workloads get work.
	Seed  uint64 `json:"seed"`
	Quick bool   `json:"quick"`
	Rows  []Row  `json:"rows"`
	// Appendix are figures without a budget.
	Appendix []Row `json:"appendix,omitempty"`
}

// budget of a row, which fails above it.
type budget struct {
	name  string
	unit  string
	limit float64
}

// budgets lists every row, in the order of the table.
func budgets() []budget {
	return []budget{
		{"reaction/zero/redis/p50-ratio", "×", 3},
		{"reaction/zero/redis/p99-ms", "ms", 150},
		{"reaction/zero/postgres-listen/p99-ms", "ms", 250},
		{"reaction/burst/redis/p50-ms", "ms", 1500},
		{"reaction/loaded/p99-ms", "ms", 500},
		{"reaction/herd/all-seconds", "s", 5},
		{"reaction/beside-1000/p50-ms", "ms", 2000},
		{"restart/1000/p99-seconds", "s", 10},
		{"rest/1000/cpu-percent", "% of a core", 1.5},
		{"rest/1000/rss-mib", "MiB", 100},
		{"rest/1000/redis-connections", "", 4},
		{"rest/1000/api-writes", "", 0},
		{"rest/5000/cpu-percent", "% of a core", 6},
		{"rest/5000/rss-mib", "MiB", 250},
		{"rest/sql-1000/connections", "", 4},
		{"rest/cpu-1000/cpu-percent", "% of a core", 10},
		{"start/5000/seconds", "s", 45},
		{"isolation/p99-late-ms", "ms", 200},
		{"decide/ns", "ns", 2000},
		{"decide/allocs", "", 0},
		{"admission/p99-us", "µs", 1000},
	}
}

// full says which rows a quick run leaves out.
func (b budget) full() bool {
	switch b.name {
	case "rest/5000/cpu-percent", "rest/5000/rss-mib", "start/5000/seconds":
		return true
	}
	return false
}

// add takes a figure in. A name without a budget goes to the appendix.
func (r *Report) add(name string, value float64, note string) {
	for _, b := range budgets() {
		if b.name == name {
			r.Rows = append(r.Rows, Row{name, value, b.unit, &b.limit, value <= b.limit, note})
			return
		}
	}
	r.Appendix = append(r.Appendix, Row{Name: name, Value: value, Pass: true, Note: note})
}

// value is the figure of a row or of the appendix.
func (r *Report) value(name string) (value float64, ok bool) {
	for _, row := range slices.Concat(r.Rows, r.Appendix) {
		if row.Name == name {
			return row.Value, true
		}
	}
	return 0, false
}

// addPerWorkload adds what one more workload takes, by the memory of a small and of a large fleet, if both were measured.
func (r *Report) addPerWorkload(few, many int) {
	small, haveSmall := r.value(fmt.Sprintf("rest/%d/rss-mib", few))
	large, haveLarge := r.value(fmt.Sprintf("rest/%d/rss-mib", many))
	if haveSmall && haveLarge {
		r.add("rest/kib-per-workload", (large-small)*1024/float64(many-few), fmt.Sprintf("by the RSS among %d and among %d", few, many))
	}
}

// sort puts the rows in the order of the table.
func (r *Report) sort() {
	var sorted []Row
	for _, b := range budgets() {
		for _, row := range r.Rows {
			if row.Name == b.name {
				sorted = append(sorted, row)
			}
		}
	}
	r.Rows = sorted
}

// Verdict is an error that names the rows that failed or are missing, nil when there are none.
func (r *Report) Verdict() error {
	found := map[string]bool{}
	var failed []string
	for _, row := range r.Rows {
		found[row.Name] = true
		if !row.Pass {
			failed = append(failed, fmt.Sprintf("%s is %s, over its budget of %s", row.Name, figure(row.Value), figure(*row.Budget)))
		}
	}
	for _, b := range budgets() {
		if !found[b.name] && !(r.Quick && b.full()) {
			failed = append(failed, b.name+" was not measured")
		}
	}
	if len(failed) == 0 {
		return nil
	}
	text := ""
	for _, f := range failed {
		text += "\n  " + f
	}
	return fmt.Errorf("%d of %d rows fail:%s", len(failed), len(budgets()), text)
}

// Table writes the rows for people.
func (r *Report) Table(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "row\tvalue\tbudget\t\t\n")
	for _, row := range r.Rows {
		verdict := "ok"
		if !row.Pass {
			verdict = "OVER"
		}
		fmt.Fprintf(table, "%s\t%s %s\t≤ %s\t%s\t%s\n", row.Name, figure(row.Value), row.Unit, figure(*row.Budget), verdict, row.Note)
	}
	if len(r.Appendix) > 0 {
		fmt.Fprintf(table, "\nappendix\t\t\t\t\n")
	}
	for _, row := range r.Appendix {
		fmt.Fprintf(table, "%s\t%s %s\t\t\t%s\n", row.Name, figure(row.Value), row.Unit, row.Note)
	}
	return table.Flush()
}

func figure(v float64) string {
	switch {
	case v == float64(int64(v)):
		return fmt.Sprintf("%d", int64(v))
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// Write writes the report as JSON.
func (r *Report) Write(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}
