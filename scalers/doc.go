// Package scalers owns the contract between the host and its sources of demand.
//
// A scaler answers one question, how much work there is, as a number ([Scaler.Read]). One that shares a connection with many others may also start its reads
// ([Starter]), and one whose source can tell when work arrives may say so ([Waker]). It returns no Kubernetes object and never sees a replica
// count. A source is described by a [Definition], made by [Define] from a struct of parameters; a [Registry] is an explicit list of them.
// Opening a trigger resolves its references, decodes its parameters and wraps the scaler in what every scaler needs: a deadline that holds even if
// the scaler ignores its context, recovery from panics, checks of the number and redaction of secrets.
//
// The package knows no source, decides no count, and reads no cluster object itself: it asks the [References] that it is given.
package scalers
