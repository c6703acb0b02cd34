package workers

import (
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// goroutine is the number of the goroutine that calls it.
func goroutine() string {
	stack := make([]byte, 64)
	number, _, _ := strings.Cut(strings.TrimPrefix(string(stack[:runtime.Stack(stack, false)]), "goroutine "), " ")
	return number
}

func TestAnIdleGoroutineIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		used := map[string]bool{}
		for range 20 {
			g.Go(func() { used[goroutine()] = true })
			synctest.Wait()
			time.Sleep(linger / 2)
		}
		if len(used) != 1 {
			t.Errorf("%d goroutines ran what came one after the other, want 1", len(used))
		}
	})
}

func TestABlockedFunctionHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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

func TestGoroutinesEnd(t *testing.T) {
	tests := map[string]func(*Group){
		"who has nothing to do":    func(*Group) { time.Sleep(linger) },
		"at Close":                 (*Group).Close,
		"when busy at their Close": func(g *Group) { g.Go(func() { time.Sleep(time.Second) }); g.Close(); time.Sleep(time.Second) },
	}
	for name, end := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				before := runtime.NumGoroutine()
				g := New()
				for range 10 {
					g.Go(func() { time.Sleep(time.Second) })
				}
				time.Sleep(2 * time.Second)
				end(g)
				synctest.Wait()
				if now := runtime.NumGoroutine(); now > before {
					t.Errorf("%d goroutines are left", now-before)
				}
			})
		})
	}
}

func TestGoAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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
