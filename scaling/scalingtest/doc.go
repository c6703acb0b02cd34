// Package scalingtest runs the whole loop of the autoscaler in virtual time: the controller with its poller, decisions,
// decisions, reports, Leases and webhook, over an API server in memory (package apiserver) and event sources that the
// test sets. A day takes moments, and nothing depends on how fast the machine is. A test reads as what happens to a
// cluster:
//
//	func TestScalesUpAndBackToZero(t *testing.T) {
//		scalingtest.Run(t, func(w *scalingtest.World) {
//			w.Create(scalingtest.Deployment("worker", 0, scalingtest.Quick(scalingtest.Settings{
//				"trigger.orders": scalingtest.Trigger("orders", ""), // a target of 5
//			})))
//			w.Set("orders", 12)
//			w.AwaitReplicas("worker", 3, 5*time.Second)
//			w.Set("orders", 0)
//			w.Advance(time.Minute)
//			w.WantCounts("worker", 0, 3, 1, 0)
//		})
//	}
//
// # What a world has
//
//   - Users: Create, TryCreate, Patch, Annotate, Scale, SetStatus, Delete; World.Kube, Dynamic, Metadata and Scales are
//     the real clients for the rest. Their writes of workloads pass the real webhook; see Options.NoWebhook, Denied and
//     Warnings.
//   - Event sources, of the trigger type fake: Set, Break, Wake, and the methods of Source. The trigger types cpu and
//     memory measure the pods in the API server, by the annotations UsageCPU and UsageMemory.
//   - Pods, once RunPods was called: Pods, EndPods, Use, CutShort.
//   - Time: Advance, Settle, Await, AwaitReplicas, AwaitEvent, AwaitCondition.
//   - What the autoscaler did: Replicas, Counts, WantCounts, Writes, Events, Status, State, Decision, and the Metrics of
//     a Replica.
//   - Autoscaler replicas: Options.Replicas, Start, Leader, Kill, Restart, and the methods of Replica.
//   - Faults: World.API.Inject fails, delays or loses calls, DelayWatches and CutWatches disturb watches.
//
// It owns the world and the stand-ins in it. It decides nothing and has no assertions of its own beyond whole states;
// it is not for the product, and what only a real API server, Job controller or event source can judge has no place
// here.
package scalingtest
