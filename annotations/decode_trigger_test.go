package annotations_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schema"
)

func TestDecodeWordsEveryFaultOfATrigger(t *testing.T) {
	const base = "{type: queue, address: a, stream: b, target: 1"
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"empty", "", []string{"empty; want a YAML mapping such as {type: …, target: …}"}},
		{"text", "queue", []string{"got a plain value, want a YAML mapping such as {type: …, target: …}"}},
		{"list", "[queue]", []string{"got a list, want a YAML mapping such as {type: …, target: …}"}},
		{"key twice", base + ", target: 2}", []string{"key target is given twice"}},
		{"anchor", "{type: queue, address: &a b, stream: *a, target: 1}", []string{"key stream: YAML anchors and aliases are not supported; write the value out"}},
		{"merge key", "<<: {a: b}\ntype: queue", []string{"line 1: a key is no plain word; lists, mappings, aliases and << are not supported there"}},
		{"several documents", base + "}\n---\n{}", []string{"more than one YAML document, or text after the mapping; want one mapping"}},
		{"no type", "{target: 1}", []string{"type: missing; want one of clock, queue"}},
		{"type without a value", "{type: , target: 1}", []string{"type: missing; want one of clock, queue"}},
		{"type in another case", "{Type: queue, target: 1}", []string{"type: missing; want one of clock, queue; did you mean it by Type?"}},
		{"unknown type", "{type: ftp}", []string{"type: unknown type ftp; want one of clock, queue"}},
		{"misspelt type", "{type: Queues}", []string{"type: unknown type Queues; did you mean queue?"}},
		{"type by reference", "{typeFromEnv: T}", []string{"type: cannot be given by reference; want one of clock, queue"}},
		{"type both ways", "{type: queue, typeFrom: {secret: a, key: b}}", []string{"type: cannot be given by reference; want one of clock, queue"}},
		{"no target", "{type: queue, address: a, stream: b}", []string{"target: missing; want a number > 0"}},
		{"nothing but the type", "{type: queue}", []string{"address: missing; want a text", "stream: missing; want a text", "target: missing; want a number > 0"}},
		{"target of the wrong type", "{type: queue, address: a, stream: b, target: ten}", []string{`target: got "ten", want a number > 0`}},
		{"list for a number", "{type: queue, address: a, stream: b, target: [1]}", []string{`target: got a list, want a number > 0`}},
		{"mapping for a number", "{type: queue, address: a, stream: b, target: {per: 1}}", []string{`target: got a mapping, want a number > 0`, `target: missing; want a number > 0`}},
		{"mapping under an alias", base + ", pw: {a: b}}", []string{"password: got a mapping, want a text"}},
		{"negative activation", base + ", activation: -1}", []string{`activation: got "-1", want a number ≥ 0`}},
		{"metric type", base + ", metricType: Utilization}", []string{`metricType: got "Utilization", want one of AverageValue, Value`}},
		{"unknown parameter", base + ", colour: red}", []string{"unknown parameter colour"}},
		{"wrong case", base + ", lagcount: 1}", []string{"unknown parameter lagcount; did you mean lagCount?"}},
		{"misspelt common parameter", base + ", activaton: 1}", []string{"unknown parameter activaton; did you mean activation?"}},
		{"misspelt alias", base + ", pendingEntryCount: 1}", []string{"unknown parameter pendingEntryCount; did you mean pendingEntriesCount?"}},
		{"misspelt reference", base + ", pasword: {secret: s, key: k}}", []string{"unknown parameter pasword; did you mean password?"}},
		{"alias and proper", base + ", streamName: c}", []string{"stream: given twice, as stream and as streamName; want stream alone"}},
		{"alias of a common parameter and proper", base + ", clusterTarget: 2}", []string{"target: given twice, as clusterTarget and as target; want target alone"}},
		{"two aliases", "{type: queue, address: a, stream: b, clusterTarget: 2, pendingEntriesCount: 1}", []string{"target: given twice, as clusterTarget and as pendingEntriesCount; want target alone"}},
		{"direct and From", base + ", password: p, passwordFrom: {secret: s, key: k}}", []string{"password: given both directly and by reference; want one of them"}},
		{"direct alias and From", base + ", pw: p, passwordFrom: {secret: s, key: k}}", []string{"password: given twice, as pw and as password; want password alone"}},
		{"AU-09 another namespace", base + ", passwordFrom: {secret: other/s, key: k}}", []string{"passwordFrom: secret is no name of an object; want one in the workload's own namespace, without the namespace before it: lower case letters, digits, '-' and '.'"}},
		{"no name", base + ", passwordFrom: {configMap: A_b, key: k}}", []string{"passwordFrom: configMap is no name of an object; want one in the workload's own namespace, without the namespace before it: lower case letters, digits, '-' and '.'"}},
		{"From and FromEnv", base + ", passwordFromEnv: P, passwordFrom: {secret: s, key: k}}", []string{"password: given twice, as passwordFrom and as passwordFromEnv; want one of them"}},
		{"fault under an alias", "{type: queue, address: a, streamName: '', clusterTarget: none}", []string{`clusterTarget: got "none", want a number > 0`, `streamName: got "", want a text`}},
		{"checked as a whole", base + ", tls: {ca: a, insecureSkipVerify: true}}", []string{"tls.ca: has no effect with tls.insecureSkipVerify"}},
		{"another type's parameters", "{type: clock, start: a, stream: b, target: 1}", []string{"unknown parameter stream; want one of activation, end, interval, metricType, start, target, timeout, type"}},
		{"no suggestion", "{type: clock, start: a, consumerGroup: b, target: 1}", []string{"unknown parameter consumerGroup; want one of activation, end, interval, metricType, start, target, timeout, type"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := make([]string, len(c.want))
			for i, text := range c.want {
				want[i] = "autoscale.io/trigger.orders: " + text
			}
			wantFaults(t, with("trigger.orders", c.text), want...)
		})
	}
}

func TestNamesOfTriggers(t *testing.T) {
	for _, name := range []string{"a", "0", "a-b", strings.Repeat("x", 63)} {
		wantEqual(t, "name", wantFaults(t, with("trigger.orders", "-", "trigger."+name, goodTrigger)).Triggers[0].Name, name)
	}
	for _, name := range []string{"", "A", "a.b", "a_b", "-a", "ä", strings.Repeat("x", 64)} {
		key := "autoscale.io/trigger." + name
		wantFaults(t, with("trigger."+name, goodTrigger),
			fmt.Sprintf("%s: the name %q is no DNS label; want lower case letters, digits and '-', at most 63", key, name))
	}
}

func TestAliasesAndReferences(t *testing.T) {
	got := wantFaults(t, with("trigger.orders", "{type: queue-cluster, addressFromEnv: REDIS, streamName: '{app}:jobs*\"キュー', pendingEntriesCount: 10, pwFrom: {secret: s, key: k}, tls: {caFrom: {configMap: c, key: k}}}"))
	trigger := got.Triggers[0]
	wantEqual(t, "given", trigger.Given, schema.Values{"type": {Text: "queue"}, "stream": {Text: `{app}:jobs*"キュー`}, "target": {Text: "10"}, "mode": {Text: "standalone"}})
	wantEqual(t, "references", trigger.Refs, schema.Refs{"address": {Env: "REDIS"}, "password": {Secret: "s", Key: "k"}, "tls.ca": {ConfigMap: "c", Key: "k"}})
	wantEqual(t, "target", trigger.Target, 10)

	got = wantFaults(t, with("trigger.orders", "{type: queue-cluster, address: a, stream: b, target: 1}"))
	wantEqual(t, "what the type implies", got.Triggers[0].Given["mode"].Text, "cluster")
	got = wantFaults(t, with("trigger.orders", "{type: queue-cluster, address: a, stream: b, target: 1, mode: standalone}"))
	wantEqual(t, "what is given wins", got.Triggers[0].Given["mode"].Text, "standalone")
}

func TestCheckSeesTheTypedParameters(t *testing.T) {
	result := annotations.Decode(with("trigger.orders", "{type: queue, address: a, stream: b, clusterTarget: 1, activation: 1}"), types{})
	wantEqual(t, "faults", len(result.Faults), 0)
	wantEqual(t, "warnings", result.Warnings.Texts(), []string{"autoscale.io/trigger.orders: clusterTarget: is not above activation"})
}

// Names of any length and characters serve (AN-07).
func TestThirtyTriggersInOrder(t *testing.T) {
	given := with("trigger.orders", "-")
	var want []string
	for i := range 30 {
		name := fmt.Sprintf("t%02d", i)
		want = append(want, name)
		given["autoscale.io/trigger."+name] = fmt.Sprintf("{type: queue, address: a, stream: 'app:{%d}*\"ü', target: %d}", i, i+1)
	}
	var got []string
	for i, trigger := range wantFaults(t, given).Triggers {
		got = append(got, trigger.Name)
		wantEqual(t, "stream", trigger.Given["stream"].Text, fmt.Sprintf("app:{%d}*\"ü", i))
	}
	wantEqual(t, "names", got, want)
}

// Every known name with one letter changed, left out, added or in another case is a fault with the right suggestion (AN-04).
func TestEveryTypoIsAFault(t *testing.T) {
	var keys []string
	for _, f := range annotations.SettingsFields() {
		keys = append(keys, f.Path)
	}
	for _, key := range keys {
		for _, typo := range typos(key, keys) {
			full := annotations.Prefix + typo
			wantFaults(t, with(typo, "1"), fmt.Sprintf("%s: unknown annotation %s; did you mean %s?", full, full, annotations.Prefix+key))
		}
	}
	var params []string
	for _, f := range annotations.CommonFields() {
		params = append(params, f.Path)
	}
	queue, _ := types{}.TriggerType("queue")
	params = append(params, queue.Params.Names()...)
	for _, param := range params {
		for _, typo := range typos(param, params) {
			if param == "type" {
				continue // Its absence is the fault; see TestDecodeWordsEveryFaultOfATrigger.
			}
			text := strings.TrimSuffix(goodTrigger, "}") + fmt.Sprintf(", %s: 1}", typo)
			wantFaults(t, with("trigger.orders", text), fmt.Sprintf("autoscale.io/trigger.orders: unknown parameter %s; did you mean %s?", typo, param))
		}
	}
}

// typos are spellings of a name that are no known name themselves.
func typos(name string, known []string) []string {
	var all []string
	for i := range name {
		if name[i] == '.' || strings.HasPrefix(name[:i], "tls") || strings.HasPrefix(name, "tls") && i < 3 {
			continue // A group's own name is covered by the parameters inside of it.
		}
		all = append(all, name[:i]+"q"+name[i+1:], name[:i]+name[i:i+1]+name[i:])
		if i > 0 {
			all = append(all, name[:i]+name[i+1:])
		}
	}
	all = append(all, strings.ToUpper(name), strings.ToUpper(name[:1])+name[1:])
	return slices.DeleteFunc(all, func(typo string) bool { return slices.Contains(known, typo) || strings.Contains(typo, ".") })
}

// No fault quotes the value of a secret parameter, however it is mistaken.
func TestNoFaultQuotesASecret(t *testing.T) {
	for _, body := range []string{
		"password: [hunter2]", "password: {hunter2}", "pw: {hunter2: x}", "pw: [hunter2]", "password: *hunter2", "password: a,hunter2", "pasword: {hunter2}",
		"pw: hunter2, password: hunter2", "password: hunter2, passwordFromEnv: P", "passwordFrom: {hunter2}", "passwordFrom: hunter2", "password: !!binary hunter2",
	} {
		faults := annotations.Decode(with("trigger.orders", strings.TrimSuffix(goodTrigger, "}")+", "+body+"}"), types{}).Faults
		if text := faults.Error(); text == "" || strings.Contains(text, "hunter2") {
			t.Errorf("%s: want faults that do not quote the secret, got %q", body, text)
		}
	}
}
