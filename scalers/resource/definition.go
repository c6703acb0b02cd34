package resource

import (
	"context"
	"fmt"
	"math"
	"time"

	corev1 "k8s.io/api/core/v1"

	"autoscale.io/annotations"
	"autoscale.io/scalers"
)

// interval is how often pods are looked at where nothing else is said: metrics-server measures no oftener.
const interval = 15 * time.Second

type params struct {
	Container string `name:"container" doc:"The container that counts, in every pod. When absent, all of them, init containers that run on included."`
}

// CPU makes the trigger type cpu. With a zero env it can be decoded, not read.
func CPU(env scalers.Env) scalers.Definition {
	return definition(env, corev1.ResourceCPU, "Reads how much cpu the workload's own pods use, from metrics-server, and counts as the HorizontalPodAutoscaler does. "+
		"It wakes no workload from zero and keeps none from it.")
}

// Memory makes the trigger type memory. With a zero env it can be decoded, not read.
func Memory(env scalers.Env) scalers.Definition {
	return definition(env, corev1.ResourceMemory, "Reads how much memory the workload's own pods use, from metrics-server, and counts as the HorizontalPodAutoscaler does. "+
		"It wakes no workload from zero and keeps none from it.")
}

func definition(env scalers.Env, name corev1.ResourceName, doc string) scalers.Definition {
	return scalers.Define(scalers.Definition{
		TriggerType: annotations.TriggerType{
			Name: string(name), Resource: name, Interval: interval,
			Aliases: map[string]annotations.Alias{"value": {For: "target"}, "containerName": {For: "container"}},
		},
		Doc: doc,
	}, func(host scalers.Host, p *params) (scalers.Scaler, error) {
		return newScaler(env, host, p, name), nil
	})
}

// scaler reads one trigger.
type scaler struct {
	usage scalers.Usage
	host  scalers.Host
	rules rules
	now   func() time.Time
}

func newScaler(env scalers.Env, host scalers.Host, p *params, name corev1.ResourceName) *scaler {
	return &scaler{
		usage: env.Usage, host: host, now: time.Now,
		rules: rules{resource: name, container: p.Container, share: host.Trigger.MetricType == annotations.Utilization},
	}
}

// Read implements scalers.Scaler.
func (s *scaler) Read(ctx context.Context) (scalers.Reading, error) {
	pods, err := s.usage.Pods(ctx, s.host)
	if err != nil {
		return scalers.Reading{}, err
	}
	counted, err := s.rules.count(pods, s.now())
	if err != nil {
		return scalers.Reading{}, err
	}
	sums := counted.Pods
	switch {
	case sums.Measured == 0 && counted.overdue != "":
		return scalers.Reading{}, fmt.Errorf("pod %s runs and has no measurement of its %s that is younger than %s, and no other pod has one; look at: kubectl top pod, and at metrics-server",
			counted.overdue, s.rules.resource, maxAge)
	case sums.Measured == 0 && counted.late != "":
		return scalers.Reading{}, fmt.Errorf("pod %s is not ready %s after it was made, and no other pod can be measured; look at: kubectl describe pod %[1]s", counted.late, initialization)
	case sums.Measured == 0:
		return scalers.Reading{Unmeasured: true, Note: counted.waiting()}, nil
	case s.rules.share && sums.Requests == 0:
		return scalers.Reading{}, fmt.Errorf("the pods request no %s, so there is no share of it; give requests, or a target as a quantity", s.rules.resource)
	}
	return scalers.Reading{Value: s.rules.level(sums), Pods: sums}, nil
}

// level is the whole percentage of the requests that is used, or the average of a pod in cores or bytes.
func (r rules) level(sums scalers.Pods) float64 {
	if r.share {
		return math.Trunc(100 * float64(sums.Usage) / float64(sums.Requests))
	}
	return float64(sums.Usage/int64(sums.Measured)) / 1000
}
