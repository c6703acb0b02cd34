// Package bubble runs a test in virtual time: testing/synctest, on one processor.
//
// It owns the way around a fault of Go 1.26's race detector and knows nothing of what is tested.
package bubble

import (
	"runtime"
	"testing"
	"testing/synctest"
)

// Test calls f in a bubble of its own, in which time passes when every goroutine waits.
// It is testing/synctest.Test, and the rest of that package may be used within f. The process stays on one processor.
//
// With the race detector, all goroutines of a bubble run its timers in one context of the detector
// (runtime.timer.unlockAndRun), which two threads must not use at once: when two goroutines look at timers
// that have fired, the process dies with SIGSEGV or "ThreadSanitizer: CHECK failed". TestTimersOfManyGoroutines
// shows it. The detector loses nothing: it compares the order of accesses, not their moments.
func Test(t *testing.T, f func(*testing.T)) {
	t.Helper()
	if runtime.GOMAXPROCS(0) != 1 {
		runtime.GOMAXPROCS(1)
	}
	synctest.Test(t, f) //nolint:forbidigo // the one place
}
