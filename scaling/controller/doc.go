// Package controller is the loop and the only writer. It watches the metadata of managed workloads, keeps the poller in step with their
// annotations, and brings the count of each workload to what was decided.
//
//	metadata watch ─ Decode ─▶ poll.Upsert … decide … decisions ─▶ Reconcile: live count differs? ─▶ /scale ─▶ event, status
//
// Workloads are sharded over a fixed number of buckets; package shards says which are held, and only those are watched, polled
// and written. A paged sweep finds what the webhook has missed.
//
// A template of Jobs has no count of its own: decisions order new Jobs, and package jobs makes them and knows how many run.
//
// It owns informers, adoption, the mark of a zero, and the order of writes. It never reads a metric and never makes a decision.
package controller
