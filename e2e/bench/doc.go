// Package bench measures the autoscaler on a real control plane with real servers, and compares what it finds with budgets.
//
// Everything is timed from outside, by one watch of the API server: a reaction is the time from a write to Redis or PostgreSQL to the event that
// brings the new count, and the floor that it is compared with is the time from a bare PATCH of /scale to the same kind of event. Processor time and
// memory are the kernel's figures for the process. What writes the autoscaler makes is read from the API server's audit log.
//
// The package owns the rows and how each is measured. It knows nothing of how the autoscaler works, and it decides nothing: a row that misses its
// budget is reported, not explained away.
package bench
