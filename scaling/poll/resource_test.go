package poll

import (
	"context"
	"errors"
	"testing"
	"time"

	"autoscale.io/scalers"
	"autoscale.io/scaling/decide"
	"autoscale.io/scaling/decisions"
)

// answers makes a source say this from now on.
func (s *source) answers(r scalers.Reading, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read = func(context.Context, string) (scalers.Reading, error) { return r, err }
}

const cpuTrigger = "{type: cpu, target: 50%, queue: mails}"

// load is 100 % of one pod of three.
func load() scalers.Reading {
	return scalers.Reading{Value: 100, Pods: scalers.Pods{Measured: 1, Usage: 1000, Requests: 1000, Missing: 2, MissingRequests: 200}}
}

func TestPodsReachTheDecision(t *testing.T) {
	run(t, func(w *world) {
		w.sources["mails"].answers(load(), nil)
		w.upsert(worker, on(map[string]string{"trigger.orders": "", "trigger.cpu": cpuTrigger}))
		w.poller.Observe(worker, Observation{Replicas: 3})
		w.after(time.Second)
		e := w.entry(worker)
		if e.Replicas != 5 || e.Message != "trigger cpu: 100% at a target of 50%, with 2 pods not measured, asks for 5 replicas" {
			t.Errorf("got %+v", e)
		}
	})
}

func TestNothingToMeasureIsNoFault(t *testing.T) {
	run(t, func(w *world) {
		w.sources["mails"].answers(scalers.Reading{Unmeasured: true, Note: "no pod is there yet"}, nil)
		w.upsert(worker, on(map[string]string{"min-replicas": "0", "trigger.cpu": cpuTrigger, "fallback": "{after: 1, replicas: 9}"}))
		w.poller.Observe(worker, Observation{Replicas: 3})
		w.after(time.Minute)
		e := w.entry(worker)
		if e.Replicas != 3 || e.Fallback || len(e.Triggers) != 1 || e.Reason != decide.TriggerUnknown {
			t.Errorf("the count is to be held without a word about cpu; got %+v", e)
		}
		w.poller.Observe(worker, Observation{Replicas: 0, ZeroIsOurs: true})
		w.sources["orders"].set(5)
		w.after(10 * time.Second)
		if e := w.entry(worker); e.Replicas != 1 || e.Reason != decide.Waking || len(e.Triggers) != 1 {
			t.Errorf("orders is to wake the workload; got %+v", e)
		}
	})
}

func TestAFaultOfCPUIsSilentAtZero(t *testing.T) {
	run(t, func(w *world) {
		w.sources["mails"].answers(scalers.Reading{}, errors.New("metrics-server is away"))
		w.upsert(worker, on(map[string]string{"min-replicas": "0", "cooldown": "0s", "trigger.cpu": cpuTrigger}))
		for _, replicas := range []int32{0, 2} {
			w.poller.Observe(worker, Observation{Replicas: replicas, ZeroIsOurs: true})
			w.after(time.Second)
			e := w.entry(worker)
			var names []decisions.Trigger
			for _, trigger := range e.Triggers {
				if trigger.Name == "cpu" {
					names = append(names, trigger)
				}
			}
			if e.Replicas != replicas || (len(names) > 0) != (replicas > 0) {
				t.Errorf("at %d: got %+v", replicas, e)
			}
		}
	})
}

// TestFormulaLeavesCPUAlone: it combines event triggers, and a cpu that cannot be read casts no doubt on it.
func TestFormulaLeavesCPUAlone(t *testing.T) {
	run(t, func(w *world) {
		w.sources["orders"].set(20)
		w.sources["mails"].answers(load(), nil)
		w.upsert(worker, on(map[string]string{
			"trigger.orders": "{type: fake, queue: orders}", "trigger.cpu": cpuTrigger, "formula": "{expression: orders * 2, target: 10}",
		}))
		w.poller.Observe(worker, Observation{Replicas: 3})
		w.after(time.Second)
		if e := w.entry(worker); e.Replicas != 5 || len(e.Triggers) != 3 {
			t.Errorf("cpu asks for 5 and the formula for 4; got %+v", e)
		}
	})
	run(t, func(w *world) {
		w.sources["mails"].answers(scalers.Reading{}, errors.New("metrics-server is away"))
		w.upsert(worker, on(map[string]string{
			"trigger.orders": "{type: fake, queue: orders}", "trigger.cpu": cpuTrigger, "formula": "{expression: orders * 2, target: 10}",
		}))
		w.after(time.Second)
		w.poller.mu.Lock()
		defer w.poller.mu.Unlock()
		if f := w.poller.workloads[worker].formula; !f.reading.Known || f.reading.Doubt {
			t.Errorf("got %+v", f.reading)
		}
	})
}

// TestHostNamesTheWorkload, so that its pods can be found.
func TestHostNamesTheWorkload(t *testing.T) {
	run(t, func(w *world) {
		w.upsert(worker, on(nil))
		w.after(time.Second)
		w.mu.Lock()
		defer w.mu.Unlock()
		if h := w.host; h.Namespace != "shop" || h.Name != "worker" || h.UID != onTheBeat("worker") || h.MaxReplicas != 20 {
			t.Errorf("got %+v", h)
		}
	})
}
