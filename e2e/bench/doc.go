// Package bench measures the autoscaler on a real control plane with real servers, and compares what it finds with budgets.
//
// Everything is timed from outside, by the API server's audit log: a reaction is the time from a write to Redis or PostgreSQL until the API server has answered the
// PATCH of /scale, and the floor that it is compared with is what a bare PATCH takes until then. What writes the autoscaler makes is counted there, too. Processor
// time and memory are the kernel's figures for the process.
//
// The package owns the rows and how each is measured. It knows nothing of how the autoscaler works, and it decides nothing: a row that misses its
// budget is reported, not explained away.
package bench
