package stories

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/apiserver"
)

// InMemory tells a story to the loop in memory and returns the changes of the workload, and of the Jobs made of it, in
// order.
func InMemory(t *testing.T, story Story) (changes []string) {
	t.Helper()
	scalingtest.Run(t, func(w *scalingtest.World) {
		if story.Of != Deployment {
			w.RunPods()
		}
		story.Tell(memory{w, story.Of})
		w.Advance(10 * time.Second) // what follows the last wait
		for _, write := range w.API.Writes(func(write apiserver.Write) bool { return write.Err == nil && write.After != nil }) {
			if change := inWords(write); change != "" {
				changes = append(changes, change)
			}
		}
	})
	return changes
}

// inWords is the change by a write; empty for one of anything but the workload and the Jobs made of it.
func inWords(write apiserver.Write) string {
	before := write.Before
	if write.Verb == "create" {
		before = nil
	}
	owner := func(field ...string) string {
		if field[0] == "spec" {
			return Owner(write.After, field...) // so that what is remembered in memory is compared, too
		}
		return named(write.Manager)
	}
	switch {
	case write.Name == Worker:
		return Change(before, write.After, owner)
	case Made(write.After, Worker):
		return OfMade(Change(before, write.After, owner))
	}
	return ""
}

const (
	source = "orders"
	soon   = time.Minute
)

// Spawning are the settings of a template with a trigger.
func Spawning(trigger string, more scalingtest.Settings) scalingtest.Settings {
	settings := scalingtest.Settings{"job-mode": "spawn", "max-replicas": "10", "polling-interval": "1s", "trigger.orders": trigger}
	maps.Copy(settings, more)
	return settings
}

// memory is the cluster in memory.
type memory struct {
	*scalingtest.World
	kind Kind
}

var _ Cluster = memory{}

func (m memory) Create(replicas int32, more scalingtest.Settings) {
	settings := scalingtest.Quick(more)
	settings["trigger.orders"] = scalingtest.Trigger(source, "")
	switch m.kind {
	case Deployment:
		m.World.Create(scalingtest.Deployment(Worker, replicas, settings))
	case StatefulSet:
		m.World.Create(scalingtest.StatefulSet(Worker, replicas, settings))
	case Job:
		m.World.Create(scalingtest.Job(Worker, replicas, settings))
	case Template:
		m.World.Create(scalingtest.Template(Worker, Spawning("{type: fake, source: orders, target: 1}", more)))
	}
}

func (m memory) Backlog(messages int) { m.Set(source, float64(messages)) }

func (m memory) Break() { m.World.Break(source, "the event source is broken") }

func (m memory) Annotate(settings scalingtest.Settings) {
	if err := m.World.Annotate(Worker, settings); err != nil {
		m.Fatal(err)
	}
}

func (m memory) Release() { m.Annotate(Gone(m.Get(Worker).GetAnnotations())) }

func (m memory) Scale(replicas int32) { m.World.Scale(Worker, replicas) }

func (m memory) Restart() { m.World.Restart() }

func (m memory) EndPods(n int) { m.World.EndPods(Worker, n, corev1.PodSucceeded) }

func (m memory) Replicas() int32 { return m.World.Replicas(Worker) }

func (m memory) AwaitPods(n int) { m.awaitPods(func() int { return n }) }

func (m memory) AwaitEnoughPods() { m.awaitPods(func() int { return int(m.Replicas()) }) }

func (m memory) awaitPods(want func() int) {
	m.Await("the pods run", soon, func() error {
		pods := m.Pods(Worker)
		running := slices.DeleteFunc(slices.Clone(pods), func(p corev1.Pod) bool { return p.Status.Phase != corev1.PodRunning })
		if n := want(); len(pods) != n || len(running) != n {
			return fmt.Errorf("%d of %d pods run, want %d", len(running), len(pods), n)
		}
		return nil
	})
}

func (m memory) AwaitMade(n int) {
	m.Await(fmt.Sprintf("%d Jobs of the template", n), soon, func() error {
		made := m.API.Writes(func(write apiserver.Write) bool {
			return write.Verb == "create" && write.Err == nil && Made(write.After, Worker)
		})
		if len(made) != n {
			return fmt.Errorf("there have been %d", len(made))
		}
		return nil
	})
}

func (m memory) AwaitReplicas(replicas int32) { m.World.AwaitReplicas(Worker, replicas, soon) }

func (m memory) AwaitUnknown() { m.AwaitEvent(Worker, "TriggerUnknown", "", soon) }

func (m memory) AwaitDecisions() { m.Advance(10 * time.Second) }
