package annotations_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schema"
)

// queueParams are the parameters of a source that exists only here.
type queueParams struct {
	Address  string        `name:"address" required:"true"`
	Stream   string        `name:"stream" required:"true" alias:"streamName"`
	Password string        `name:"password" secret:"true"`
	Mode     string        `name:"mode" enum:"standalone,cluster" default:"standalone"`
	LagCount int64         `name:"lagCount" default:"5" min:"0"`
	Grace    time.Duration `name:"grace" default:"0s" min:"0s"`
	TLS      struct {
		CA   string `name:"ca"`
		Skip bool   `name:"insecureSkipVerify" default:"false"`
	} `name:"tls"`
	Hosts []string `name:"hosts"`
}

type clockParams struct {
	Start string `name:"start" required:"true"`
	End   string `name:"end"`
}

// types are two sources: queue, with KEDA's spellings, and clock.
type types struct{}

func (types) TriggerTypeNames() []string { return []string{"clock", "queue"} }

func (types) TriggerType(name string) (annotations.TriggerType, bool) {
	queue := annotations.TriggerType{
		Name:   "queue",
		Params: schema.For[queueParams](),
		Aliases: map[string]annotations.Alias{
			"pendingEntriesCount": {For: "target", Implies: map[string]string{"mode": "standalone"}},
			"clusterTarget":       {For: "target", Implies: map[string]string{"mode": "cluster"}},
			"pw":                  {For: "password"},
		},
		Check: func(in annotations.CheckInput) (problems, warnings []schema.Problem) {
			p := in.Params.(*queueParams)
			if p.TLS.Skip && p.TLS.CA != "" {
				problems = append(problems, schema.Problem{Param: "tls.ca", Text: "has no effect with tls.insecureSkipVerify"})
			}
			if in.Common.Activation >= in.Common.Target && in.Common.Target > 0 {
				warnings = append(warnings, schema.Problem{Param: "target", Text: "is not above activation"})
			}
			return problems, warnings
		},
	}
	switch name {
	case "queue":
		return queue, true
	case "queue-cluster":
		queue.Implied = map[string]string{"mode": "cluster"}
		return queue, true
	case "clock":
		return annotations.TriggerType{Name: "clock", Params: schema.For[clockParams]()}, true
	}
	return annotations.TriggerType{}, false
}

var _ annotations.Types = types{}

const goodTrigger = "{type: queue, address: 'redis:6379', stream: orders, target: 10}"

// with returns sound annotations with changes: pairs of a key below the prefix and a text; "-" removes the key.
func with(pairs ...string) map[string]string {
	all := map[string]string{"autoscale.io/max-replicas": "10", "autoscale.io/trigger.orders": goodTrigger}
	for i := 0; i < len(pairs); i += 2 {
		if all[annotations.Prefix+pairs[i]] = pairs[i+1]; pairs[i+1] == "-" {
			delete(all, annotations.Prefix+pairs[i])
		}
	}
	return all
}

// wantFaults compares all texts.
func wantFaults(t *testing.T, given map[string]string, want ...string) annotations.Workload {
	t.Helper()
	result := annotations.Decode(given, types{})
	if got := result.Faults.Texts(); !slices.Equal(got, want) {
		t.Errorf("faults of %q:\n got %q\nwant %q", given, got, want)
	}
	return result.Workload
}

func wantEqual[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %+v, want %+v", what, got, want)
	}
}

func TestFaultsAreErrors(t *testing.T) {
	var err error = annotations.Decode(map[string]string{"autoscale.io/polling-interval": "1"}, types{}).Faults
	want := "autoscale.io/max-replicas: missing; want a whole number ≥ 1\n" +
		`autoscale.io/polling-interval: got "1", want a duration such as 30s or 5m ≥ 1s and ≤ 24h` + "\n" +
		"autoscale.io/trigger.<name>: missing; want at least one trigger"
	wantEqual(t, "error", err.Error(), want)
	var faults annotations.Faults
	if !errors.As(err, &faults) || len(faults) != 3 {
		t.Errorf("the error holds %d faults, want 3", len(faults))
	}
	wantEqual(t, "faults that are new", faults.Except(faults[1:]), faults[:1])
}
