package resource

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"autoscale.io/annotations"
	"autoscale.io/scalers"
)

// crowd is a Usage of pods that do not change.
type crowd struct {
	pods []scalers.Pod
	err  error
	host scalers.Host
}

func (c *crowd) Pods(_ context.Context, host scalers.Host) ([]scalers.Pod, error) {
	c.host = host
	return c.pods, c.err
}

// open opens the only trigger of annotations, whose keys are without the prefix, and puts noon on its clock.
func open(t *testing.T, usage scalers.Usage, key, text string) scalers.Scaler {
	t.Helper()
	env := scalers.Env{Usage: usage}
	registry, err := scalers.NewRegistry(CPU(env), Memory(env))
	if err != nil {
		t.Fatal(err)
	}
	result := annotations.Decode(map[string]string{annotations.Prefix + "max-replicas": "5", annotations.Prefix + key: text}, registry)
	if len(result.Faults) > 0 {
		t.Fatal(result.Faults)
	}
	trigger := result.Workload.Triggers[0]
	definition := map[string]scalers.Definition{"cpu": CPU(env), "memory": Memory(env)}[trigger.Type]
	var common annotations.Common
	opened, problems := definition.Decode(&common, trigger.Given, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	s := newScaler(env, scalers.Host{Namespace: "shop", Name: "web", Trigger: common}, opened.(*params), definition.Resource)
	s.now = func() time.Time { return noon }
	return s
}

func TestRead(t *testing.T) {
	memory := func(p *scalers.Pod) {
		p.Sample.Usage["app"] = list("memory", "300Mi")
	}
	young := started(90*time.Second, time.Second)
	for _, c := range []struct {
		name, key, text string
		pods            []scalers.Pod
		want            scalers.Reading
		err             string
	}{
		{"a share", "cpu", "70%", []scalers.Pod{running("a"), running("b", func(p *scalers.Pod) { p.Sample.Usage["app"] = list("cpu", "759m") })},
			scalers.Reading{Value: 62, Pods: scalers.Pods{Measured: 2, Usage: 1259, Requests: 2000}}, ""},
		{"an average of cpu", "cpu", "200m", []scalers.Pod{running("a")}, scalers.Reading{Value: 0.5, Pods: scalers.Pods{Measured: 1, Usage: 500}}, ""},
		{"an average of memory", "memory", "400Mi", []scalers.Pod{running("a", memory), running("b", unmeasured)},
			scalers.Reading{Value: 300 << 20, Pods: scalers.Pods{Measured: 1, Usage: 300 << 20 * 1000, Missing: 1}}, ""},
		{"one container", "trigger.x", "{type: cpu, target: 50%, containerName: proxy}", []scalers.Pod{running("a", sidecar("200m"))},
			scalers.Reading{Value: 50, Pods: scalers.Pods{Measured: 1, Usage: 100, Requests: 200}}, ""},
		{"no pod", "cpu", "70%", nil, scalers.Reading{Unmeasured: true, Note: "no pod is there yet"}, ""},
		{"all are going", "cpu", "70%", []scalers.Pod{running("a", deleted)}, scalers.Reading{Unmeasured: true, Note: "no pod is there yet"}, ""},
		{"all are pending", "cpu", "70%", []scalers.Pod{running("a", young, phase(corev1.PodPending), unmeasured)}, scalers.Reading{Unmeasured: true, Note: "every pod is still pending"}, ""},
		{"none is ready", "cpu", "70%", []scalers.Pod{running("a", young, notReady)}, scalers.Reading{Unmeasured: true, Note: "no pod is ready yet"}, ""},
		{"all are young", "cpu", "70%", []scalers.Pod{running("a", young, unmeasured), running("b", young, notReady)},
			scalers.Reading{Unmeasured: true, Note: "no pod has run long enough to be measured"}, ""},
		{"one is pending for too long", "cpu", "70%", []scalers.Pod{running("b", phase(corev1.PodPending), unmeasured), running("a", young, phase(corev1.PodPending), unmeasured)}, scalers.Reading{},
			"pod b is not ready 5m0s after it was made, and no other pod can be measured; look at: kubectl describe pod b"},
		{"one was never ready", "cpu", "70%", []scalers.Pod{running("a", started(5*time.Minute, 0), notReady)}, scalers.Reading{},
			"pod a is not ready 5m0s after it was made, and no other pod can be measured; look at: kubectl describe pod a"},
		{"an old one is not measured", "cpu", "70%", []scalers.Pod{running("c", unmeasured), running("b", unmeasured), running("a", young, unmeasured)}, scalers.Reading{},
			"pod b runs and has no measurement of its cpu that is younger than 3m0s, and no other pod has one; look at: kubectl top pod, and at metrics-server"},
		{"CM-11 all measurements are stale", "memory", "1Gi", []scalers.Pod{running("a", memory, measured(10*time.Minute))}, scalers.Reading{},
			"pod a runs and has no measurement of its memory that is younger than 3m0s, and no other pod has one; look at: kubectl top pod, and at metrics-server"},
		{"a share of nothing", "cpu", "70%", []scalers.Pod{running("a", func(p *scalers.Pod) { p.Containers[0].Requests = list("cpu", "0") })}, scalers.Reading{},
			"the pods request no cpu, so there is no share of it; give requests, or a target as a quantity"},
	} {
		t.Run(c.name, func(t *testing.T) {
			usage := &crowd{pods: c.pods}
			got, err := open(t, usage, c.key, c.text).Read(t.Context())
			text := ""
			if err != nil {
				text = err.Error()
			}
			if got != c.want || text != c.err {
				t.Errorf("got %+v, %q\nwant %+v, %q", got, text, c.want, c.err)
			}
			if usage.host.Name != "web" {
				t.Errorf("asked about %+v", usage.host)
			}
		})
	}
}

func TestFailureOfTheSource(t *testing.T) {
	failure := errors.New("metrics-server is away")
	if got, err := open(t, &crowd{err: failure}, "cpu", "70%").Read(t.Context()); !errors.Is(err, failure) || got != (scalers.Reading{}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestOpened is a trigger that the registry opened, which has the rules of its annotation.
func TestOpened(t *testing.T) {
	usage := &crowd{}
	env := scalers.Env{Usage: usage}
	registry, err := scalers.NewRegistry(CPU(env), Memory(env))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]rules{
		"{type: memory, target: 70%, container: app}": {resource: "memory", container: "app", share: true},
		"{type: cpu, target: 500m}":                   {resource: "cpu"},
	} {
		result := annotations.Decode(map[string]string{"autoscale.io/max-replicas": "5", "autoscale.io/trigger.x": text}, registry)
		if len(result.Faults) > 0 {
			t.Fatal(result.Faults)
		}
		definition := CPU(env)
		if want.resource == "memory" {
			definition = Memory(env)
		}
		var common annotations.Common
		if _, problems := definition.Decode(&common, result.Workload.Triggers[0].Given, nil); len(problems) > 0 {
			t.Fatal(problems)
		}
		source, err := registry.Open(t.Context(), scalers.Host{Namespace: "shop", Name: "web", UID: "u"}, result.Workload.Triggers[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		if reading, err := source.Read(t.Context()); err != nil || !reading.Unmeasured || usage.host.UID != "u" || source.Common != common {
			t.Errorf("%s: read %+v, %v of %+v", text, reading, err, usage.host)
		}
		made := newScaler(env, scalers.Host{Trigger: source.Common}, &params{Container: want.container}, want.resource)
		if made.rules != want {
			t.Errorf("%s: got %+v, want %+v", text, made.rules, want)
		}
	}
}
