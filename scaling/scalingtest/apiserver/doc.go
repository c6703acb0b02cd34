// Package apiserver is a Kubernetes API server in memory, for tests in virtual time. The real clients of client-go talk
// to it through an http.RoundTripper: there is no listener, no socket and no goroutine but one for each watch.
//
// It owns the objects and follows the real API server in what a controller depends on:
//
//   - Each write raises the resource version. A write with an old resource version is a conflict (409), one with
//     another uid is invalid (422).
//   - The generation rises when the spec changes, and of a Deployment also when its annotations change. A write that
//     changes nothing is no write.
//   - A Deployment's status.observedGeneration follows its generation, as though its controller took no time.
//   - spec and status are written apart from each other; /scale reads and writes spec.replicas.
//   - A list is paged and selected by labels and fields. A watch delivers every change in order, and says 410 when its
//     start is too old.
//   - A deletion honors preconditions and removes what the object owned.
//   - Writes of workloads pass admission, if there is any, and the server remembers which field manager set the replica
//     count.
//
// It has no validation, no schema, no server-side apply and no finalizers, and knows nothing of the autoscaler: a test
// about those needs the real API server.
//
// client-go's own fakes cannot take its place: they hold one lock during each call, so that a call that takes time
// stops the clock of a synctest bubble, and they drop the context, the field manager, limit and continue.
package apiserver
