// Package webhook is the admission side: it checks the annotations of workloads as they are written, stamps the label and the state by which the
// loop finds them, and keeps a manifest that is applied again from resetting the count that the loop has written.
//
// It owns the rules of admission and the patch; the serving certificate is that of package certs. The rules are one pure function from the two versions of an object to a
// verdict: no clock, no log, no call to the API server. A dry run is therefore answered as the real request would be, and an answer that is reviewed
// again changes nothing.
//
// It knows no poller and no loop, and not what the right count would be. It never stands in the way: whatever it cannot read, and whatever goes wrong
// inside of it, is admitted with a warning. Only faults in annotations that the request itself brings are denied, and annotations on an object that another
// controller is known to scale already.
package webhook
