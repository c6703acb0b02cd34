package workers

import (
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"autoscale.io/scalers/scalertest/bubble"
)

// goroutine is the number of the goroutine that calls it.
func goroutine() string {
	stack := make([]byte, 64)
	number, _, _ := strings.Cut(strings.TrimPrefix(string(stack[:runtime.Stack(stack, false)]), "goroutine "), " ")
	return number
}

func TestAnIdleGoroutineIsUsedAgain(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		used := map[string]bool{}
		for range 20 {
			g.Go(func() { used[goroutine()] = true })
			synctest.Wait()
		}
		if len(used) != 1 {
			t.Errorf("%d goroutines ran what came one after the other, want 1", len(used))
		}
	})
}

func TestABlockedFunctionHoldsUpNoOther(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		blocked := make(chan struct{})
		defer close(blocked)
		ran := make(chan struct{}, 100)
		for range cap(ran) {
			g.Go(func() { <-blocked })
			g.Go(func() { ran <- struct{}{} })
		}
		synctest.Wait()
		if len(ran) != cap(ran) {
			t.Errorf("%d functions ran beside the blocked ones, want %d", len(ran), cap(ran))
		}
	})
}

// TestGoroutinesEndAtClose: the clock of synctest stands still once the function has returned, and who is left then is a deadlock.
func TestGoroutinesEndAtClose(t *testing.T) {
	bubble.Test(t, func(*testing.T) {
		g, busy := New(), make(chan struct{})
		for range 10 {
			g.Go(func() {})
			g.Go(func() { <-busy })
		}
		synctest.Wait()
		g.Close()
		close(busy)
	})
}

// TestIdleGoroutinesEnd goes by the numbers of goroutines, which are never given twice: how many there are is also the runtime's affair.
func TestIdleGoroutinesEnd(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		after := func(rest time.Duration) (ran string) {
			<-time.After(rest)
			g.Go(func() { ran = goroutine() })
			synctest.Wait()
			return ran
		}
		first := after(0)
		if ran := after(linger - 1); ran != first {
			t.Errorf("goroutine %s ran what came just before %s were over, want %s", ran, linger, first)
		}
		if ran := after(linger + 1); ran == first {
			t.Errorf("goroutine %s is still there after %s without work", ran, linger)
		}
	})
}

func TestGoAfterClose(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		g := New()
		g.Close()
		ran := false
		g.Go(func() { ran = true })
		synctest.Wait()
		if !ran {
			t.Error("the function did not run")
		}
	})
}
