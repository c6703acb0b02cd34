// Package poll decides when to read and what a reading means: it reads every trigger of every workload at its interval, gives
// the readings to decide.Step and stores the decision.
//
// It owns timers, opened sources and the decision's memory. It never writes to the cluster and never reads a count from it: the count that a
// decision starts from is told to it ([Poller.Observe]).
//
// One dispatcher begins what is due. A read of a source that starts its reads holds no goroutine while the answer is on its way, and any other one holds its own,
// so a source that does not answer delays nobody else.
package poll
