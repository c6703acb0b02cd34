// Package annotations owns the vocabulary: the keys under the autoscale.io/ prefix, what their values mean and what is wrong with them.
//
// [Decode] turns the annotations of an object into a [Workload] and lists every fault at once. It is the only decoder: the webhook,
// the loop, the command line and the documentation all use it. [Workload.Annotations] goes the other way, for Go programs that
// build manifests.
//
// The package knows nothing of any scaler; it asks the [Types] that it is given. It does no I/O, resolves no reference and decides no count.
package annotations
