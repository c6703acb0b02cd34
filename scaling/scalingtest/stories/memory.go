package stories

import (
	"testing"
	"time"

	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/apiserver"
)

// InMemory tells a story to the loop in memory and returns the changes of the workload, in order.
func InMemory(t *testing.T, story Story) (changes []string) {
	t.Helper()
	scalingtest.Run(t, func(w *scalingtest.World) {
		story.Tell(memory{w})
		w.Advance(time.Second) // what follows the last wait at once
		writes := w.API.Writes(func(write apiserver.Write) bool {
			return write.Name == Worker && write.Err == nil && write.After != nil
		})
		for _, write := range writes {
			before := write.Before
			if write.Verb == "create" {
				before = nil
			}
			if change := Change(before, write.After); change != "" {
				changes = append(changes, change)
			}
		}
	})
	return changes
}

const (
	source = "orders"
	soon   = time.Minute
)

// memory is the cluster in memory.
type memory struct{ *scalingtest.World }

var _ Cluster = memory{}

func (m memory) Create(replicas int32, more scalingtest.Settings) {
	settings := scalingtest.Quick(more)
	settings["trigger.orders"] = scalingtest.Trigger(source, "")
	m.World.Create(scalingtest.Deployment(Worker, replicas, settings))
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

func (m memory) AwaitReplicas(replicas int32) { m.World.AwaitReplicas(Worker, replicas, soon) }

func (m memory) AwaitUnknown() { m.AwaitEvent(Worker, "TriggerUnknown", "", soon) }

func (m memory) AwaitDecisions() { m.Advance(10 * time.Second) }
