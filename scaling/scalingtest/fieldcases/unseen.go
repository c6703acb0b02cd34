package fieldcases

import (
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/apiserver"
)

func loopCases() []Case {
	return []Case{
		{ID: "KD-refused", Run: refusedScale},
		{ID: "LE-06", Options: scalingtest.Options{Replicas: 2}, Run: restartsUnseen},
	}
}

// refusedScale has a policy of the cluster refuse every scale for an hour.
func refusedScale(w *scalingtest.World) {
	refused := errors.New(`ValidatingAdmissionPolicy 'frozen' with binding 'frozen' denied request: the fleet is frozen`)
	w.Set("orders", 20)
	thaw := w.API.Inject(apiserver.Fault{
		Match: func(c apiserver.Call) bool { return c.Verb == "patch" && c.Subresource == "scale" },
		Err:   apierrors.NewForbidden(deployments(), "worker", refused),
	})
	w.Create(scalingtest.Deployment("worker", 1, usual(scalingtest.Settings{"min-replicas": "1"})))
	w.Create(scalingtest.Deployment("other", 1, usual(scalingtest.Settings{"min-replicas": "1", "max-replicas": "1"})))
	w.Advance(time.Hour)
	w.WantCounts("worker", 1)
	tries := w.API.Writes(func(write apiserver.Write) bool { return write.Name == "worker" && write.Err != nil })
	if n := len(tries); n < 10 || n > 100 {
		w.Errorf("there were %d tries within an hour, want some, and few", n)
	}
	for i, e := range w.Events("worker") {
		if want := `ScaleFailed: scale deployments.apps shop/worker from 1 to 4: deployments.apps "worker" is forbidden: ` + refused.Error(); e.String() != want {
			w.Fatalf("event %d is %s, want %s", i, e, want)
		}
	}
	thaw()
	w.AwaitReplicas("worker", 4, 17*time.Minute)
	w.WantCounts("worker", 1, 4)
}

// restartsUnseen kills, restarts and replaces autoscaler replicas at many moments, while workloads are in every state.
func restartsUnseen(w *scalingtest.World) {
	w.Advance(time.Minute)
	w.Set("busy", 20)
	w.Set("idle", 20)
	w.Set("away", 0)
	onBusy, onIdle, onAway := scalingtest.Trigger("busy", ""), scalingtest.Trigger("idle", ""), scalingtest.Trigger("away", "")
	states := map[string]struct {
		settings scalingtest.Settings
		want     int32
	}{
		"paused":   {scalingtest.Settings{"pause": "true", "trigger.orders": onBusy}, 2},
		"unpaused": {scalingtest.Settings{"pause": "true", "trigger.orders": onBusy}, 4},
		"full":     {scalingtest.Settings{"max-replicas": "3", "trigger.orders": onBusy}, 3},
		"cooling":  {scalingtest.Settings{"cooldown": "20m", "trigger.orders": onIdle, "behavior": "{scaleDown: {stabilizationWindowSeconds: 0}}"}, 1},
		"fallback": {scalingtest.Settings{"fallback": "{after: 1, replicas: 6}", "trigger.orders": onAway}, 6},
		"guarded":  {scalingtest.Settings{"guard.db": "{type: fake, source: busy, limit: 5}", "trigger.orders": onBusy}, 2},
		"zeroed":   {scalingtest.Settings{"trigger.orders": onBusy}, 0},
	}
	before := map[string]int{}
	for name, state := range states {
		for _, each := range []string{"-a", "-b"} {
			w.Create(scalingtest.Deployment(name+each, 2, usual(state.settings)))
		}
	}
	w.Advance(time.Minute)
	for _, each := range []string{"-a", "-b"} {
		annotate(w, "unpaused"+each, scalingtest.Settings{"pause": ""})
		w.Scale("zeroed"+each, 0)
	}
	w.Break("away", "connection refused")
	w.Set("idle", 0)
	w.Advance(time.Minute)
	quiet := func() {
		w.Helper()
		for name, state := range states {
			for _, each := range []string{"-a", "-b"} {
				got := w.Counts(name + each)
				if n, seen := before[name+each]; got[len(got)-1] != state.want || seen && len(got) != n {
					w.Fatalf("%s has had the replica counts %v, want it left at %d", name+each, got, state.want)
				}
				before[name+each] = len(got)
			}
		}
	}
	quiet()
	for i := range 6 {
		switch i % 3 {
		case 0:
			w.Kill() // the other takes over
			w.Start(fmt.Sprintf("next-%d", i))
		case 1:
			w.Restart()
		case 2:
			w.Leader().Stop()
			w.Start(fmt.Sprintf("next-%d", i))
		}
		w.Advance(20*time.Second + time.Duration(i*370)*time.Millisecond)
		quiet()
	}
	w.Advance(time.Minute)
	quiet()
}
