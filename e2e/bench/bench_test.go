package bench

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(100-i))
	}
	for p, want := range map[int]time.Duration{1: 1, 50: 50, 99: 99, 100: 100} {
		if got := percentile(hundred, p); got != want {
			t.Errorf("p%d of 1 to 100: got %d, want %d", p, got, want)
		}
	}
	if got := percentile([]time.Duration{7}, 99); got != 7 {
		t.Errorf("p99 of one: got %d, want it", got)
	}
	if got := percentile([]time.Duration{1, 9}, 99); got != 9 {
		t.Errorf("p99 of two: got %d, want the greater", got)
	}
}

// TestBehind: the first moment that is seen may itself be late.
func TestBehind(t *testing.T) {
	const ms = time.Millisecond
	at := []time.Duration{100*ms + 30*ms, interval + 100*ms, 2*interval + 100*ms + 250*ms, 4*interval + 100*ms}
	if got, want := behind(at), []time.Duration{30 * ms, 0, 250 * ms, 0}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestVerdict: a row over its budget fails the run, and so does one that is not there.
func TestVerdict(t *testing.T) {
	whole := func(quick bool) *Report {
		r := &Report{Quick: quick}
		for _, b := range budgets() {
			if !quick || !b.full() {
				r.add(b.name, b.limit, "")
			}
		}
		r.add("rest/100/cpu-percent", 3, "")
		return r
	}
	for _, quick := range []bool{false, true} {
		if err := whole(quick).Verdict(); err != nil {
			t.Errorf("every row at its budget, quick %t: %v", quick, err)
		}
	}
	over := whole(false)
	over.Rows[0].Value, over.Rows[0].Pass = 3.5, false
	over.Rows = over.Rows[:len(over.Rows)-1]
	const want = "2 of 21 rows fail:\n  reaction/zero/redis/p50-ratio is 3.5, over its budget of 3\n  admission/p99-us was not measured"
	if err := over.Verdict(); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if quick := whole(true); len(quick.Rows) != len(budgets())-3 || len(quick.Appendix) != 1 {
		t.Errorf("%d rows and %d in the appendix", len(quick.Rows), len(quick.Appendix))
	}
	var missing Report
	if err := missing.Verdict(); err == nil || !strings.HasPrefix(err.Error(), "21 of 21 rows fail:\n") {
		t.Errorf("nothing was measured: %v", err)
	}
}

func TestOnlyValuesOverTheBudgetFail(t *testing.T) {
	var r Report
	r.add("rest/1000/api-writes", 0, "")
	r.add("rest/1000/rss-mib", 100.5, "")
	if !r.Rows[0].Pass || r.Rows[1].Pass {
		t.Errorf("%+v", r.Rows)
	}
}

func TestWhatAWorkloadTakes(t *testing.T) {
	r := &Report{}
	r.add("rest/5000/rss-mib", 200, "")
	r.addPerWorkload(100, 5000)
	if len(r.Appendix) != 0 {
		t.Errorf("one fleet says nothing, but got %+v", r.Appendix)
	}
	r.add("rest/100/rss-mib", 102, "")
	r.addPerWorkload(100, 5000)
	want := Row{Name: "rest/kib-per-workload", Value: 20.48, Pass: true, Note: "by the RSS among 100 and among 5000"}
	if got := r.Appendix[len(r.Appendix)-1]; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
