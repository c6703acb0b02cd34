// Package stories holds short stories of one workload that are told twice: to the loop in memory and to a real cluster,
// whose changes of the workload are then compared. So the stand-ins in memory cannot drift from the real API server.
//
// It owns the stories, what a cluster has to offer for them, and the words for a change. The module e2e tells them to a
// real cluster; nothing here knows how.
package stories

import (
	"autoscale.io/scaling/scalingtest"
)

// Worker is the name of the workload.
const Worker = "worker"

// Kind is what the workload of a story is.
type Kind int

// The kinds. All but Deployment have pods in memory, too.
const (
	Deployment Kind = iota
	StatefulSet
	// Job has 50 completions, and parallelism for replicas.
	Job
	// Template is a suspended Job of which a Job is made for each message.
	Template
)

// Cluster is what a story needs. Its methods fail the test when something does not work.
type Cluster interface {
	// Create creates the workload with a trigger on its event source and quick settings. The target is 5, or 1 for a
	// template, which also has a fixed replica count.
	Create(replicas int32, more scalingtest.Settings)
	// Backlog gives the event source that many messages, and heals it.
	Backlog(messages int)
	// Break makes reads of the event source fail.
	Break()
	// Annotate changes annotations of the workload; an empty text removes one.
	Annotate(settings scalingtest.Settings)
	// Release removes all annotations of the autoscaler.
	Release()
	// Scale sets the replica count as kubectl scale does; a Job cannot be scaled so.
	Scale(replicas int32)
	// Restart kills the autoscaler and starts it again.
	Restart()
	// EndPods ends the oldest n pods of the workload well, or of the Jobs made of it.
	EndPods(n int)
	// Replicas is the present replica count.
	Replicas() int32
	// AwaitReplicas waits until the workload has that replica count.
	AwaitReplicas(replicas int32)
	// AwaitPods waits until there are that many pods, and all run.
	AwaitPods(n int)
	// AwaitEnoughPods waits until there are as many pods as the workload has replicas, and all run.
	AwaitEnoughPods()
	// AwaitMade waits until that many Jobs were ever made of the template.
	AwaitMade(n int)
	// AwaitUnknown waits until the trigger could not be read.
	AwaitUnknown()
	// AwaitDecisions waits for some decisions about the workload.
	AwaitDecisions()
}

// Story is one of them.
type Story struct {
	Name string
	Of   Kind
	// Restarts says that the story restarts the autoscaler, so that no other one can be told at the same time.
	Restarts bool
	Tell     func(Cluster)
}

// All are all stories.
func All() []Story {
	return []Story{
		{Name: "from zero and back", Tell: fromZeroAndBack},
		{Name: "down by a policy", Tell: downByAPolicy},
		{Name: "an event source that breaks", Tell: broken},
		{Name: "paused and resumed", Tell: paused},
		{Name: "paused at a number", Tell: pausedAtANumber},
		{Name: "a zero of a person", Tell: zeroOfAPerson},
		{Name: "another number of a person", Tell: numberOfAPerson},
		{Name: "a restart at zero", Restarts: true, Tell: restartAtZero},
		{Name: "released from zero", Tell: releasedFromZero},
		{Name: "new bounds", Tell: newBounds},
		{Name: "a dry run that ends", Tell: dryRun},
		{Name: "a StatefulSet", Of: StatefulSet, Tell: statefulSet},
		{Name: "a Job whose pods end", Of: Job, Tell: jobWhosePodsEnd},
		{Name: "Jobs of a template", Of: Template, Tell: jobsOfATemplate},
	}
}

func fromZeroAndBack(c Cluster) {
	c.Create(0, nil)
	c.AwaitDecisions()
	c.Backlog(12)
	c.AwaitReplicas(3)
	c.Backlog(0)
	c.AwaitReplicas(0)
}

func downByAPolicy(c Cluster) {
	c.Create(1, scalingtest.Settings{
		"min-replicas": "1", "behavior": "{scaleDown: {stabilizationWindowSeconds: 0, policies: [{type: Pods, value: 2, periodSeconds: 1}]}}",
	})
	c.Backlog(40)
	c.AwaitReplicas(8)
	c.AwaitDecisions() // the rise is not of the period any more
	c.Backlog(10)
	c.AwaitReplicas(2)
}

func broken(c Cluster) {
	c.Backlog(20)
	c.Create(1, nil)
	c.AwaitReplicas(4)
	c.Break()
	c.AwaitUnknown()
	c.AwaitDecisions()
	c.Backlog(0)
	c.AwaitReplicas(0)
}

func paused(c Cluster) {
	c.Create(2, scalingtest.Settings{"pause": "true"})
	c.Backlog(30)
	c.AwaitDecisions()
	c.Annotate(scalingtest.Settings{"pause": ""})
	c.AwaitReplicas(6)
}

func pausedAtANumber(c Cluster) {
	c.Backlog(30)
	c.Create(2, nil)
	c.AwaitReplicas(6)
	c.Annotate(scalingtest.Settings{"pause": "3"})
	c.AwaitReplicas(3)
	c.AwaitDecisions()
	c.Annotate(scalingtest.Settings{"pause": ""})
	c.AwaitReplicas(6)
}

func zeroOfAPerson(c Cluster) {
	c.Backlog(10)
	c.Create(1, nil)
	c.AwaitReplicas(2)
	c.Scale(0)
	c.AwaitReplicas(0)
	c.AwaitDecisions()
	c.Scale(1)
	c.AwaitReplicas(2)
}

func numberOfAPerson(c Cluster) {
	c.Backlog(20)
	c.Create(1, nil)
	c.AwaitReplicas(4)
	c.Scale(9)
	c.AwaitReplicas(4)
	c.AwaitDecisions()
}

func restartAtZero(c Cluster) {
	c.Backlog(10)
	c.Create(1, nil)
	c.AwaitReplicas(2)
	c.Backlog(0)
	c.AwaitReplicas(0)
	c.Restart()
	c.AwaitDecisions()
	c.Backlog(25)
	c.AwaitReplicas(5)
}

func releasedFromZero(c Cluster) {
	c.Create(3, nil)
	c.AwaitReplicas(0)
	c.Release()
	c.AwaitReplicas(3)
}

func newBounds(c Cluster) {
	c.Backlog(50)
	c.Create(1, nil)
	c.AwaitReplicas(10)
	c.Annotate(scalingtest.Settings{"max-replicas": "7"})
	c.AwaitReplicas(7)
	c.Backlog(5)
	c.AwaitReplicas(1)
	c.Annotate(scalingtest.Settings{"min-replicas": "4"})
	c.AwaitReplicas(4)
}

func dryRun(c Cluster) {
	c.Backlog(15)
	c.Create(1, scalingtest.Settings{"dry-run": "true"})
	c.AwaitDecisions()
	c.Annotate(scalingtest.Settings{"dry-run": ""})
	c.AwaitReplicas(3)
}

func statefulSet(c Cluster) {
	c.Create(0, nil)
	c.AwaitDecisions()
	c.Backlog(12)
	c.AwaitReplicas(3)
	c.AwaitEnoughPods()
	c.Scale(5)
	c.AwaitReplicas(3)
	c.AwaitEnoughPods()
	c.Backlog(0)
	c.AwaitReplicas(0)
	c.AwaitEnoughPods()
}

func jobWhosePodsEnd(c Cluster) {
	c.Backlog(20)
	c.Create(1, scalingtest.Settings{"cooldown": "1s"})
	c.AwaitReplicas(4)
	c.AwaitEnoughPods()
	c.Backlog(5)
	c.AwaitDecisions() // none that runs is stopped
	for c.Replicas() > 1 {
		c.EndPods(1)
		c.AwaitEnoughPods() // the Job controller may have replaced it before the autoscaler saw that it had ended
	}
	c.Backlog(15)
	c.AwaitReplicas(3)
}

func jobsOfATemplate(c Cluster) {
	c.Backlog(3)
	c.Create(1, nil)
	c.AwaitMade(3)
	c.AwaitPods(3)
	c.Backlog(1)
	c.AwaitDecisions() // the messages that are done are not asked for again
	c.EndPods(2)
	c.AwaitPods(1)
	c.AwaitDecisions()
	c.Backlog(4)
	c.AwaitMade(6)
	c.AwaitPods(4)
}
