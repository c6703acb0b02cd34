package report

import (
	"reflect"
	"strings"
	"testing"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schema"
	"autoscale.io/scaling/decide"
	"autoscale.io/scaling/decisions"
)

// working is the entry of a workload that has work.
func working() *decisions.Entry {
	return &decisions.Entry{
		Replicas: 5, From: 2, Reason: decide.AboveTarget, Active: true,
		Message:  "trigger orders: 45 at a target of 10 each asks for 5 replicas",
		Triggers: []decisions.Trigger{{Name: "orders", Type: "redis-streams", Target: 10, Known: true, Value: 45}},
	}
}

const isReady = `{"type":"Ready","status":"True","reason":"Reading","message":"every trigger can be read"}`

// TestSame: numbers in a message change all the time, the end of a cooldown only by an edit, and why an object is left alone is all that there is to know.
func TestSame(t *testing.T) {
	finished := Conditions{{Active, "False", string(decide.LeftAlone), "the Job is complete"}}
	suspended := Conditions{{Active, "False", string(decide.LeftAlone), "the Job is suspended"}}
	if finished.Same(suspended) || !finished.Same(finished) {
		t.Error("the reasons for leaving an object alone are compared wrongly")
	}
	cooling := Conditions{{Active, "True", string(decide.CoolingDown), "zero at 12:05:00Z"}}
	edited := Conditions{{Active, "True", string(decide.CoolingDown), "zero at 12:01:00Z"}}
	working := Conditions{{Active, "True", "Working", "40"}}
	if cooling.Same(edited) || cooling.Same(working) || !cooling.Same(cooling) || !working.Same(Conditions{{Active, "True", "Working", "50"}}) {
		t.Error("conditions are compared wrongly")
	}
}

func TestConditionsText(t *testing.T) {
	const (
		alone     = `{"type":"Conflict","status":"False","reason":"OneMaster"}`
		noNeed    = `{"type":"Fallback","status":"False","reason":"NotNeeded"}`
		active    = `{"type":"Active","status":"True","reason":"Working"},` + alone + "," + noNeed
		notPaused = `{"type":"Paused","status":"False","reason":"NotPaused"}`
	)
	rows := []struct {
		name string
		edit func(*decisions.Entry)
		want []string
	}{
		{"working", func(*decisions.Entry) {}, []string{active, notPaused, isReady}},
		{
			"idle", func(e *decisions.Entry) { e.Reason, e.Message, e.Active = decide.Idle, "no work seen", false },
			[]string{`{"type":"Active","status":"False","reason":"Idle","message":"no work seen"}`, alone, noNeed, notPaused, isReady},
		},
		{
			"a person's zero", func(e *decisions.Entry) { e.Reason, e.Message = decide.ZeroByUser, "scaled to zero by a person" },
			[]string{`{"type":"Active","status":"False","reason":"ZeroByUser","message":"scaled to zero by a person"}`, alone, noNeed, notPaused, isReady},
		},
		{
			"cooling down is still active", func(e *decisions.Entry) { e.Reason, e.Active = decide.CoolingDown, false },
			[]string{active, notPaused, isReady},
		},
		{
			"paused", func(e *decisions.Entry) { e.Paused, e.Message = true, "paused; holding 2 replicas" },
			[]string{active, `{"type":"Paused","status":"True","reason":"Paused","message":"paused; holding 2 replicas"}`, isReady},
		},
		{
			"two unreadable triggers", func(e *decisions.Entry) {
				e.Triggers = append(e.Triggers,
					decisions.Trigger{Name: "mails", Error: `dial "mail": refused`}, decisions.Trigger{Name: "news", Error: "the scaler panicked: nil map\ngoroutine 7"})
			},
			[]string{
				active, notPaused,
				`{"type":"Ready","status":"False","reason":"TriggerUnknown","message":"trigger mails: dial \"mail\": refused; trigger news: the scaler panicked: nil map"}`,
			},
		},
		{
			"a guard that cannot be read", func(e *decisions.Entry) {
				e.Triggers = append(e.Triggers, decisions.Trigger{Name: "database", Guard: true, Error: "refused"})
			},
			[]string{active, notPaused, `{"type":"Ready","status":"False","reason":"TriggerUnknown","message":"guard database: refused"}`},
		},
		{
			"cooling down for a while", func(e *decisions.Entry) {
				e.Reason, e.Active, e.Cooling, e.Message = decide.CoolingDown, false, true, "no work seen since 12:00:00Z; zero after the cooldown of 5m0s, at 12:05:00Z"
			},
			[]string{
				`{"type":"Active","status":"True","reason":"CoolingDown","message":"no work seen since 12:00:00Z; zero after the cooldown of 5m0s, at 12:05:00Z"}`,
				alone, noNeed, notPaused, isReady,
			},
		},
		{
			"left alone", func(e *decisions.Entry) { e.Reason, e.Message = decide.LeftAlone, "the Job has finished" },
			[]string{`{"type":"Active","status":"False","reason":"LeftAlone","message":"the Job has finished"}`, alone, noNeed, notPaused, isReady},
		},
		{
			"a rival", func(e *decisions.Entry) {
				e.Reason, e.Message = decide.Conflict, "HorizontalPodAutoscaler web scales it"
			},
			[]string{
				`{"type":"Active","status":"True","reason":"Working"}`, `{"type":"Conflict","status":"True","reason":"Conflict","message":"HorizontalPodAutoscaler web scales it"}`,
				noNeed, notPaused, `{"type":"Ready","status":"False","reason":"Conflict","message":"HorizontalPodAutoscaler web scales it"}`,
			},
		},
		{
			"a fallback", func(e *decisions.Entry) { e.Fallback, e.Message = true, "its fallback asks for 6 replicas" },
			[]string{
				`{"type":"Active","status":"True","reason":"Working"}`, alone,
				`{"type":"Fallback","status":"True","reason":"TriggerUnknown","message":"its fallback asks for 6 replicas"}`, notPaused, isReady,
			},
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			e := working()
			row.edit(e)
			conditions := FromEntry(e)
			want := `{"conditions":[` + strings.Join(row.want, ",") + `]}`
			if got := conditions.String(); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if got := Parse(conditions.String()); !reflect.DeepEqual(got, conditions) {
				t.Errorf("read back as %+v, want %+v", got, conditions)
			}
		})
	}
}

func TestConditionsOfFaults(t *testing.T) {
	conditions := FromFaults(annotations.Faults{
		{Key: "autoscale.io/max-replicas", Problem: schema.Problem{Text: "missing; want a whole number ≥ 1"}},
		{Key: "autoscale.io/trigger.orders", Problem: schema.Problem{Param: "target", Text: `got "<b>", want a number > 0`}},
	})
	const want = `{"conditions":[{"type":"Ready","status":"False","reason":"InvalidAnnotations","message":` +
		`"autoscale.io/max-replicas: missing; want a whole number ≥ 1; autoscale.io/trigger.orders: target: got \"\u003cb\u003e\", want a number \u003e 0"}]}`
	if got := conditions.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := Parse(conditions.String()); !reflect.DeepEqual(got, conditions) {
		t.Errorf("read back as %+v, want %+v", got, conditions)
	}
}

func TestSameLooksAtEverythingButTheMessage(t *testing.T) {
	base := func() Conditions { return FromEntry(working()) }
	rows := []struct {
		name string
		edit func(Conditions) Conditions
		same bool
	}{
		{"nothing", func(c Conditions) Conditions { return c }, true},
		{"message", func(c Conditions) Conditions { c[1].Message = "another"; return c }, true},
		{"type", func(c Conditions) Conditions { c[1].Type = "Another"; return c }, false},
		{"status", func(c Conditions) Conditions { c[1].Status = "True"; return c }, false},
		{"reason", func(c Conditions) Conditions { c[1].Reason = "Another"; return c }, false},
		{"one less", func(c Conditions) Conditions { return c[:2] }, false},
		{"none", func(Conditions) Conditions { return nil }, false},
	}
	for _, row := range rows {
		if got := base().Same(row.edit(base())); got != row.same {
			t.Errorf("%s changed: same is %v, want %v", row.name, got, row.same)
		}
	}
}

func TestParseOfNonsenseIsNoConditions(t *testing.T) {
	for _, text := range []string{"", "null", "{", "[]", `"conditions"`, `{"conditions":"Ready"}`, `{"conditions":[{"type":7}]}`, "{}"} {
		if got := Parse(text); len(got) != 0 {
			t.Errorf("%s was read as %+v, want nothing", text, got)
		}
	}
}
