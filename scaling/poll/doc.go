// Package poll decides when to read and what a reading means: it reads every trigger of every workload at its interval, gives
// the readings to decide.Step and puts the decision on the board.
//
// It owns timers, opened sources and the decision's memory. It never writes to the cluster and never reads a count from it: the count that a
// decision starts from is told to it ([Poller.Observe]).
//
// A workload costs one timer while nothing is due and one goroutine while it is read, so a source that does not answer delays nobody else.
package poll
