// Package autoscale is the root of autoscale.io, an autoscaler for Kubernetes that is configured by annotations on the workload itself:
//
//	kubectl annotate deployment worker \
//	  autoscale.io/min-replicas=0 autoscale.io/max-replicas=50 \
//	  autoscale.io/trigger.orders='{type: redis-streams, address: redis:6379, stream: orders, consumerGroup: workers, target: 10}'
//
// It owns no code, only the tests of the tree's structure. The rest of this comment is a tour.
//
// # From an annotation to a replica count
//
//	metadata watch ─ annotations.Decode ─▶ poll.Upsert
//	poll: scaler.Read ─▶ decide.Step ─▶ decisions.Put ──(changed?)──▶ controller: decisions.Get ─▶ target.Get ─ differs? ─▶ target.Scale ─▶ report
//
// Polling thinks and reconciling acts. The poller never writes to the cluster, the controller never reads a metric, and decide sees neither. A
// reading that failed is UNKNOWN, which is never 0: with any trigger UNKNOWN replicas may rise or hold, and do not fall.
//
//   - annotations has the keys, the one decoder, and the way back for Go programs that make manifests.
//   - scalers has the contract of a source, which is one method that returns a number; each folder below it is one source, and scalers/builtin
//     lists them, one line each.
//   - scaling/decide is one pure function from readings to a count and a sentence that explains it.
//   - scaling/poll decides when to read, scaling/decisions carries decisions, scaling/controller writes them through scaling/target, and scaling/report
//     tells people. scaling/rivals knows who else scales a workload.
//   - webhook validates annotations when they are applied and keeps a re-applied manifest from undoing a count. The rest works without it.
//   - scaling/scalingtest runs all of that in virtual time, over an API server in memory; most tests about the whole loop belong there.
//   - cmd/autoscaler wires the parts; cmd/docs renders the reference under docs from the struct tags that the decoder reads.
//   - manifests installs it. e2e, a module of its own, has a real control plane without containers, and the field cases that run on it.
//
// Imports point down only; structure_test.go holds the layers, and the reason of each rule.
//
// # Where to begin
//
// To add a source, copy the smallest folder below scalers, add its line in scalers/builtin, and run make docs. To change what is decided, begin with
// the order of the rules in scaling/decide. To see it run, make demo; to run everything, make test; make alone lists the rest.
package autoscale
