package bubble

import (
	"sync"
	"testing"
	"time"
)

// Without one processor, this dies within a tenth of a second under the race detector of Go 1.26.
func TestTimersOfManyGoroutines(t *testing.T) {
	for range 10 {
		Test(t, func(*testing.T) {
			var timers [4][2000]*time.Timer
			for i := range timers {
				for k := range timers[i] {
					timers[i][k] = time.NewTimer(time.Millisecond)
				}
			}
			time.Sleep(time.Second)
			var all sync.WaitGroup
			for i := range timers {
				all.Go(func() {
					for _, timer := range timers[i] {
						select {
						case <-timer.C:
						default:
						}
					}
				})
			}
			all.Wait()
		})
	}
}
